"""The finding of a check, and functions that the checks share."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from harness.published.decimals import format_recomputed
from harness.published.reference import PublishedNumber


@dataclass(frozen=True)
class Finding:
    """A contradiction in the published tables, or a reason for caution.

    Attributes:
        row: The number concerned, or the first of several.
        what: The number, in words.
        printed: The printed value.
        recomputed: The value that follows from other numbers.
        difference: Printed minus recomputed, if both are numbers.
        why: A possible reason, in one line.
    """

    row: PublishedNumber
    what: str
    printed: str
    recomputed: str
    difference: str
    why: str


def wrong_value(row: PublishedNumber, exact: Fraction, why: str) -> Finding:
    """Return the finding that a printed number is not the recomputed one."""
    return Finding(
        row,
        f"{row.method}: {'average' if row.kind == 'average' else 'cell'} of {scope_name(row)}",
        row.value,
        format_recomputed(exact, row.value),
        format_recomputed(row.exact - exact, row.value, sign="+"),
        why,
    )


def scope_name(row: PublishedNumber) -> str:
    """Return the most specific part of a number's scope, for a message."""
    inner = row.task or row.suite or row.benchmark or "all benchmarks"
    return f"{inner} ({row.arm})" if row.arm else inner


def origin(row: PublishedNumber) -> str:
    """Return source and table of a number, for a message."""
    return f"{row.source}, {row.table}"


def cells_of(
    rows: Sequence[PublishedNumber], row: PublishedNumber, method: str = "", metric: str = ""
) -> list[PublishedNumber]:
    """Return the cells in a row's scope; method and metric default to the row's own."""
    return [
        cell
        for cell in rows
        if cell.kind == "cell"
        and (cell.source, cell.table) == (row.source, row.table)
        and cell.method == (method or row.method)
        and cell.metric == (metric or row.metric)
        and row.covers(cell)
    ]


def mean(values: Sequence[Fraction]) -> Fraction:
    """Return the exact mean."""
    return sum(values, Fraction(0)) / len(values)
