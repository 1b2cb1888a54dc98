"""The parts of a filled-in table: headers, cells, and the grid of them."""

import math
from dataclasses import dataclass, replace

from harness.published.reference import DIFFERENCE


@dataclass(frozen=True)
class TableHeader:
    """The header of a row or column: a policy, or a place of the layout.

    Attributes:
        label: The text in the table.
        group: The heading above it and its neighbours; empty for none.
        name: The policy's identity, the published method's name, or the place's name in our runs.
        published: Whether its numbers are published ones.
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
class TableCell:
    """One number of a table.

    Attributes:
        estimate: Success or progress from 0 to 1, or a difference of two.
        low: The interval's lower limit; nan for a published number.
        high: The upper limit.
        n: Scored episodes; None if a publication does not say.
        errors: Episodes that ended in an error.
        missing: Planned episodes that were not played.
        protocol: The protocol's label; for a published number, its source and protocol.
        published: Whether the number is a published one.
        text: A published number as printed.
        bold: Whether it is the best of our numbers in its place, or not significantly worse.
        mark: Its footnotes, separated by commas.
    """

    estimate: float
    low: float = math.nan
    high: float = math.nan
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
    """A filled-in table, ready for any format.

    Attributes:
        name: The layout's name.
        title: The caption.
        metric: `success` or `progress`.
        head: The text above the row labels.
        columns: The column headers.
        rows: The row headers.
        cells: A tuple for each row; None is printed as a dash.
        notes: Mark and text of each footnote; a general note has an empty mark.
    """

    name: str
    title: str
    metric: str
    head: str
    columns: tuple[TableHeader, ...]
    rows: tuple[TableHeader, ...]
    cells: tuple[tuple[TableCell | None, ...], ...]
    notes: tuple[tuple[str, str], ...]

    def metric_at(self, row: TableHeader, column: TableHeader) -> str:
        """Return the metric of one cell, as the published tables name it."""
        return self.metric + DIFFERENCE * (row.difference or column.difference)

    def transposed(self) -> "Grid":
        """Return the grid with rows and columns swapped."""
        cells = tuple(zip(*self.cells, strict=True))
        return replace(self, columns=self.rows, rows=self.columns, cells=cells)


def cell_numbers(cell: TableCell, metric: str) -> tuple[str, str, str]:
    """Return estimate, lower and upper limit of one of our cells as printed."""
    scale, digits = (100, 1) if metric.startswith("success") else (1, 3)
    sign = "+" if metric.endswith(DIFFERENCE) else ""
    # Adding zero turns -0.0 into 0.0.
    estimate, low, high = (
        f"{round(scale * value, digits) + 0.0:{sign}.{digits}f}"
        for value in (cell.estimate, cell.low, cell.high)
    )
    return estimate, low, high
