"""Rows that are too alike: results copied, or copied wrongly, and ablations without their base."""

from collections import Counter
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import combinations

from harness.published.audit.finding import Finding, compare, mean, origin, place
from harness.published.decimals import same
from harness.published.reference import Published

FEWEST, SHARE = 4, 0.75
"""Two rows are alike if they have so many cells in common, and this share of them is equal."""

Place = tuple[str, ...]
Profile = dict[Place, list[Published]]
"""What one source prints for one method on one benchmark, perhaps in several tables."""


def broken_copies(rows: Sequence[Published]) -> Iterator[Finding]:
    """Find the cells in which two sources differ about a method and agree in nearly all others."""
    for one, other, equal in _alike(rows):
        mine, theirs = _any(one), _any(other)
        if mine.method != theirs.method:
            continue
        for where in one:
            if where in other and where not in equal:
                cell, their = one[where][0], other[where][0]
                why = f"{origin(their)} has {their.value}; the other {len(equal)} cells are equal"
                yield compare(cell, their.exact, why)


def exact_copies(rows: Sequence[Published]) -> Iterator[Finding]:
    """Find results said to be made anew that are in every cell those of another source."""
    for one, other, equal in _alike(rows):
        mine, theirs = _any(one), _any(other)
        shared = one.keys() & other.keys()
        for cell, twin in ((mine, theirs), (theirs, mine)):
            if mine.method == theirs.method and len(equal) == len(shared) and _retrained(cell):
                why = f"said to be retrained, yet every cell is the one in {origin(twin)}"
                yield _likeness(cell, len(equal), len(shared), why)


def near_copies(rows: Sequence[Published]) -> Iterator[Finding]:
    """Find two methods whose cells on a benchmark are nearly all equal."""
    for one, other, equal in _alike(rows):
        mine, theirs = _any(one), _any(other)
        # Zeros and full scores are equal by nature.
        telling = [where for where in equal if 0 < one[where][0].exact < 100]
        if _base(mine) != _base(theirs) and len(telling) >= FEWEST * SHARE:
            why = f"nearly the row of {theirs.method} in {origin(theirs)}"
            yield _likeness(mine, len(equal), len(one.keys() & other.keys()), why)


def lost_bases(rows: Sequence[Published]) -> Iterator[Finding]:
    """Find ablations that do not contain the setting that the others start from, and main results.

    The base is the row that most tables of variants of one method have in common, cell by cell.
    """
    tables: dict[Place, dict[str, dict[str, list[Published]]]] = {}
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
                    "/".join(dict(base).get(place(cell), "-") for cell in best),
                    f"{float(reached - level):+.2f}",
                    f"not the setting that {', '.join(sharing)} have in common: mean "
                    f"{float(reached):.2f} against {float(level):.2f}",
                )


def _alike(rows: Sequence[Published]) -> Iterator[tuple[Profile, Profile, set[Place]]]:
    """Return the pairs of alike profiles, with the places at which they are equal."""
    profiles: dict[tuple[str, str, str], Profile] = {}
    for row in rows:
        if row.kind == "cell" and row.metric == "success":
            profile = profiles.setdefault((row.source, row.method, row.benchmark), {})
            profile.setdefault(row.place, []).append(row)
    for (key, one), (other_key, other) in combinations(profiles.items(), 2):
        shared = one.keys() & other.keys()
        if key[2] != other_key[2] or len(shared) < FEWEST:
            continue
        equal = {
            where
            for where in shared
            if any(same(a.value, b.value) for a in one[where] for b in other[where])
        }
        if len(equal) >= SHARE * len(shared):
            yield one, other, equal


def _likeness(row: Published, equal: int, shared: int, why: str) -> Finding:
    what = f"{row.method}: row on {row.benchmark}"
    return Finding(row, what, f"{shared} cells", f"{equal} equal", "", why)


def _any(profile: Profile) -> Published:
    """Return one of the numbers, for what they have in common."""
    return next(iter(profile.values()))[0]


def _retrained(row: Published) -> bool:
    """Return whether the source says that it made the number itself."""
    return "retrained" in row.protocol


def _variant(method: str) -> bool:
    return method.endswith("]")


def _base(row: Published) -> str:
    """Return the method without the setting that an ablation changes."""
    return row.method.partition(" [")[0]


def _values(cells: Sequence[Published]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((place(cell), cell.value) for cell in cells))
