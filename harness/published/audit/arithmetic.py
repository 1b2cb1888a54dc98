"""Averages, differences and repeated numbers: what simple arithmetic confirms or refutes."""

from collections.abc import Iterator, Sequence
from fractions import Fraction

from harness.published.audit.finding import Finding, cells_of, compare, mean, origin, place
from harness.published.decimals import rounds_to, same, show
from harness.published.reference import DIFFERENCE, Published


def recompute(rows: Sequence[Published], row: Published) -> Fraction | None:
    """Return what an average or a difference should be, or None if its parts are not printed."""
    if row.metric.endswith(DIFFERENCE):
        first, others = _sides(row)
        levels = [_level(rows, row, method) for method in (first, *others)]
        known = [level for level in levels if level is not None]
        return known[0] - mean(known[1:]) if len(known) == len(levels) else None
    return _level(rows, row, row.method)


def wrong_averages(rows: Sequence[Published]) -> Iterator[Finding]:
    """Find the averages that their cells do not give."""
    for row in rows:
        cells = cells_of(rows, row)
        if row.kind != "average" or row.metric.endswith(DIFFERENCE) or not cells:
            continue
        exact = mean([cell.exact for cell in cells])
        if not rounds_to(exact, row.value):
            yield compare(row, exact, _why_average(rows, row, cells))


def wrong_differences(rows: Sequence[Published]) -> Iterator[Finding]:
    """Find the differences that their two sides do not give."""
    for row in rows:
        if row.metric.endswith(DIFFERENCE):
            exact = recompute(rows, row)
            if exact is not None and not rounds_to(exact, row.value):
                yield compare(row, exact, _why_difference(rows, row))


def printed_twice(rows: Sequence[Published]) -> Iterator[Finding]:
    """Find what one source prints differently in two tables."""
    first: dict[tuple[str, ...], Published] = {}
    for row in rows:
        earlier = first.setdefault(row.measured, row)
        if not same(earlier.value, row.value):
            elsewhere = [
                f"{origin(other)} prints {other.value}"
                for other in rows
                if other.source != row.source and other.measured[1:] == row.measured[1:]
            ]
            why = "; ".join([f"{row.table} prints {row.value}", *elsewhere])
            yield compare(earlier, row.exact, why)


def uneven_weights(rows: Sequence[Published]) -> Iterator[Finding]:
    """Find averages over several benchmarks in which one counts more, having more cells."""
    for row in rows:
        if row.kind != "average" or row.benchmark:
            continue
        groups: dict[str, list[Fraction]] = {}
        for cell in cells_of(rows, row):
            groups.setdefault(cell.benchmark, []).append(cell.exact)
        if len({len(values) for values in groups.values()}) > 1:
            sizes = ", ".join(f"{name} {len(values)}" for name, values in groups.items())
            exact = mean([mean(values) for values in groups.values()])
            yield compare(row, exact, f"cells: {sizes}; recomputed is the mean of their means")


def _sides(row: Published) -> tuple[str, list[str]]:
    """Return the methods of a difference, `A - B & C`: the first, and those it is compared with."""
    first, _, others = row.method.partition(" - ")
    return first, others.split(" & ")


def _level(rows: Sequence[Published], row: Published, method: str) -> Fraction | None:
    """Return a method's mean over the cells of a row, or what is printed if there are none."""
    cells = cells_of(rows, row, method, row.metric.removesuffix(DIFFERENCE))
    return mean([cell.exact for cell in cells]) if cells else _printed(rows, row, method)


def _printed(rows: Sequence[Published], row: Published, method: str) -> Fraction | None:
    """Return a method's printed average at the place of a row."""
    wanted = (row.source, method, *row.place, row.metric.removesuffix(DIFFERENCE), "average")
    for other in rows:
        if other is not row and other.table == row.table and other.measured == wanted:
            return other.exact
    return None


def _why_average(rows: Sequence[Published], row: Published, cells: Sequence[Published]) -> str:
    """Say which other value of a cell would make an average right, or what sum it needs."""
    total = sum((cell.exact for cell in cells), Fraction(0))
    reasons = [
        f"right if {place(cell)} were {value} ({where})"
        for cell in cells
        for value, where in _other_values(rows, cell)
        if rounds_to((total - cell.exact + Fraction(value)) / len(cells), row.value)
    ]
    reasons += [
        f"the sum of the {len(cells)} cells divided by {count}"
        for count in range(2, len(cells) + 3)
        if rounds_to(total / count, row.value)
    ]
    if not reasons:
        needed = row.exact * len(cells)
        reasons.append(
            f"the {len(cells)} cells sum to {show(total, row.value)}, "
            f"the printed average needs {show(needed, row.value)}"
        )
    reasons += [
        f"{origin(other)} prints the same average"
        for other in rows
        if other.source != row.source
        and other.measured[1:] == row.measured[1:]
        and same(other.value, row.value)
    ]
    return "; ".join(reasons)


def _other_values(rows: Sequence[Published], cell: Published) -> Iterator[tuple[str, str]]:
    """Return what else is printed for a cell: in other tables, or through a difference."""
    for other in rows:
        if other.measured[1:] == cell.measured[1:] and not same(other.value, cell.value):
            yield other.value, origin(other)
        if other.metric == cell.metric + DIFFERENCE and other.place == cell.place:
            first, others = _sides(other)
            if first == cell.method and len(others) == 1 and other.source == cell.source:
                level = _level(rows, other, others[0])
                if level is not None and other.kind == "cell":
                    yield f"{float(level + other.exact):g}", "as the printed difference has it"


def _why_difference(rows: Sequence[Published], row: Published) -> str:
    """Say which cell, or which other pair, would give a difference."""
    first, others = _sides(row)
    top, bases = _level(rows, row, first), [_level(rows, row, other) for other in others]
    if row.kind == "cell" and bases[0] is not None:
        return f"right if {first} were {float(bases[0] + row.exact):g}"
    if len(others) > 1:
        alone = [
            f"{other} {float(top - base):.2f}"
            for other, base in zip(others, bases, strict=True)
            if top is not None and base is not None
        ]
        return f"alone they are {', '.join(alone)}"
    high, low = _printed(rows, row, first), _printed(rows, row, others[0])
    if high is None or low is None:
        return ""
    fits = "do" if rounds_to(high - low, row.value) else "do not"
    return f"the printed averages {fits} give it: {show(high, '')} - {show(low, '')}"
