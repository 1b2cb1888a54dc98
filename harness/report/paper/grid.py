"""Fills in a layout with the numbers of runs and of published tables."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from harness.contracts.errors import UsageError
from harness.published.reference import REFERENCE, PublishedNumber
from harness.report.paper.best import best_policies
from harness.report.paper.cells import Grid, TableCell, TableHeader
from harness.report.paper.difference import make_differences
from harness.report.paper.layout import LayoutPlace, TableLayout
from harness.report.paper.lookup import CellLookup, Measurement
from harness.report.paper.notes import Footnotes
from harness.report.paper.published_rows import PublishedRow, published_rows, require_rows
from harness.report.summary import JOINED, Summary


def make_grid(
    summary: Summary, layout: TableLayout, reference: bool = False, folder: Path = REFERENCE
) -> Grid:
    """Fill in a layout.

    Args:
        summary: The results of the runs.
        layout: The table to fill in.
        reference: Whether to add published numbers.
        folder: The folder of the published tables.

    Raises:
        UsageError: There is nothing to show, or the published tables are damaged.
    """
    lookup = CellLookup(summary, layout)
    published = published_rows(layout, folder) if reference else []
    if not lookup.rows:
        require_rows(layout, published)
    notes = Footnotes(layout)
    measured = [[lookup.measurement(row, place) for row in lookup.rows] for place in layout.places]
    for place, column in zip(layout.places, measured, strict=True):
        _refuse_incomparable(summary, place, _known(column), published)
    notes.letter([value for column in measured for value in _known(column)])
    for place, column in zip(layout.places, measured, strict=True):
        if len({value.kind for value in _known(column)}) > 1:
            notes.mixed(place, _known(column))
    # The cells come after all letters are known, since a letter marks every column.
    columns = [
        _column(lookup, column, place, notes)
        for place, column in zip(layout.places, measured, strict=True)
    ]
    rows: list[tuple[TableHeader, tuple[TableCell | None, ...]]] = []
    for index, row in enumerate(lookup.rows):
        mark = notes.pooled(row.label, lookup.seeds(row))
        header = TableHeader(row.label, name=row.policy, policy=True, mark=mark)
        rows.append((header, tuple(column[index] for column in columns)))
    ours = [cells for _, cells in rows]
    for each in make_differences(lookup, measured):
        notes.difference(each.label, each.name, each.how)
        header = TableHeader(each.label, name=each.name, policy=True, difference=True)
        rows.append((header, tuple(_cell(value, notes) for value in each.cells)))
    rows += [_published(row, layout.places, notes) for row in published]
    grid = Grid(
        layout.name,
        layout.title,
        layout.metric,
        layout.head,
        columns=tuple(TableHeader(p.label, p.group, p.ours) for p in layout.places),
        rows=tuple(header for header, _ in rows),
        cells=tuple(cells for _, cells in rows),
        notes=notes.lines(summary, ours),
    )
    return grid.transposed() if layout.rows == "places" else grid


def _refuse_incomparable(
    summary: Summary,
    place: LayoutPlace,
    ours: Sequence[Measurement],
    published: Sequence[PublishedRow],
) -> None:
    """Refuse published numbers beside those of a protocol whose note forbids the comparison.

    Raises:
        UsageError: The place has both; the message says what to remove.
    """
    printed = any(place.label in row.cells for row in published)
    labels = {label for value in ours for label in value.protocol.split(JOINED)}
    for label, note in summary.notes.items():
        if printed and label in labels:
            raise UsageError(
                f"{place.label}: numbers of {label} ({note}) cannot stand beside published ones; "
                "remove `published` from this place of the layout, or omit --reference"
            )


def _known(column: Sequence[Measurement | None]) -> list[Measurement]:
    return [value for value in column if value is not None and value.known]


def _column(
    lookup: CellLookup,
    column: Sequence[Measurement | None],
    place: LayoutPlace,
    notes: Footnotes,
) -> list[TableCell | None]:
    """Return our cells of one place; they are compared if protocols and tasks are the same."""
    known = _known(column)
    bold: set[int] = set()
    if len(known) > 1 and len({value.kind for value in known}) == 1:
        samples = [lookup.sample(value) for value in known]
        best = best_policies(samples, lookup.task_weights(known[0]), lookup.metric == "success")
        notes.compared(place, best)
        bold = {id(known[index]) for index in best.members}
    return [_cell(value, notes, bold=id(value) in bold) for value in column]


def _cell(value: Measurement | None, notes: Footnotes, bold: bool = False) -> TableCell | None:
    if value is None or not value.known:
        return None
    marks = (notes.protocol(value), notes.incomplete() if value.errors + value.missing else "")
    return TableCell(
        value.estimate,
        value.low,
        value.high,
        value.n,
        value.errors,
        value.missing,
        value.protocol,
        bold=bold,
        mark=",".join(filter(None, marks)),
    )


def _published(
    row: PublishedRow, places: Iterable[LayoutPlace], notes: Footnotes
) -> tuple[TableHeader, tuple[TableCell | None, ...]]:
    """Return a published row; a footnote shared by all its cells moves to its label."""
    cells: list[TableCell | None] = []
    for place in places:
        number = row.cells.get(place.label)
        cells.append(None if number is None else _printed(number, place, row, notes))
    marks = {cell.mark for cell in cells if cell is not None}
    shared = marks.pop() if len(marks) == 1 else ""
    if shared:
        cells = [cell and replace(cell, mark="") for cell in cells]
    if row.difference:
        notes.difference(row.label, row.method)
    header = TableHeader(
        row.label,
        "Published",
        row.method,
        published=True,
        policy=True,
        mark=shared,
        difference=row.difference,
    )
    return header, tuple(cells)


def _printed(
    number: PublishedNumber, place: LayoutPlace, row: PublishedRow, notes: Footnotes
) -> TableCell:
    scale = 100 if number.metric.startswith("success") else 1
    others = (notes.contradicted(place.label, other) for other in row.others[place.label])
    marks = [notes.source(number), *others]
    return TableCell(
        float(number.value) / scale,
        n=int(number.n) if number.n else None,
        protocol=f"{number.source}, {number.table}: {number.protocol}",
        published=True,
        text=number.value,
        mark=",".join(marks),
    )
