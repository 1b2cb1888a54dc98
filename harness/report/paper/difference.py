"""Differences of two of our policies, in the places of a layout."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import permutations

from harness.report.compare import compare_samples
from harness.report.paper.layout import MINUS, matches
from harness.report.paper.lookup import CellLookup, Measurement
from harness.report.summary import FEWEST_TASKS
from harness.statistics.interval import Interval

_PAIRED, _UNPAIRED = "pairs on the same scenes", "different scenes"


@dataclass(frozen=True)
class Difference:
    """One policy minus another, in every place.

    Attributes:
        label: The text in the table.
        name: Both policies.
        cells: The difference in each place, or None.
        how: What the intervals are computed from.
    """

    label: str
    name: str
    cells: tuple[Measurement | None, ...]
    how: tuple[str, ...]


def make_differences(
    lookup: CellLookup, measured: Sequence[Sequence[Measurement | None]]
) -> list[Difference]:
    """Return the layout's differences, one for each pair of policies that matches.

    Args:
        lookup: The source of the numbers.
        measured: For each place, the number of every row.
    """
    made: list[Difference] = []
    for wanted in lookup.layout.differences:
        first, _, second = wanted.ours.partition(MINUS)
        mine: list[Difference] = []
        for (i, a), (j, b) in permutations(enumerate(lookup.rows), 2):
            if a.policy != b.policy and matches(first, a.policy) and matches(second, b.policy):
                pairs = [_subtract(lookup, column[i], column[j]) for column in measured]
                how = tuple(dict.fromkeys(how for value, how in pairs if value))
                cells = tuple(value for value, _ in pairs)
                mine.append(Difference(wanted.label, f"{a.policy}{MINUS}{b.policy}", cells, how))
        mine = [difference for difference in mine if difference.how]
        if len(mine) > 1:
            mine = [replace(each, label=f"{each.label} ({each.name})") for each in mine]
        made += mine
    return made


def _subtract(
    lookup: CellLookup, a: Measurement | None, b: Measurement | None
) -> tuple[Measurement | None, str]:
    """Return a - b and how it was compared; None if protocols or tasks differ."""
    if a is None or b is None or not (a.known and b.known) or a.kind != b.kind:
        return None, ""
    interval, how = _interval(lookup, a, b)
    # An error removes a pair, but the estimate stays the difference of the two printed numbers.
    interval = interval.around(a.estimate - b.estimate)
    difference = replace(
        a,
        estimate=interval.estimate,
        low=interval.low,
        high=interval.high,
        n=min(a.n, b.n),
        errors=a.errors + b.errors,
        missing=a.missing + b.missing,
    )
    return difference, how


def _interval(lookup: CellLookup, a: Measurement, b: Measurement) -> tuple[Interval, str]:
    """Return the interval that `compare` gives, of the kind that the cells of this table have."""
    clusters = lookup.task_clusters(a)
    one, two = (replace(s, tasks=clusters[s.tasks]) for s in map(lookup.sample, (a, b)))
    found, _ = compare_samples(one, two, lookup.metric == "success", test=False)
    if found.similar and len(set(clusters.tolist())) >= FEWEST_TASKS:
        interval = found.similar
    else:
        interval = found.comparison.difference
    return interval, _PAIRED if found.paired else _UNPAIRED
