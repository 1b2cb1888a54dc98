"""Differences of two of our policies, in the places of a layout."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import permutations

from harness.report.paper.best import shared_scenes
from harness.report.paper.layout import MINUS, matches
from harness.report.paper.lookup import CellLookup, Measurement
from harness.report.summary import FEWEST_TASKS
from harness.statistics.compare import newcombe_interval, paired_success
from harness.statistics.interval import (
    Interval,
    fixed_tasks_interval,
    mean_interval,
    sampled_tasks_interval,
)

_BOUNDS = (-1.0, 1.0)
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
    estimate = a.estimate - b.estimate
    difference = replace(
        a,
        estimate=estimate,
        low=min(interval.low, estimate),
        high=max(interval.high, estimate),
        n=min(a.n, b.n),
        errors=a.errors + b.errors,
        missing=a.missing + b.missing,
    )
    return difference, how


def _interval(lookup: CellLookup, a: Measurement, b: Measurement) -> tuple[Interval, str]:
    paired = shared_scenes([lookup.sample(a), lookup.sample(b)])
    if paired is None:
        one, two = (Interval(each.estimate, each.low, each.high) for each in (a, b))
        return newcombe_interval(one, two), _UNPAIRED
    (first, second), tasks = paired
    if len(a.keys) == 1 and lookup.metric == "success":
        return paired_success(first, second).difference, _PAIRED
    if len(a.keys) == 1:
        return mean_interval(first - second, _BOUNDS), _PAIRED
    clusters = lookup.task_clusters(a)[tasks].tolist()
    enough = len(set(clusters)) >= FEWEST_TASKS
    several = sampled_tasks_interval if enough else fixed_tasks_interval
    return several(first - second, clusters, _BOUNDS), _PAIRED
