"""Writes a layout's table down: Markdown to read, CSV to compute with, LaTeX to print."""

import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from pathlib import Path

from tabulate import tabulate

from harness.errors import require_known
from harness.report.grid import Cell, Grid, Head, make_grid
from harness.report.latex import latex, numbers
from harness.report.layout import TableLayout, plain_layout
from harness.report.summary import Summary

COLUMNS = (
    *("table", "label", "policy", "published", "group", "place", "ours", "metric"),
    *("estimate", "low", "high", "n", "errors", "missing", "protocol", "bold", "mark", "printed"),
)


def render(
    summary: Summary, layout: TableLayout, formats: Sequence[str] = ("md",), reference: bool = False
) -> dict[str, str]:
    """Return a layout's table in each format, by the name of the file to write it to.

    Args:
        summary: What the runs found.
        layout: Which table, from `load_layout`.
        formats: Among md, csv and tex.
        reference: Whether to set the published numbers beside ours.

    Raises:
        UsageError: A format is unknown, or there is nothing to show.
    """
    for name in formats:
        require_known("format", name, FORMATS)
    grid = make_grid(summary, layout, reference)
    return {f"{grid.name}.{name}": FORMATS[name](grid) for name in formats}


def write_tex(summary: Summary, folder: Path) -> None:
    """Write `success.tex` and, where there are scores, `progress.tex`: policies by suites."""
    names = summary.level("suite")[["family", "suite"]].drop_duplicates()
    suites = [(str(family), str(suite)) for family, suite in names.itertuples(index=False)]
    metrics = ("success", "progress") if summary.rows["progress"].notna().any() else ("success",)
    for metric in metrics:
        for name, text in render(summary, plain_layout(metric, suites), ["tex"]).items():
            (folder / name).write_text(text, encoding="utf-8")


def grid_markdown(grid: Grid) -> str:
    """Return a grid as GitHub's Markdown, which knows neither groups nor footnotes."""
    headers = [_plain(grid.head), *(_label(head, grouped=True) for head in grid.columns)]
    rows, group = [], ""
    for head, cells in zip(grid.rows, grid.cells, strict=True):
        if head.group != group:
            group = head.group
            rows.append([f"{_plain(group)}:" if group else "", *[""] * len(cells)])
        rows.append([_label(head), *(_cell(cell, grid.metric) for cell in cells)])
    table = tabulate(rows, headers=headers, tablefmt="github", disable_numparse=True)
    notes = [f"- {f'<sup>{_plain(m)}</sup> ' if m else ''}{_plain(t)}" for m, t in grid.notes]
    return "\n\n".join([f"**{_plain(grid.title)}**", table, "\n".join(notes)]) + "\n"


def grid_csv(grid: Grid) -> str:
    """Return a grid as CSV, a row a cell, whatever stands in the grid's rows."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(_tidy(grid))
    return text.getvalue()


def _tidy(grid: Grid) -> Iterator[tuple[object, ...]]:
    for (i, row), (j, column) in product(enumerate(grid.rows), enumerate(grid.columns)):
        cell = grid.cells[i][j]
        policy, place = (row, column) if row.policy else (column, row)
        where = (grid.name, policy.label, policy.name, policy.published, place.group, place.label)
        if cell is None:
            yield (*where, place.name, grid.metric, *[""] * 10)
            continue
        limits = ("" if v != v else f"{v:.6g}" for v in (cell.estimate, cell.low, cell.high))
        marks = ",".join(filter(None, (policy.mark, cell.mark)))
        counts = ("" if cell.n is None else cell.n, cell.errors, cell.missing)
        about = (cell.protocol, cell.bold, marks, cell.text)
        yield (*where, place.name, grid.metric, *limits, *counts, *about)


def _label(head: Head, grouped: bool = False) -> str:
    label = _plain(head.label)
    if head.published:
        label = f"*{label}*"
    elif grouped and head.group:
        label = f"{_plain(head.group)}: {label}"
    return label + _mark(head.mark)


def _cell(cell: Cell | None, metric: str) -> str:
    if cell is None:
        return "-"
    if cell.published:
        return f"*{cell.text}*{_mark(cell.mark)}"
    estimate, low, high = numbers(cell, metric)
    shown = f"**{estimate}**" if cell.bold else estimate
    return f"{shown} [{low}, {high}]{_mark(cell.mark)}"


def _mark(mark: str) -> str:
    return f"<sup>{_plain(mark)}</sup>" if mark else ""


def _plain(text: str) -> str:
    """Return any text so that Markdown prints it as it is, in one line."""
    text = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;")
    return re.sub(r"([\\`*_\[\]|])", r"\\\1", text)


FORMATS: dict[str, Callable[[Grid], str]] = {"md": grid_markdown, "csv": grid_csv, "tex": latex}
"""How each format is written, by the ending of its file."""
