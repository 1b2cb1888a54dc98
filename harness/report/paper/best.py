"""Finds the policies that a table prints in bold: the best, and all not significantly worse.

Nothing is bold in a column in which no policy is significantly worse than the best. There, bold
would mark every number and say nothing.

The tests come from `harness.statistics`. This module chooses the test for a column and replaces
slow tests by their limits, so that a table of ten policies and fourteen columns takes seconds.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, partial, reduce

import numpy as np
import numpy.typing as npt
from scipy import stats

from harness.statistics.compare import (
    Compare,
    Comparison,
    compare_rates,
    paired_scores,
    paired_success,
    unpaired_scores,
)
from harness.statistics.family import best_set
from harness.statistics.interval import ALPHA, Floats, Interval

SHARED = 0.9
"""The share of episodes that all policies must have in common for a paired test.

It is below 1, so that a missing episode or an error does not end the pairing.
"""

PERMUTED = 50
"""Unequal pairs up to which the permutation test draws permutations; above, Student's t is used.

At 500 pairs one test takes 0.2 s, and a table of ten policies and fourteen columns has 630 tests.
"""

FEW_PAIRS, FEW_EPISODES = 3, 50
"""Pairs of policies, and episodes, up to which the slow unpaired tests are used.

Boschloo's test and the permutation test take 0.04 s at 50 episodes. Above either number,
Fisher's test and Student's t replace them.
"""

UNEVEN = 1.1
"""The largest ratio of two episodes' weights for which an unweighted test is used."""

Integers = npt.NDArray[np.uint64]
Tasks = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Sample:
    """The scored episodes of one policy in a column.

    Attributes:
        scenes: The scene of each episode; equal numbers are the same scene.
        tasks: The index of each episode's task in the column.
        values: Success or score of each episode.
    """

    scenes: Integers
    tasks: Tasks
    values: Floats


@dataclass(frozen=True)
class BestPolicies:
    """The best policy of a column and those not significantly worse.

    Attributes:
        members: Their indices; empty if nothing could be compared, or no policy is worse.
        how: The test, or the reason why there was none.
        possible: Whether this many episodes could show a difference at all.
    """

    members: frozenset[int]
    how: str
    possible: bool = True


def best_policies(samples: Sequence[Sample], weights: Floats, success: bool) -> BestPolicies:
    """Compare the policies of a column.

    Args:
        samples: One for each policy, none empty, on the same tasks under the same protocol.
        weights: The weight of each task in the column's mean.
        success: Whether values are successes; else they are scores.
    """
    paired = shared_scenes(samples)
    if paired is not None:
        return _paired(*paired, weights, success)
    of_episodes = [_episode_weights(sample.tasks, weights) for sample in samples]
    if any(each.max() > UNEVEN * each.min() for each in of_episodes):
        return BestPolicies(frozenset(), "no test: different scenes, and tasks of unequal weight")
    values = [sample.values for sample in samples]
    few = len(samples) * (len(samples) - 1) // 2 <= FEW_PAIRS
    if success:
        return _best(values, partial(_unpaired_rates, few=few), "on different scenes")
    return _best(values, partial(_unpaired_scores, few=few), "on different scenes")


def shared_scenes(samples: Sequence[Sample]) -> tuple[list[Floats], Tasks] | None:
    """Return each sample's values on the scenes that all have, and the scenes' tasks.

    None if the samples share too few scenes.
    """
    common = reduce(np.intersect1d, [sample.scenes for sample in samples])
    if len(common) < SHARED * max(len(sample.scenes) for sample in samples):
        return None
    values, tasks = [], np.zeros(0, np.intp)
    for sample in samples:
        order = np.argsort(sample.scenes)
        kept = order[np.searchsorted(sample.scenes[order], common)]
        values.append(sample.values[kept])
        tasks = sample.tasks[kept]
    return values, tasks


def _paired(values: Sequence[Floats], tasks: Tasks, weights: Floats, success: bool) -> BestPolicies:
    of_episodes = _episode_weights(tasks, weights)
    if np.allclose(of_episodes, of_episodes[0]):
        return _best(values, paired_success if success else _paired_scores, "on the same scenes")
    # The test weighs tasks as the column's mean does.
    of_episodes = of_episodes / of_episodes.max()
    weighted = [v * of_episodes for v in values]
    return _best(weighted, _paired_scores, "on the same scenes", of_episodes)


def _episode_weights(tasks: Tasks, weights: Floats) -> Floats:
    """Return each episode's weight in the column's mean."""
    counts = np.bincount(tasks, minlength=len(weights))
    return np.asarray(weights[tasks] / counts[tasks])


def _best(
    values: Sequence[Floats], compare: Compare, scenes: str, weights: Floats | float = 1.0
) -> BestPolicies:
    tests: set[str] = set()

    def compare_and_note(a: npt.ArrayLike, b: npt.ArrayLike) -> Comparison:
        comparison = compare(a, b)
        tests.add(comparison.test)
        return comparison

    members = best_set(values, compare_and_note).members
    how = f"{' and '.join(sorted(tests))} {scenes}"
    if len(members) < len(values):
        return BestPolicies(frozenset(members), how)
    return BestPolicies(
        frozenset(), how, _possible([weights * np.ones_like(each) for each in values], compare)
    )


def _possible(sizes: Sequence[Floats], compare: Compare) -> bool:
    """Return whether the test could tell a policy that always succeeds from one that never does.

    Args:
        sizes: What a success in each episode counts, for every policy.
        compare: The test.
    """
    pairs = len(sizes) * (len(sizes) - 1) // 2
    most, second = sorted(sizes, key=len, reverse=True)[:2]
    return pairs * compare(most, np.zeros_like(second)).p <= ALPHA


def _unpaired_rates(a: npt.ArrayLike, b: npt.ArrayLike, few: bool) -> Comparison:
    first, second = np.asarray(a, np.float64), np.asarray(b, np.float64)
    counts = int(first.sum()), len(first), int(second.sum()), len(second)
    small = few and max(len(first), len(second)) <= FEW_EPISODES
    return compare_rates(*counts) if small else _fisher(*counts)


@cache
def _fisher(successes_a: int, n_a: int, successes_b: int, n_b: int) -> Comparison:
    """Compare two rates by Fisher's test, which is fast for any number of episodes."""
    table = [[successes_a, successes_b], [n_a - successes_a, n_b - successes_b]]
    p = min(1.0, float(stats.fisher_exact(table).pvalue))
    return _comparison(successes_a / n_a - successes_b / n_b, p, min(n_a, n_b), "Fisher")


def _paired_scores(a: npt.ArrayLike, b: npt.ArrayLike) -> Comparison:
    first, second = np.asarray(a, np.float64), np.asarray(b, np.float64)
    differences = first - second
    changed = differences != 0
    unequal = int(changed.sum())
    if not unequal:
        return _comparison(0.0, 1.0, len(first), "paired permutation")
    if unequal <= PERMUTED:
        # Equal scores do not change the result, only the time.
        return replace(paired_scores(first[changed], second[changed]), episodes=len(first))
    z = float(differences.sum() / np.sqrt(np.square(differences).sum()))
    p = _student(z * np.sqrt((unequal - 1) / max(unequal - z * z, 1e-9)), unequal - 1)
    return _comparison(float(differences.mean()), p, len(first), "paired permutation")


def _unpaired_scores(a: npt.ArrayLike, b: npt.ArrayLike, few: bool) -> Comparison:
    first, second = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if few and max(len(first), len(second)) <= FEW_EPISODES:
        return unpaired_scores(first, second)
    n = len(first) + len(second)
    both = np.concatenate([first, second])
    difference = float(first.mean() - second.mean())
    variance = float(both.var(ddof=1)) * (1 / len(first) + 1 / len(second)) if n > 2 else 0.0
    z = difference / np.sqrt(variance) if variance else 0.0
    p = _student(z * np.sqrt((n - 2) / max(n - 1 - z * z, 1e-9)), n - 2)
    return _comparison(difference, p, min(len(first), len(second)), "permutation")


def _student(t: float, freedom: int) -> float:
    """Return the p-value of t, the limit of a permutation test's."""
    return float(2 * stats.t.sf(abs(t), freedom))


def _comparison(difference: float, p: float, episodes: int, test: str) -> Comparison:
    """Return a comparison without an interval, since the table needs only p."""
    interval = Interval(difference, math.nan, math.nan)
    return Comparison(interval, p, episodes, test, math.nan, math.nan)
