"""Percentages as counts of episodes: which are impossible, and which leads are within chance."""

from collections.abc import Iterator, Sequence
from functools import reduce

from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from harness.published.audit.finding import Finding, cells_of, place
from harness.published.decimals import decimals, denominators, successes
from harness.published.reference import Published

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
    """Find averages whose best method is not distinguishable from the next ones.

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
    """Compare the best method with the next ones, or return None if the next one is apart."""
    counts = [(sum(round(c.exact * n / 100) for c in found), n * len(found)) for found in cells]
    order = sorted(range(len(group)), key=lambda i: -counts[i][0] / counts[i][1])
    best, leads = order[0], []
    for other in order[1:]:
        low, high = confint_proportions_2indep(*counts[best], *counts[other], method="newcomb")
        if low > 0:
            break
        lead = counts[best][0] / counts[best][1] - counts[other][0] / counts[other][1]
        leads.append(f"{100 * lead:+.1f} [{100 * low:.1f}, {100 * high:.1f}]")
    if not leads:
        return None
    row, behind, apart = group[best], order[1 : len(leads) + 1], order[len(leads) + 1 :]
    names = {i: f"{group[i].method} {_interval(counts[i])}" for i in order}
    stated = "stated" if cells[best][0].n else "inferred"
    return Finding(
        row,
        f"{row.method} ahead of {', '.join(group[i].method for i in behind)}: {place(row)}",
        f"{row.value} and {', '.join(group[i].value for i in behind)}",
        ", ".join(leads),
        "",
        f"a lead within chance: {', '.join(names[i] for i in (best, *behind))}; "
        + (f"the next, {names[apart[0]]}, is apart; " if apart else "")
        + f"{n} episodes a cell ({stated})",
    )


def cells_within_chance(rows: Sequence[Published]) -> Iterator[Finding]:
    """Find cells that are the best of their column, yet whose interval holds the next best.

    The next best, often another paper's number, is taken for exact: with an interval of its own the
    lead would say even less. What a source prints in several tables counts once; variants of
    ablations are left out, being many.
    """
    once: dict[tuple[str, ...], Published] = {}
    for row in sorted(rows, key=lambda row: -decimals(row.value)):
        if row.kind == "cell" and row.metric == "success" and not row.method.endswith("]"):
            once.setdefault(row.measured, row)
    evaluations: dict[tuple[str, ...], list[Published]] = {}
    columns: dict[tuple[str, ...], list[Published]] = {}
    for row in sorted(once.values(), key=lambda row: (row.file, row.line)):
        evaluations.setdefault((row.source, row.protocol, row.benchmark), []).append(row)
        columns.setdefault((row.source, *row.place), []).append(row)
    leads: dict[tuple[str, ...], list[tuple[Published, Published, int]]] = {}
    for column in columns.values():
        best, *others = sorted(column, key=lambda row: -row.exact)
        n = _episodes(evaluations[best.source, best.protocol, best.benchmark])
        if others and n and 100 * _wilson(_count(best, n))[0] <= others[0].exact < best.exact:
            key = (best.source, best.method, best.benchmark)
            leads.setdefault(key, []).append((best, others[0], n))
    for found in leads.values():
        first = found[0][0]
        yield Finding(
            first,
            f"{first.method}: best in {_some([place(best) for best, _, _ in found])}",
            _some([best.value for best, _, _ in found]),
            _some([_interval(_count(best, n)) for best, _, n in found]),
            "",
            "a lead within chance: each interval holds the next best ("
            f"{_some([f'{other.method} {other.value}' for _, other, _ in found])}); number of "
            f"episodes {'stated' if first.n else 'inferred'}",
        )


def _count(row: Published, n: int) -> tuple[int, int]:
    """Return how many of n episodes a percentage is."""
    return round(row.exact * n / 100), n


def _wilson(count: tuple[int, int]) -> tuple[float, float]:
    low, high = proportion_confint(*count, method="wilson")
    return float(low), float(high)


def _interval(count: tuple[int, int]) -> str:
    low, high = _wilson(count)
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
