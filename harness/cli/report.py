"""The command `report`."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from harness.cli.codes import EXIT_INCOMPLETE
from harness.contracts.errors import UsageError

if TYPE_CHECKING:
    from harness.report.write import Report


@dataclass
class ReportCommand:
    """Print the tables of one or more runs, and write tables, figures and a page."""

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """The runs' folders. Several are read as one run."""
    format: str = "md,csv"
    """The formats to write, separated by commas: md, csv, tex, html."""
    layout: str | None = None
    """A table layout by name, e.g. e0-table-09, or a YAML file. See: list layouts."""
    reference: bool = False
    """Add published numbers to the table of the layout."""
    plots: bool = False
    """Write the figures as PNG and PDF."""
    label: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """A policy's name in tables and figures, as NAME=TEXT; may be given several times. NAME is the
    policy's identity, or its part before the @."""
    mean: bool = False
    """Add each policy's mean over unrelated benchmarks, e.g. LIBERO and ManiSkill."""
    embed_videos: bool = False
    """Put the videos into the HTML page instead of beside it."""
    out: Path | None = None
    """The folder to write to. Default: tables/ in the run's folder, or results/report for several
    runs."""

    def __call__(self) -> int:
        """Write the report."""
        from harness.report.labels import read_labels
        from harness.report.paper.layout import load_layout
        from harness.report.write import write_report
        from harness.runs.folder import Run

        runs = [Run.existing(path) for path in self.runs]
        if not runs:
            raise UsageError("name at least one run's folder")
        default = runs[0].path / "tables" if len(runs) == 1 else Path("results/report")
        written = write_report(
            runs,
            self.out or default,
            [name.strip() for name in self.format.split(",")],
            load_layout(self.layout) if self.layout else None,
            reference=self.reference,
            plots=self.plots,
            embed_videos=self.embed_videos,
            labels=read_labels(self.label, runs),
            mean=self.mean,
        )
        return show_report(written)


def show_report(report: "Report") -> int:
    """Print a report's tables and the names of its files; return the exit code."""
    print(report.text)
    print(f"written to {report.folder}: {', '.join(report.names)}")
    return 0 if report.complete else EXIT_INCOMPLETE
