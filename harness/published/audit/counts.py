"""Checks percentages as counts of episodes, and tests whether leads are significant."""

from collections.abc import Iterator, Sequence
from functools import reduce

from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from harness.published.audit.finding import Finding, cells_of, scope_name
from harness.published.decimals import decimals, denominators, successes
from harness.published.reference import PublishedNumber

_MOST = 500
"""The most episodes of a cell, if the source does not state them: 10 tasks with 50 episodes."""


def impossible_counts(rows: Sequence[PublishedNumber]) -> Iterator[Finding]:
    """Find percentages that no count of the stated episodes gives."""
    groups: dict[tuple[str, ...], list[PublishedNumber]] = {}
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
                f"no count of {n} episodes gives these values ({_evaluation(wrong[0])})",
            )


def clashing_counts(rows: Sequence[PublishedNumber]) -> Iterator[Finding]:
    """Find columns with cells that cannot all have the same number of episodes."""
    clashes: dict[tuple[str, ...], list[list[PublishedNumber]]] = {}
    for key, column in _columns(rows).items():
        if not _common(column):
            clashes.setdefault((key[0], key[1], column[0].protocol), []).append(column)
    for columns in clashes.values():
        first = columns[0]
        fractions = [_smallest(row) for row in first]
        yield Finding(
            first[0],
            f"column {', '.join(scope_name(column[0]) for column in columns)}",
            _some([row.value for row in first]),
            _some(fractions),
            "",
            f"no single number of episodes up to {_MOST} gives every cell: denominators differ "
            f"({_evaluation(first[0])})",
        )


def leads_within_chance(rows: Sequence[PublishedNumber]) -> Iterator[Finding]:
    """Find averages in which the best method is not significantly better than the next ones.

    Episodes are pooled over the cells. If the source does not state the episodes of a cell, the
    smallest number that fits every cell is used.
    """
    groups: dict[tuple[str, ...], list[PublishedNumber]] = {}
    for row in rows:
        if row.kind == "average" and row.metric == "success" and row.benchmark:
            key = (row.source, row.table, row.protocol, *row.scope)
            groups.setdefault(key, []).append(row)
    for group in groups.values():
        cells = [cells_of(rows, row) for row in group]
        n = _episodes([cell for found in cells for cell in found])
        if len(group) > 1 and n and all(cells):
            finding = _lead(group, cells, n)
            if finding:
                yield finding


def _lead(
    group: Sequence[PublishedNumber], cells: Sequence[Sequence[PublishedNumber]], n: int
) -> Finding | None:
    """Compare the best method with the next ones; return None if the lead is significant."""
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
        f"{row.method} ahead of {', '.join(group[i].method for i in behind)}: {scope_name(row)}",
        f"{row.value} and {', '.join(group[i].value for i in behind)}",
        ", ".join(leads),
        "",
        f"lead not significant: {', '.join(names[i] for i in (best, *behind))}; "
        + (f"significant against the next, {names[apart[0]]}; " if apart else "")
        + f"{n} episodes per cell ({stated})",
    )


def cells_within_chance(rows: Sequence[PublishedNumber]) -> Iterator[Finding]:
    """Find the best cells of a column whose interval contains the next best value.

    The next best value is taken as exact. With its own interval, even fewer leads would be
    significant. A number printed in several tables counts once. Variants of ablations are skipped,
    because there are many.
    """
    once: dict[tuple[str, ...], PublishedNumber] = {}
    for row in sorted(rows, key=lambda row: -decimals(row.value)):
        if row.kind == "cell" and row.metric == "success" and not row.method.endswith("]"):
            once.setdefault(row.quantity, row)
    evaluations: dict[tuple[str, ...], list[PublishedNumber]] = {}
    columns: dict[tuple[str, ...], list[PublishedNumber]] = {}
    for row in sorted(once.values(), key=lambda row: (row.file, row.line)):
        evaluations.setdefault((row.source, row.protocol, row.benchmark), []).append(row)
        columns.setdefault((row.source, *row.scope), []).append(row)
    leads: dict[tuple[str, ...], list[tuple[PublishedNumber, PublishedNumber, int]]] = {}
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
            f"{first.method}: best in {_some([scope_name(best) for best, _, _ in found])}",
            _some([best.value for best, _, _ in found]),
            _some([_interval(_count(best, n)) for best, _, n in found]),
            "",
            "lead not significant: each interval contains the next best ("
            f"{_some([f'{other.method} {other.value}' for _, other, _ in found])}); number of "
            f"episodes {'stated' if first.n else 'inferred'}",
        )


def _count(row: PublishedNumber, n: int) -> tuple[int, int]:
    """Return the successes nearest to a percentage, and n."""
    return round(row.exact * n / 100), n


def _wilson(count: tuple[int, int]) -> tuple[float, float]:
    low, high = proportion_confint(*count, method="wilson")
    return float(low), float(high)


def _interval(count: tuple[int, int]) -> str:
    low, high = _wilson(count)
    return f"{count[0]}/{count[1]} [{100 * low:.1f}, {100 * high:.1f}]"


def _columns(rows: Sequence[PublishedNumber]) -> dict[tuple[str, ...], list[PublishedNumber]]:
    """Return the cells without a stated n, grouped by column and protocol."""
    columns: dict[tuple[str, ...], list[PublishedNumber]] = {}
    for row in rows:
        if row.kind == "cell" and row.metric == "success" and not row.n:
            key = (row.source, row.table, row.protocol, *row.scope)
            columns.setdefault(key, []).append(row)
    return {key: column for key, column in columns.items() if len(column) > 1}


def _common(cells: Sequence[PublishedNumber]) -> frozenset[int]:
    """Return the numbers of episodes that can give every cell."""
    return reduce(frozenset.__and__, (denominators(cell.value, _MOST) for cell in cells))


def _episodes(cells: Sequence[PublishedNumber]) -> int | None:
    """Return the stated episodes per cell, or the smallest number that fits; None if none does."""
    stated = {cell.n for cell in cells}
    if len(stated) == 1 and "" not in stated:
        return int(stated.pop())
    return min(_common(cells), default=None) if stated == {""} else None


def _smallest(row: PublishedNumber) -> str:
    """Return the fraction with the smallest denominator that gives a percentage."""
    n = min(denominators(row.value, _MOST), default=0)
    return f"{successes(row.value, n)}/{n}" if n else "none"


def _some(values: Sequence[str]) -> str:
    """Join the first five values."""
    return ", ".join(values[:5]) + (", ..." if len(values) > 5 else "")


def _evaluation(row: PublishedNumber) -> str:
    """Return the first part of a protocol, which differs between the rows of a table."""
    return row.protocol.partition(",")[0]
