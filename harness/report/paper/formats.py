"""Writes a table as Markdown, CSV or LaTeX."""

import csv
import io
import math
import re
from collections.abc import Callable, Iterator
from itertools import product

from tabulate import tabulate

from harness.report.paper.cells import Grid, TableCell, TableHeader, cell_numbers
from harness.report.paper.grid import make_grid
from harness.report.paper.latex import latex
from harness.report.paper.layout import plain_layout
from harness.report.summary import Summary

_ABOUT = ("table", "label", "policy", "published", "group", "place", "ours", "metric")
_COUNTS = ("n", "errors", "missing")
_NUMBERS = ("estimate", "low", "high", *_COUNTS, "protocol", "bold", "mark", "printed")


def summary_tex(summary: Summary, mean: bool = False) -> dict[str, str]:
    """Return `success.tex` and, if there are scores, `progress.tex`: policies by suites.

    Args:
        summary: The results of the runs.
        mean: Whether to add the mean over unrelated benchmarks.
    """
    names = summary.level("suite")[["family", "suite"]].drop_duplicates()
    suites = [(str(family), str(suite)) for family, suite in names.itertuples(index=False)]
    metrics = ("success", "progress") if summary.rows["progress"].notna().any() else ("success",)
    return {f"{m}.tex": latex(make_grid(summary, plain_layout(m, suites, mean))) for m in metrics}


def grid_markdown(grid: Grid) -> str:
    """Return a grid as GitHub Markdown: groups become prefixes, footnotes a list."""
    headers = [_plain(grid.head), *(_label(column, grouped=True) for column in grid.columns)]
    rows, group = [], ""
    for row, cells in zip(grid.rows, grid.cells, strict=True):
        if row.group != group:
            group = row.group
            rows.append([f"{_plain(group)}:" if group else "", *[""] * len(cells)])
        pairs = zip(cells, grid.columns, strict=True)
        rows.append([_label(row), *(_cell(cell, grid.metric_at(row, c)) for cell, c in pairs)])
    table = tabulate(rows, headers=headers, tablefmt="github", disable_numparse=True)
    notes = [f"- {f'<sup>{_plain(m)}</sup> ' if m else ''}{_plain(t)}" for m, t in grid.notes]
    return "\n\n".join([f"**{_plain(grid.title)}**", table, "\n".join(notes)]) + "\n"


def grid_csv(grid: Grid) -> str:
    """Return a grid as CSV with a row for each cell."""
    text = io.StringIO()
    writer = csv.DictWriter(text, (*_ABOUT, *_NUMBERS), restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(_records(grid))
    return text.getvalue()


def _records(grid: Grid) -> Iterator[dict[str, object]]:
    for (i, row), (j, column) in product(enumerate(grid.rows), enumerate(grid.columns)):
        policy, place = (row, column) if row.policy else (column, row)
        record: dict[str, object] = {
            "table": grid.name,
            "label": policy.label,
            "policy": policy.name,
            "published": policy.published,
            "group": place.group,
            "place": place.label,
            "ours": place.name,
            "metric": grid.metric_at(row, column),
        }
        cell = grid.cells[i][j]
        if cell is not None:
            for name in ("estimate", "low", "high"):
                value = getattr(cell, name)
                record[name] = "" if math.isnan(value) else f"{value:.6g}"
            record |= {name: getattr(cell, name) for name in (*_COUNTS, "protocol", "bold")}
            record["mark"] = ",".join(filter(None, (policy.mark, cell.mark)))
            record["printed"] = cell.text
        yield record


def _label(header: TableHeader, grouped: bool = False) -> str:
    label = _plain(header.label)
    if header.published:
        label = f"*{label}*"
    elif grouped and header.group:
        label = f"{_plain(header.group)}: {label}"
    return label + _mark(header.mark)


def _cell(cell: TableCell | None, metric: str) -> str:
    if cell is None:
        return "-"
    if cell.published:
        return f"*{cell.text}*{_mark(cell.mark)}"
    estimate, low, high = cell_numbers(cell, metric)
    shown = f"**{estimate}**" if cell.bold else estimate
    return f"{shown} [{low}, {high}]{_mark(cell.mark)}"


def _mark(mark: str) -> str:
    return f"<sup>{_plain(mark)}</sup>" if mark else ""


def _plain(text: str) -> str:
    """Escape any text for Markdown, in one line."""
    text = " ".join(text.split()).replace("&", "&amp;")
    # "p < 0.05" stays legible; only these characters after "<" start a tag.
    text = re.sub(r"<(?=[A-Za-z/!?])", "&lt;", text)
    return re.sub(r"([\\`*_\[\]|])", r"\\\1", text)


TABLES: dict[str, Callable[[Grid], str]] = {"md": grid_markdown, "csv": grid_csv, "tex": latex}
"""The writer of each format, by file suffix."""
