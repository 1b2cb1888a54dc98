"""Differences of two of our policies, in the places of a layout."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import permutations

from harness.report.paper.best import pairs
from harness.report.paper.layout import LESS, matches
from harness.report.paper.lookup import Finder, Found
from harness.report.summary import FEWEST_TASKS
from harness.statistics.compare import newcombe_interval, paired_success
from harness.statistics.interval import (
    Interval,
    fixed_tasks_interval,
    mean_interval,
    sampled_tasks_interval,
)

BOUNDS = (-1.0, 1.0)
PAIRED, APART = "pairs on the same scenes", "different scenes"


@dataclass(frozen=True)
class Difference:
    """One policy less another, in every place.

    Attributes:
        label: What the table calls it.
        name: Both policies.
        cells: For each place the difference, or None where there is none.
        how: What the intervals come from.
    """

    label: str
    name: str
    cells: tuple[Found | None, ...]
    how: tuple[str, ...]


def differences(finder: Finder, found: Sequence[Sequence[Found | None]]) -> list[Difference]:
    """Build the differences that a layout names, one for each pair of policies with a number.

    Args:
        finder: Where the numbers are from.
        found: For each place the number of every series.
    """
    made: list[Difference] = []
    for wanted in finder.layout.differences:
        first, _, second = wanted.ours.partition(LESS)
        mine: list[Difference] = []
        for (i, a), (j, b) in permutations(enumerate(finder.series), 2):
            if a.policy != b.policy and matches(first, a.policy) and matches(second, b.policy):
                less = [_less(finder, column[i], column[j]) for column in found]
                how = tuple(dict.fromkeys(how for cell, how in less if cell))
                cells = tuple(cell for cell, _ in less)
                mine.append(Difference(wanted.label, f"{a.policy}{LESS}{b.policy}", cells, how))
        mine = [difference for difference in mine if difference.how]
        if len(mine) > 1:
            mine = [replace(each, label=f"{each.label} ({each.name})") for each in mine]
        made += mine
    return made


def _less(finder: Finder, a: Found | None, b: Found | None) -> tuple[Found | None, str]:
    """Return a less b, if they are of one protocol and the same tasks, and how it was compared."""
    if a is None or b is None or not (a.known and b.known) or a.kind != b.kind:
        return None, ""
    interval, how = _interval(finder, a, b)
    # Errors can cost an episode its pair; the estimate is what the two numbers say all the same.
    estimate = a.estimate - b.estimate
    less = replace(
        a,
        estimate=estimate,
        low=min(interval.low, estimate),
        high=max(interval.high, estimate),
        n=min(a.n, b.n),
        errors=a.errors + b.errors,
        missing=a.missing + b.missing,
    )
    return less, how


def _interval(finder: Finder, a: Found, b: Found) -> tuple[Interval, str]:
    paired = pairs([finder.sample(a), finder.sample(b)])
    if paired is None:
        one, two = (Interval(each.estimate, each.low, each.high) for each in (a, b))
        return newcombe_interval(one, two), APART
    (first, second), tasks = paired
    if len(a.keys) == 1 and finder.metric == "success":
        return paired_success(first, second).difference, PAIRED
    if len(a.keys) == 1:
        return mean_interval(first - second, BOUNDS), PAIRED
    clusters = finder.clusters(a)[tasks].tolist()
    enough = len(set(clusters)) >= FEWEST_TASKS
    several = sampled_tasks_interval if enough else fixed_tasks_interval
    return several(first - second, clusters, BOUNDS), PAIRED
