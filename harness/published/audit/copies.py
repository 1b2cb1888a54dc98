"""Finds copied rows, wrongly copied cells, and ablations without their base setting."""

from collections import Counter
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import combinations

from harness.published.audit.finding import Finding, mean, origin, scope_name, wrong_value
from harness.published.decimals import same_number
from harness.published.reference import PublishedNumber

_FEWEST, _SHARE = 4, 0.75
"""Two rows are similar if they share at least 4 cells and three quarters of them are equal."""

_Scope = tuple[str, ...]
_Profile = dict[_Scope, list[PublishedNumber]]
"""The cells of one source, method and benchmark. Several tables may print a cell."""


def broken_copies(rows: Sequence[PublishedNumber]) -> Iterator[Finding]:
    """Find cells that differ between two sources, if nearly all other cells of the method agree."""
    for one, other, equal in _similar(rows):
        mine, theirs = _any(one), _any(other)
        if mine.method != theirs.method:
            continue
        for where in one:
            if where in other and where not in equal:
                cell, their = one[where][0], other[where][0]
                why = f"{origin(their)} has {their.value}; the other {len(equal)} cells are equal"
                yield wrong_value(cell, their.exact, why)


def exact_copies(rows: Sequence[PublishedNumber]) -> Iterator[Finding]:
    """Find results described as retrained that equal another source's in every cell."""
    for one, other, equal in _similar(rows):
        mine, theirs = _any(one), _any(other)
        shared = one.keys() & other.keys()
        for cell, twin in ((mine, theirs), (theirs, mine)):
            if mine.method == theirs.method and len(equal) == len(shared) and _retrained(cell):
                why = f"described as retrained, but every cell equals the one in {origin(twin)}"
                yield _similarity(cell, len(equal), len(shared), why)


def near_copies(rows: Sequence[PublishedNumber]) -> Iterator[Finding]:
    """Find two methods with nearly equal cells on a benchmark."""
    for one, other, equal in _similar(rows):
        mine, theirs = _any(one), _any(other)
        # Different methods often share scores of 0 and 100.
        telling = [where for where in equal if 0 < one[where][0].exact < 100]
        if _base(mine) != _base(theirs) and len(telling) >= _FEWEST * _SHARE:
            why = f"nearly equal to the row of {theirs.method} in {origin(theirs)}"
            yield _similarity(mine, len(equal), len(one.keys() & other.keys()), why)


def lost_bases(rows: Sequence[PublishedNumber]) -> Iterator[Finding]:
    """Find tables of a method that lack the base setting of its ablations.

    The base is the row that most ablation tables of the method share, cell by cell.
    """
    tables: dict[_Scope, dict[str, dict[str, list[PublishedNumber]]]] = {}
    for row in rows:
        if row.kind == "cell" and row.metric == "success":
            methods = tables.setdefault((row.source, _base(row), row.benchmark), {})
            methods.setdefault(row.table, {}).setdefault(row.method, []).append(row)
    for by_table in tables.values():
        ablations = {t: rows for t, rows in by_table.items() if any(_variant(m) for m in rows)}
        counts = Counter(_values(cells) for rows in ablations.values() for cells in rows.values())
        base, times = counts.most_common(1)[0] if counts else ((), 0)
        if times < 2:
            continue
        sharing = [t for t, found in ablations.items() if base in map(_values, found.values())]
        level = mean([Fraction(value) for _, value in base])
        for table, found in by_table.items():
            if table not in sharing:
                best = max(found.values(), key=lambda cells: mean([c.exact for c in cells]))
                reached = mean([cell.exact for cell in best])
                yield Finding(
                    best[0],
                    f"{best[0].method}: best row on {best[0].benchmark}",
                    "/".join(cell.value for cell in best),
                    "/".join(dict(base).get(scope_name(cell), "-") for cell in best),
                    f"{float(reached - level):+.2f}",
                    f"differs from the setting that {', '.join(sharing)} share: mean "
                    f"{float(reached):.2f} instead of {float(level):.2f}",
                )


def _similar(rows: Sequence[PublishedNumber]) -> Iterator[tuple[_Profile, _Profile, set[_Scope]]]:
    """Yield the pairs of similar profiles, with the scopes of their equal cells."""
    profiles: dict[tuple[str, str, str], _Profile] = {}
    for row in rows:
        if row.kind == "cell" and row.metric == "success":
            profile = profiles.setdefault((row.source, row.method, row.benchmark), {})
            profile.setdefault(row.scope, []).append(row)
    for (key, one), (other_key, other) in combinations(profiles.items(), 2):
        shared = one.keys() & other.keys()
        if key[2] != other_key[2] or len(shared) < _FEWEST:
            continue
        equal = {
            where
            for where in shared
            if any(same_number(a.value, b.value) for a in one[where] for b in other[where])
        }
        if len(equal) >= _SHARE * len(shared):
            yield one, other, equal


def _similarity(row: PublishedNumber, equal: int, shared: int, why: str) -> Finding:
    what = f"{row.method}: row on {row.benchmark}"
    return Finding(row, what, f"{shared} cells", f"{equal} equal", "", why)


def _any(profile: _Profile) -> PublishedNumber:
    """Return one of the numbers; they share source, method and benchmark."""
    return next(iter(profile.values()))[0]


def _retrained(row: PublishedNumber) -> bool:
    """Return whether the source says that it retrained the method."""
    return "retrained" in row.protocol


def _variant(method: str) -> bool:
    return method.endswith("]")


def _base(row: PublishedNumber) -> str:
    """Return the method without the varied setting of an ablation."""
    return row.method.partition(" [")[0]


def _values(cells: Sequence[PublishedNumber]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((scope_name(cell), cell.value) for cell in cells))
