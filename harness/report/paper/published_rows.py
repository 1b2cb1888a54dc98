"""The published rows of a layout's table: one for each method and source."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.contracts.errors import UsageError, require_known
from harness.published.decimals import decimals, same_number
from harness.published.reference import DIFFERENCE, REFERENCE, PublishedNumber, read_tables
from harness.report.paper.layout import LayoutPolicy, TableLayout, matches


@dataclass(frozen=True)
class PublishedRow:
    """The published numbers of one method, from sources that agree.

    Attributes:
        label: The text in the table.
        method: The method's name in the published tables.
        cells: The published number by place label.
        others: Other published numbers by place label, which no row of the table shows.
        difference: Whether it is a printed difference of two methods.
    """

    label: str
    method: str
    cells: Mapping[str, PublishedNumber]
    others: Mapping[str, tuple[PublishedNumber, ...]]
    difference: bool = False


def published_rows(layout: TableLayout, folder: Path = REFERENCE) -> list[PublishedRow]:
    """Return a layout's published rows, in the order of the layout or else of its sources.

    Sources share a row if they agree wherever both print a number; else each has its own.

    Raises:
        UsageError: The tables are damaged, or lack a source that the layout names.
    """
    everything = read_tables(folder)
    for source in layout.sources:
        require_known("source", source.source, sorted({row.source for row in everything}))
        tables = sorted({row.table for row in everything if row.source == source.source})
        if source.table:
            require_known(f"table of {source.source}:", source.table, tables)
    rows = _all_rows(layout, layout.policies, everything, layout.metric)
    if layout.differences:
        printed = _all_rows(layout, layout.differences, everything, layout.metric + DIFFERENCE)
        rows += [replace(row, difference=True) for row in printed]
    return rows


def _all_rows(
    layout: TableLayout,
    policies: Sequence[LayoutPolicy],
    everything: Sequence[PublishedNumber],
    metric: str,
) -> list[PublishedRow]:
    """Return the rows of some policies, or of all methods if none are named."""
    numbers = [row for row in everything if row.metric == metric]
    rows: list[PublishedRow] = []
    for label, methods in _methods(layout, policies, numbers):
        for method in methods:
            mine = [number for number in numbers if number.method == method]
            rows += _rows(layout, label or method, mine)
    return rows


def _methods(
    layout: TableLayout, policies: Sequence[LayoutPolicy], numbers: Sequence[PublishedNumber]
) -> Iterable[tuple[str, list[str]]]:
    """Return each label with its methods; variants appear only if the layout names them."""
    ranks = [(_rank(layout, number), number.method) for number in numbers]
    # Sorting is stable, so methods keep the order of the first source's own table.
    shown = sorted((rank for rank in ranks if rank[0] is not None), key=lambda rank: rank[0] or 0)
    names = list(dict.fromkeys(method for _, method in shown))
    if not policies:
        return [("", [name for name in names if not name.endswith("]")])]
    return [
        (policy.label, [name for name in names if matches(policy.published, name)])
        for policy in policies
    ]


def _rank(layout: TableLayout, number: PublishedNumber) -> int | None:
    """Return the index of a number's source in the layout, or None."""
    if not layout.sources:
        return 0
    for rank, source in enumerate(layout.sources):
        if number.source == source.source and source.table in ("", number.table):
            return rank
    return None


def _rows(
    layout: TableLayout, label: str, numbers: Sequence[PublishedNumber]
) -> list[PublishedRow]:
    """Return the rows of one method."""
    by_source: dict[tuple[int, str], dict[str, PublishedNumber]] = {}
    everywhere: dict[str, list[PublishedNumber]] = {}
    for place in layout.places:
        here = [number for number in numbers if number.scope == place.published]
        everywhere[place.label] = here
        # The number with the most decimals first: 20.83 is more precise than 20.8.
        for number in sorted(here, key=lambda number: -decimals(number.value)):
            rank = _rank(layout, number)
            if rank is not None:
                cells = by_source.setdefault((rank, number.source), {})
                cells.setdefault(place.label, number)
    merged: list[dict[str, PublishedNumber]] = []
    for _, cells in sorted(by_source.items(), key=lambda item: item[0][0]):
        for row in merged:
            if _agree(row, cells):
                row.update({place: cells[place] for place in cells if place not in row})
                break
        else:
            merged.append(dict(cells))
    shown = [(label, number.value) for cells in merged for label, number in cells.items()]
    rows = []
    for cells in merged:
        others = {place: _others(everywhere[place], place, shown) for place in cells}
        rows.append(PublishedRow(label, numbers[0].method, cells, others))
    return rows


def _agree(row: Mapping[str, PublishedNumber], cells: Mapping[str, PublishedNumber]) -> bool:
    both = row.keys() & cells.keys()
    return bool(both) and all(same_number(row[place].value, cells[place].value) for place in both)


def _others(
    numbers: Sequence[PublishedNumber], place: str, shown: Sequence[tuple[str, str]]
) -> tuple[PublishedNumber, ...]:
    """Return a place's published numbers that no row shows, each value once."""
    values = [value for label, value in shown if label == place]
    others: dict[str, PublishedNumber] = {}
    for number in numbers:
        if not any(same_number(number.value, value) for value in (*values, *others)):
            others[number.value] = number
    return tuple(others.values())


def require_rows(layout: TableLayout, rows: Sequence[PublishedRow]) -> None:
    """Refuse a table without rows."""
    if not rows:
        raise UsageError(
            f"layout {layout.name}: the runs have none of its places, and no published numbers are "
            "shown; set `ours` to a suite, or suite/task, of the runs, or add --reference"
        )
