"""Writes a report: tables, the HTML page, and figures."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.contracts.atomic import is_full, os_reason, write_whole
from harness.contracts.errors import StorageError, UsageError, require_known
from harness.report.cost import Cost, make_cost
from harness.report.markdown import alerts_markdown, summary_markdown
from harness.report.paper.cells import Grid
from harness.report.paper.formats import TABLES, grid_markdown, summary_tex
from harness.report.paper.grid import make_grid
from harness.report.paper.layout import TableLayout
from harness.report.summary import Summary, summarise
from harness.runs.folder import Run

FORMATS = (*TABLES, "html")


@dataclass(frozen=True)
class Report:
    """The files of a report.

    Attributes:
        text: The tables as Markdown, to print.
        folder: The output folder.
        names: The files in it, and the folder of the figures.
        complete: Whether every planned episode has a score.
    """

    text: str
    folder: Path
    names: tuple[str, ...]
    complete: bool


def write_report(
    runs: Sequence[Run],
    folder: Path,
    formats: Sequence[str],
    layout: TableLayout | None = None,
    reference: bool = False,
    plots: bool = False,
    embed_videos: bool = False,
    labels: Mapping[str, str] | None = None,
    mean: bool = False,
) -> Report:
    """Write the results of runs in the given formats only, each file whole or not at all.

    Args:
        runs: The runs, combined into one summary.
        folder: The output folder; it is created if missing.
        formats: Some of `FORMATS`.
        layout: The table to fill in; without one, write the summary and the cost.
        reference: Whether to add published numbers to the layout's table.
        plots: Whether to write the figures.
        embed_videos: Whether to put videos into the page instead of linking them.
        labels: Names of policies in tables, by identity.
        mean: Whether to add the mean over unrelated benchmarks.

    Raises:
        UsageError: A format is unknown, the layout's table would be empty, or the folder cannot
            be written.
        StorageError: The disk is full.
    """
    for name in formats:
        require_known("format", name, FORMATS)
    summary = summarise(runs, labels, mean)
    cost = make_cost(summary.episodes)
    grid = None if layout is None else make_grid(summary, layout, reference)
    shown, files = _tables(summary, cost, grid, formats, mean)
    names = list(files)
    with _storing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            write_whole(folder / name, text)
        if "html" in formats:
            from harness.report.html.page import write_page

            names.append("report.html" if grid is None else f"{grid.name}.html")
            write_page(runs, summary, cost, folder / names[-1], embed_videos, grid)
        if plots:
            from harness.report.plots import write_plots

            names.append("figures")
            write_plots(summary, folder / names[-1])
    # A layout's file holds the table alone; the reader of the screen needs the alerts too.
    alerts = [] if grid is None else alerts_markdown(summary)
    text = "\n".join([*alerts, *shown.values()])
    return Report(text, folder, tuple(names), summary.complete)


@contextmanager
def _storing(folder: Path) -> Iterator[None]:
    """Turn a failure to write into one line.

    Raises:
        UsageError: The folder cannot be written.
        StorageError: The disk is full.
    """
    try:
        yield
    except OSError as error:
        what = f"cannot write to {error.filename2 or folder}: {os_reason(error)}"
        if is_full(error):
            raise StorageError(f"{what}; make room and write the report again") from error
        raise UsageError(f"{what}; choose another --out") from error


def _tables(
    summary: Summary, cost: Cost | None, grid: Grid | None, formats: Sequence[str], mean: bool
) -> tuple[dict[str, str], dict[str, str]]:
    """Return the tables to print, and those to write, by file name."""
    if grid is None:
        shown = {"summary.md": summary_markdown(summary)}
        if cost is not None:
            shown["cost.md"] = cost.markdown()
        files = _summary_files(summary, cost, formats, mean)
    else:
        shown = {f"{grid.name}.md": grid_markdown(grid)}
        files = {f"{grid.name}.{name}": TABLES[name](grid) for name in formats if name in TABLES}
    return shown, files | (shown if "md" in formats else {})


def _summary_files(
    summary: Summary, cost: Cost | None, formats: Sequence[str], mean: bool
) -> dict[str, str]:
    """Return the files of a report without a layout, except Markdown."""
    files: dict[str, str] = {}
    if "csv" in formats:
        files["summary.csv"] = summary.rows.to_csv(index=False, float_format="%.6g")
        if cost is not None:
            files["cost.csv"] = cost.parts.to_csv(index=False, float_format="%.6g")
    return files | (summary_tex(summary, mean) if "tex" in formats else {})
