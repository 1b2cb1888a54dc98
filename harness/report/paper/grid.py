"""Fills in a layout: the cells of a paper's table, from runs and from published tables."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.contracts.errors import UsageError
from harness.published.reference import DIFFERENCE, REFERENCE, Published
from harness.report.paper.best import best_of
from harness.report.paper.difference import differences
from harness.report.paper.layout import Place, TableLayout
from harness.report.paper.lookup import Finder, Found
from harness.report.paper.notes import Notes
from harness.report.paper.published_rows import PublishedRow, published_rows, require_rows
from harness.report.summary import JOINED, Summary

NAN = float("nan")


@dataclass(frozen=True)
class Head:
    """What a row or a column is.

    Attributes:
        label: What the table calls it.
        group: The heading that it shares with its neighbours; empty for none.
        name: The policy's identity, the method's name, or the place's in our runs.
        published: Whether its numbers are a publication's.
        policy: Whether it is a policy; else it is a place.
        mark: The footnotes of all its cells.
        difference: Whether its numbers are differences of two policies.
    """

    label: str
    group: str = ""
    name: str = ""
    published: bool = False
    policy: bool = False
    mark: str = ""
    difference: bool = False


@dataclass(frozen=True)
class Cell:
    """One number of a table, with all that is known about it.

    Attributes:
        estimate: Success or progress, from 0 to 1, or a difference of two.
        low: The interval's lower limit; nan for a published number.
        high: The upper one.
        n: Episodes that were scored; None where a publication does not say.
        errors: Episodes that ended in an error.
        missing: Episodes that were wanted and are not there.
        protocol: The protocol's label; for a published number its source and what that says.
        published: Whether it is a publication's.
        text: A published number as printed.
        bold: Whether it cannot be told from the best of ours in its place.
        mark: The footnotes that it refers to, with commas between.
    """

    estimate: float
    low: float = NAN
    high: float = NAN
    n: int | None = None
    errors: int = 0
    missing: int = 0
    protocol: str = ""
    published: bool = False
    text: str = ""
    bold: bool = False
    mark: str = ""


@dataclass(frozen=True)
class Grid:
    """A table, ready to be written down.

    Attributes:
        name: The layout's name.
        title: The caption.
        metric: Success or progress.
        head: What stands above the rows' labels.
        columns: The columns' heads.
        rows: The rows' heads.
        cells: A tuple for each row; None is a dash.
        notes: What stands beneath: each footnote's mark, empty for a general one, and its text.
    """

    name: str
    title: str
    metric: str
    head: str
    columns: tuple[Head, ...]
    rows: tuple[Head, ...]
    cells: tuple[tuple[Cell | None, ...], ...]
    notes: tuple[tuple[str, str], ...]

    def measured(self, row: Head, column: Head) -> str:
        """Return what the cell in a row and a column shows, as the published tables name it."""
        return self.metric + DIFFERENCE * (row.difference or column.difference)

    def transposed(self) -> "Grid":
        """Return the grid with rows for columns."""
        cells = tuple(zip(*self.cells, strict=True))
        return replace(self, columns=self.rows, rows=self.columns, cells=cells)


def numbers(cell: Cell, metric: str) -> tuple[str, str, str]:
    """Return estimate and limits of one of our cells, as they are printed."""
    scale, digits = (100, 1) if metric.startswith("success") else (1, 3)
    sign = "+" if metric.endswith(DIFFERENCE) else ""
    # Adding zero takes the sign from a difference that is nothing but rounding.
    estimate, low, high = (
        f"{round(scale * value, digits) + 0.0:{sign}.{digits}f}"
        for value in (cell.estimate, cell.low, cell.high)
    )
    return estimate, low, high


def make_grid(
    summary: Summary, layout: TableLayout, reference: bool = False, folder: Path = REFERENCE
) -> Grid:
    """Fill in a layout.

    Args:
        summary: What the runs found.
        layout: Which table.
        reference: Whether to set the published numbers beside ours.
        folder: Where those are.

    Raises:
        UsageError: There is nothing to show, or the published tables are damaged.
    """
    finder = Finder(summary, layout)
    published = published_rows(layout, folder) if reference else []
    if not finder.series:
        require_rows(layout, published)
    notes = Notes(layout)
    found = [[finder.find(series, place) for series in finder.series] for place in layout.places]
    for place, column in zip(layout.places, found, strict=True):
        _keep_apart(summary, place, _there(column), published)
    notes.letter([f for column in found for f in _there(column)])
    for place, column in zip(layout.places, found, strict=True):
        if len({f.kind for f in _there(column)}) > 1:
            notes.mixed(place, _there(column))
    # Only now, so that whoever has a letter carries it in every column.
    columns = [
        _column(finder, column, place, notes)
        for place, column in zip(layout.places, found, strict=True)
    ]
    rows: list[tuple[Head, tuple[Cell | None, ...]]] = []
    for index, series in enumerate(finder.series):
        head = Head(series.label, name=series.policy, policy=True)
        rows.append((head, tuple(column[index] for column in columns)))
    shown = [row for _, row in rows]
    for each in differences(finder, found):
        notes.difference(each.label, each.name, each.how)
        head = Head(each.label, name=each.name, policy=True, difference=True)
        rows.append((head, tuple(_cell(f, notes) for f in each.cells)))
    rows += [_published(row, layout.places, notes) for row in published]
    grid = Grid(
        layout.name,
        layout.title,
        layout.metric,
        layout.head,
        columns=tuple(Head(p.label, p.group, p.ours) for p in layout.places),
        rows=tuple(head for head, _ in rows),
        cells=tuple(cells for _, cells in rows),
        notes=notes.lines(summary, shown),
    )
    return grid.transposed() if layout.rows == "places" else grid


def _keep_apart(
    summary: Summary, place: Place, there: Sequence[Found], published: Sequence[PublishedRow]
) -> None:
    """Refuse published numbers in a place where ours are comparable with none.

    Raises:
        UsageError: There are both; the message says what to take out.
    """
    printed = any(place.label in row.cells for row in published)
    labels = {label for f in there for label in f.protocol.split(JOINED)}
    for label, note in summary.notes.items():
        if printed and label in labels:
            raise UsageError(
                f"{place.label}: {label} ({note}) and published numbers share no place; take "
                "`published` out of it, or leave out --reference"
            )


def _there(column: Sequence[Found | None]) -> list[Found]:
    """Return what a column has numbers of."""
    return [f for f in column if f is not None and f.known]


def _column(
    finder: Finder, column: Sequence[Found | None], place: Place, notes: Notes
) -> list[Cell | None]:
    """Build our cells of one place; they are compared only if they are of one kind."""
    there = _there(column)
    bold: set[int] = set()
    if len(there) > 1 and len({f.kind for f in there}) == 1:
        samples = [finder.sample(f) for f in there]
        best = best_of(samples, finder.shares(there[0]), finder.metric == "success")
        notes.compared(place, best.how)
        bold = {id(there[index]) for index in best.members}
    return [_cell(f, notes, bold=id(f) in bold) for f in column]


def _cell(found: Found | None, notes: Notes, bold: bool = False) -> Cell | None:
    if found is None or not found.known:
        return None
    f = found
    marks = (notes.protocol(f), notes.incomplete() if f.errors + f.missing else "")
    return Cell(
        *(f.estimate, f.low, f.high, f.n, f.errors, f.missing, f.protocol),
        bold=bold,
        mark=",".join(filter(None, marks)),
    )


def _published(
    row: PublishedRow, places: Iterable[Place], notes: Notes
) -> tuple[Head, tuple[Cell | None, ...]]:
    """Build a published row; a footnote that all its cells share moves to its label."""
    cells: list[Cell | None] = []
    for place in places:
        number = row.cells.get(place.label)
        cells.append(None if number is None else _printed(number, place, row, notes))
    marks = {cell.mark for cell in cells if cell is not None}
    shared = marks.pop() if len(marks) == 1 else ""
    if shared:
        cells = [cell and replace(cell, mark="") for cell in cells]
    if row.difference:
        notes.difference(row.label, row.method)
    head = Head(
        row.label,
        "Published",
        row.method,
        published=True,
        policy=True,
        mark=shared,
        difference=row.difference,
    )
    return head, tuple(cells)


def _printed(number: Published, place: Place, row: PublishedRow, notes: Notes) -> Cell:
    scale = 100 if number.metric.startswith("success") else 1
    others = (notes.contradicted(place.label, other) for other in row.others[place.label])
    marks = [notes.source(number), *others]
    return Cell(
        float(number.value) / scale,
        n=int(number.n) if number.n else None,
        protocol=f"{number.source}, {number.table}: {number.protocol}",
        published=True,
        text=number.value,
        mark=",".join(marks),
    )
