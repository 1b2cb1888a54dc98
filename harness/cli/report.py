"""The command `report`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from harness.cli.codes import EXIT_INCOMPLETE
from harness.contracts.errors import UsageError
from harness.report.paper.layout import load_layout
from harness.report.write import Report, write_report
from harness.runs.folder import Run

RESULTS = Path("results")


@dataclass
class ReportCommand:
    """Print the tables of one or more runs, and write them and their page."""

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """The runs' folders; several are read as one."""
    format: str = "md,csv"
    """What to write and nothing else, with commas between: md, csv, tex, html."""
    layout: str | None = None
    """A table's layout by name, e.g. e0-table-09, or a YAML file. See: list layouts."""
    reference: bool = False
    """Set published numbers beside ours in the layout's table."""
    plots: bool = False
    """Write the figures as PNG and PDF."""
    embed_videos: bool = False
    """Put the films into the HTML page and not beside it."""
    out: Path | None = None
    """Where to write; tables/ in the run's folder, or results/report for several."""

    def __call__(self) -> int:
        """Write what is asked for."""
        runs = [Run.existing(path) for path in self.runs]
        if not runs:
            raise UsageError("name at least one run's folder")
        folder = self.out or (runs[0].path / "tables" if len(runs) == 1 else RESULTS / "report")
        layout = load_layout(self.layout) if self.layout else None
        written = write_report(
            runs,
            folder,
            self.format.split(","),
            layout,
            reference=self.reference,
            plots=self.plots,
            embed_videos=self.embed_videos,
        )
        return show(written)


def show(report: Report) -> int:
    """Print a report's tables and the names of its files; return the exit code."""
    print(report.text)
    print(f"written to {report.folder}: {', '.join(report.names)}")
    return 0 if report.complete else EXIT_INCOMPLETE
