"""Percentages as counts of episodes: which are impossible, and which leads are within chance."""

from collections.abc import Iterator, Sequence
from functools import reduce

from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from harness.audit.finding import Finding, cells_of, place
from harness.printed import denominators, successes
from harness.reference import Published

MOST = 500
"""Episodes for one cell at most, where a source does not say how many: ten tasks of fifty."""


def impossible_counts(rows: Sequence[Published]) -> Iterator[Finding]:
    """Find the percentages that no whole number of the stated episodes gives."""
    groups: dict[tuple[str, ...], list[Published]] = {}
    for row in rows:
        if row.n and row.metric == "success":
            groups.setdefault((row.source, row.table, row.protocol, row.n), []).append(row)
    for group in groups.values():
        wrong = [row for row in group if successes(row.value, int(row.n)) is None]
        if wrong:
            n = wrong[0].n
            yield Finding(
                wrong[0],
                f"{len(wrong)} of {len(group)} values with n = {n}",
                _some([row.value for row in wrong]),
                f"no k/{n}",
                "",
                f"not what a whole number of {n} episodes gives ({_evaluation(wrong[0])})",
            )


def clashing_counts(rows: Sequence[Published]) -> Iterator[Finding]:
    """Find the columns whose cells cannot all have the same number of episodes."""
    clashes: dict[tuple[str, ...], list[list[Published]]] = {}
    for key, column in _columns(rows).items():
        if not _common(column):
            clashes.setdefault((key[0], key[1], column[0].protocol), []).append(column)
    for columns in clashes.values():
        first = columns[0]
        fractions = [_smallest(row) for row in first]
        yield Finding(
            first[0],
            f"column {', '.join(place(column[0]) for column in columns)}",
            _some([row.value for row in first]),
            _some(fractions),
            "",
            f"no one number of episodes up to {MOST} gives every cell: denominators differ "
            f"({_evaluation(first[0])})",
        )


def leads_within_chance(rows: Sequence[Published]) -> Iterator[Finding]:
    """Find averages whose best method is not distinguishable from the next one.

    Episodes are pooled over the cells. Where a source does not say how many a cell has, it is the
    smallest number that fits every cell.
    """
    groups: dict[tuple[str, ...], list[Published]] = {}
    for row in rows:
        if row.kind == "average" and row.metric == "success" and row.benchmark:
            key = (row.source, row.table, row.protocol, *row.place)
            groups.setdefault(key, []).append(row)
    for group in groups.values():
        cells = [cells_of(rows, row) for row in group]
        n = _episodes([cell for found in cells for cell in found])
        if len(group) > 1 and n and all(cells):
            finding = _lead(group, cells, n)
            if finding:
                yield finding


def _lead(
    group: Sequence[Published], cells: Sequence[Sequence[Published]], n: int
) -> Finding | None:
    """Compare the two best methods, or return None if they are apart."""
    counts = [(sum(round(c.exact * n / 100) for c in found), n * len(found)) for found in cells]
    order = sorted(range(len(group)), key=lambda i: -counts[i][0] / counts[i][1])
    best, next_best = order[0], order[1]
    low, high = confint_proportions_2indep(*counts[best], *counts[next_best], method="newcomb")
    if low > 0:
        return None
    row, other = group[best], group[next_best]
    lead = 100 * (counts[best][0] / counts[best][1] - counts[next_best][0] / counts[next_best][1])
    stated = "stated" if cells[best][0].n else "inferred"
    return Finding(
        row,
        f"{row.method} ahead of {other.method}: {place(row)}",
        f"{row.value} and {other.value}",
        f"{lead:+.1f} [{100 * low:.1f}, {100 * high:.1f}]",
        "",
        f"a lead within chance: {_interval(counts[best])} and {_interval(counts[next_best])}, "
        f"{n} episodes a cell ({stated})",
    )


def _interval(count: tuple[int, int]) -> str:
    low, high = proportion_confint(*count, method="wilson")
    return f"{count[0]}/{count[1]} [{100 * low:.1f}, {100 * high:.1f}]"


def _columns(rows: Sequence[Published]) -> dict[tuple[str, ...], list[Published]]:
    """Return the cells without a stated n, by column and by how they were evaluated."""
    columns: dict[tuple[str, ...], list[Published]] = {}
    for row in rows:
        if row.kind == "cell" and row.metric == "success" and not row.n:
            key = (row.source, row.table, row.protocol, *row.place)
            columns.setdefault(key, []).append(row)
    return {key: column for key, column in columns.items() if len(column) > 1}


def _common(cells: Sequence[Published]) -> frozenset[int]:
    """Return the numbers of episodes that give every cell."""
    return reduce(frozenset.__and__, (denominators(cell.value, MOST) for cell in cells))


def _episodes(cells: Sequence[Published]) -> int | None:
    """Return the episodes of every cell: stated, or the smallest number that fits."""
    stated = {cell.n for cell in cells}
    if len(stated) == 1 and "" not in stated:
        return int(stated.pop())
    return min(_common(cells), default=None) if stated == {""} else None


def _smallest(row: Published) -> str:
    """Return the fraction with the smallest denominator that a percentage can be."""
    n = min(denominators(row.value, MOST), default=0)
    return f"{successes(row.value, n)}/{n}" if n else "none"


def _some(values: Sequence[str]) -> str:
    """Return the first few values."""
    return ", ".join(values[:5]) + (", ..." if len(values) > 5 else "")


def _evaluation(row: Published) -> str:
    """Return the beginning of a protocol, which tells apart the rows of one table."""
    return row.protocol.partition(",")[0]
