"""What a check finds, and what the checks share."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from harness.published.decimals import show
from harness.published.reference import Published


@dataclass(frozen=True)
class Finding:
    """Something in a published table that does not fit, or means less than it seems.

    Attributes:
        row: The number that it is about, or the first of several.
        what: The number, in words.
        printed: What the source prints.
        recomputed: What follows from its other numbers.
        difference: Printed minus recomputed, where both are numbers.
        why: What may have happened, in one line.
    """

    row: Published
    what: str
    printed: str
    recomputed: str
    difference: str
    why: str


def compare(row: Published, exact: Fraction, why: str) -> Finding:
    """Return the finding that a printed number is not what it should be."""
    return Finding(
        row,
        f"{row.method}: {'average' if row.kind == 'average' else 'cell'} of {place(row)}",
        row.value,
        show(exact, row.value),
        show(row.exact - exact, row.value, sign="+"),
        why,
    )


def place(row: Published) -> str:
    """Return what a number was measured on, in words."""
    inner = row.task or row.suite or row.benchmark or "all benchmarks"
    return f"{inner} ({row.arm})" if row.arm else inner


def origin(row: Published) -> str:
    """Return where a number is printed, in words."""
    return f"{row.source}, {row.table}"


def cells_of(
    rows: Sequence[Published], row: Published, method: str = "", metric: str = ""
) -> list[Published]:
    """Return the cells within a row's place, of its own method and metric or of those given."""
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
