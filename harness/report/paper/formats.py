"""Writes a layout's table down: Markdown to read, CSV to compute with, LaTeX to print."""

import csv
import io
import re
from collections.abc import Callable, Iterator
from itertools import product

from tabulate import tabulate

from harness.report.paper.grid import Cell, Grid, Head, make_grid, numbers
from harness.report.paper.latex import latex
from harness.report.paper.layout import plain_layout
from harness.report.summary import Summary

COLUMNS = (
    *("table", "label", "policy", "published", "group", "place", "ours", "metric"),
    *("estimate", "low", "high", "n", "errors", "missing", "protocol", "bold", "mark", "printed"),
)


def summary_tex(summary: Summary) -> dict[str, str]:
    """Return `success.tex` and, where there are scores, `progress.tex`: policies by suites."""
    names = summary.level("suite")[["family", "suite"]].drop_duplicates()
    suites = [(str(family), str(suite)) for family, suite in names.itertuples(index=False)]
    metrics = ("success", "progress") if summary.rows["progress"].notna().any() else ("success",)
    return {f"{m}.tex": latex(make_grid(summary, plain_layout(m, suites))) for m in metrics}


def grid_markdown(grid: Grid) -> str:
    """Return a grid as GitHub's Markdown, which knows neither groups nor footnotes."""
    headers = [_plain(grid.head), *(_label(head, grouped=True) for head in grid.columns)]
    rows, group = [], ""
    for head, cells in zip(grid.rows, grid.cells, strict=True):
        if head.group != group:
            group = head.group
            rows.append([f"{_plain(group)}:" if group else "", *[""] * len(cells)])
        heads = zip(cells, grid.columns, strict=True)
        rows.append([_label(head), *(_cell(cell, grid.measured(head, c)) for cell, c in heads)])
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
        about = (grid.name, policy.label, policy.name, policy.published, place.group, place.label)
        where = (*about, place.name, grid.measured(row, column))
        if cell is None:
            yield (*where, *[""] * 10)
            continue
        limits = ("" if v != v else f"{v:.6g}" for v in (cell.estimate, cell.low, cell.high))
        marks = ",".join(filter(None, (policy.mark, cell.mark)))
        counts = ("" if cell.n is None else cell.n, cell.errors, cell.missing)
        yield (*where, *limits, *counts, cell.protocol, cell.bold, marks, cell.text)


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


TABLES: dict[str, Callable[[Grid], str]] = {"md": grid_markdown, "csv": grid_csv, "tex": latex}
"""How each format is written, by the ending of its file."""
