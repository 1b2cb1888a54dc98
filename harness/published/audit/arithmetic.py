"""Checks averages, differences and repeated numbers by exact arithmetic."""

from collections.abc import Iterator, Sequence
from fractions import Fraction

from harness.published.audit.finding import Finding, cells_of, mean, origin, scope_name, wrong_value
from harness.published.decimals import format_recomputed, rounds_to, same_number
from harness.published.reference import DIFFERENCE, PublishedNumber


def recompute(rows: Sequence[PublishedNumber], row: PublishedNumber) -> Fraction | None:
    """Return the exact average or difference, or None if its parts are not printed."""
    if row.metric.endswith(DIFFERENCE):
        first, others = _sides(row)
        levels = [_level(rows, row, method) for method in (first, *others)]
        known = [level for level in levels if level is not None]
        return known[0] - mean(known[1:]) if len(known) == len(levels) else None
    return _level(rows, row, row.method)


def wrong_averages(rows: Sequence[PublishedNumber]) -> Iterator[Finding]:
    """Find averages that differ from the mean of their cells."""
    for row in rows:
        cells = cells_of(rows, row)
        if row.kind != "average" or row.metric.endswith(DIFFERENCE) or not cells:
            continue
        exact = mean([cell.exact for cell in cells])
        if not rounds_to(exact, row.value):
            yield wrong_value(row, exact, _why_average(rows, row, cells))


def wrong_differences(rows: Sequence[PublishedNumber]) -> Iterator[Finding]:
    """Find differences that do not follow from the two methods."""
    for row in rows:
        if row.metric.endswith(DIFFERENCE):
            exact = recompute(rows, row)
            if exact is not None and not rounds_to(exact, row.value):
                yield wrong_value(row, exact, _why_difference(rows, row))


def printed_twice(rows: Sequence[PublishedNumber]) -> Iterator[Finding]:
    """Find numbers that one source prints differently in two tables."""
    first: dict[tuple[str, ...], PublishedNumber] = {}
    for row in rows:
        earlier = first.setdefault(row.quantity, row)
        if not same_number(earlier.value, row.value):
            elsewhere = [
                f"{origin(other)} prints {other.value}"
                for other in rows
                if other.source != row.source and other.quantity[1:] == row.quantity[1:]
            ]
            why = "; ".join([f"{row.table} prints {row.value}", *elsewhere])
            yield wrong_value(earlier, row.exact, why)


def uneven_weights(rows: Sequence[PublishedNumber]) -> Iterator[Finding]:
    """Find averages over several benchmarks in which a benchmark with more cells weighs more."""
    for row in rows:
        if row.kind != "average" or row.benchmark:
            continue
        groups: dict[str, list[Fraction]] = {}
        for cell in cells_of(rows, row):
            groups.setdefault(cell.benchmark, []).append(cell.exact)
        if len({len(values) for values in groups.values()}) > 1:
            sizes = ", ".join(f"{name} {len(values)}" for name, values in groups.items())
            exact = mean([mean(values) for values in groups.values()])
            yield wrong_value(
                row, exact, f"cells: {sizes}; recomputed as the mean of the benchmark means"
            )


def _sides(row: PublishedNumber) -> tuple[str, list[str]]:
    """Split the method of a difference, `A - B & C`, into A and [B, C]."""
    first, _, others = row.method.partition(" - ")
    return first, others.split(" & ")


def _level(rows: Sequence[PublishedNumber], row: PublishedNumber, method: str) -> Fraction | None:
    """Return a method's mean over the cells in a row's scope, or else its printed average."""
    cells = cells_of(rows, row, method, row.metric.removesuffix(DIFFERENCE))
    return mean([cell.exact for cell in cells]) if cells else _printed(rows, row, method)


def _printed(rows: Sequence[PublishedNumber], row: PublishedNumber, method: str) -> Fraction | None:
    """Return a method's printed average for the scope of a row."""
    wanted = (row.source, method, *row.scope, row.metric.removesuffix(DIFFERENCE), "average")
    for other in rows:
        if other is not row and other.table == row.table and other.quantity == wanted:
            return other.exact
    return None


def _why_average(
    rows: Sequence[PublishedNumber], row: PublishedNumber, cells: Sequence[PublishedNumber]
) -> str:
    """Return a possible reason for a wrong average: another value of a cell, or another sum."""
    total = sum((cell.exact for cell in cells), Fraction(0))
    reasons = [
        f"correct if {scope_name(cell)} were {value} ({where})"
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
            f"the {len(cells)} cells sum to {format_recomputed(total, row.value)}, "
            f"the printed average needs {format_recomputed(needed, row.value)}"
        )
    reasons += [
        f"{origin(other)} prints the same average"
        for other in rows
        if other.source != row.source
        and other.quantity[1:] == row.quantity[1:]
        and same_number(other.value, row.value)
    ]
    return "; ".join(reasons)


def _other_values(
    rows: Sequence[PublishedNumber], cell: PublishedNumber
) -> Iterator[tuple[str, str]]:
    """Yield other printed values of a cell: in other tables, or implied by a difference."""
    for other in rows:
        if other.quantity[1:] == cell.quantity[1:] and not same_number(other.value, cell.value):
            yield other.value, origin(other)
        if other.metric == cell.metric + DIFFERENCE and other.scope == cell.scope:
            first, others = _sides(other)
            if first == cell.method and len(others) == 1 and other.source == cell.source:
                level = _level(rows, other, others[0])
                if level is not None and other.kind == "cell":
                    yield f"{float(level + other.exact):g}", "implied by the printed difference"


def _why_difference(rows: Sequence[PublishedNumber], row: PublishedNumber) -> str:
    """Return a possible reason for a wrong difference: another cell, or another pair."""
    first, others = _sides(row)
    top, bases = _level(rows, row, first), [_level(rows, row, other) for other in others]
    if row.kind == "cell" and bases[0] is not None:
        return f"correct if {first} were {float(bases[0] + row.exact):g}"
    if len(others) > 1:
        alone = [
            f"{other} {float(top - base):.2f}"
            for other, base in zip(others, bases, strict=True)
            if top is not None and base is not None
        ]
        return f"the differences to each one are {', '.join(alone)}"
    high, low = _printed(rows, row, first), _printed(rows, row, others[0])
    if high is None or low is None:
        return ""
    fits = "matches" if rounds_to(high - low, row.value) else "does not match"
    averages = f"{format_recomputed(high, '')} - {format_recomputed(low, '')}"
    return f"{fits} the printed averages: {averages}"
