"""Which of our policies in a column cannot be told from the best: what a table sets in bold.

The tests are those of `harness.statistics`; here is only which of them a column needs, and what
keeps a table of ten policies and fourteen columns from taking minutes.
"""

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
from harness.statistics.interval import Floats, Interval

SHARED = 0.9
"""The share of its episodes that every policy must have in common for them to count as pairs.

Not all, since an episode that is missing or ended in an error should not cost the pairing.
"""

PERMUTED = 50
"""Unequal pairs of scores up to which permutations are drawn; past it Student's limit is taken.

At 500 a draw takes 0.2 s, and a table of ten policies and fourteen columns has 630 of them.
"""

FEW_PAIRS, FEW_EPISODES = 3, 50
"""Up to how many pairs in a column, and episodes, the slow tests on other scenes are used.

Boschloo's test and the permutations take 0.04 s at 50 episodes. Past either number Fisher's test
and Student's limit of the permutations take over.
"""

UNEVEN = 1.1
"""How many times another's weight an episode may have where tests weigh all episodes the same."""

Integers = npt.NDArray[np.uint64]
Tasks = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Sample:
    """What one policy did in a column, one entry a scored episode.

    Attributes:
        scenes: Which scene it was; equal numbers are the same scene.
        tasks: Which of the column's tasks it belongs to.
        values: Success or score.
    """

    scenes: Integers
    tasks: Tasks
    values: Floats


@dataclass(frozen=True)
class Bold:
    """Which policies of a column are set in bold, and how that was found.

    Attributes:
        members: Their indices; empty where nothing could be compared.
        how: The test, or why there was none.
    """

    members: frozenset[int]
    how: str


def best_of(samples: Sequence[Sample], shares: Floats, plain: bool) -> Bold:
    """Compare the policies of a column; the sample of each has at least one episode.

    Args:
        samples: One for each policy, on the same tasks under the same protocol.
        shares: The weight of each task in the column's mean.
        plain: Whether values are successes.
    """
    paired = pairs(samples)
    if paired is not None:
        return _paired(*paired, shares, plain)
    weights = [_weights(sample.tasks, shares) for sample in samples]
    if any(weight.max() > UNEVEN * weight.min() for weight in weights):
        return Bold(frozenset(), "no test: other scenes, and tasks with unequal weight")
    values = [sample.values for sample in samples]
    few = len(samples) * (len(samples) - 1) // 2 <= FEW_PAIRS
    if plain:
        return _bold(values, partial(_unpaired_rates, few=few), "on different scenes")
    return _bold(values, partial(_unpaired_scores, few=few), "on different scenes")


def pairs(samples: Sequence[Sample]) -> tuple[list[Floats], Tasks] | None:
    """Return each sample's values on the scenes that all have, and the scenes' tasks.

    None if these are too few to stand for the samples.
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


def _paired(values: Sequence[Floats], tasks: Tasks, shares: Floats, plain: bool) -> Bold:
    weights = _weights(tasks, shares)
    if np.allclose(weights, weights[0]):
        return _bold(values, paired_success if plain else _paired_scores, "on the same scenes")
    # Where tasks weigh differently in the mean that the column shows, so they must in its test.
    weights = weights / weights.max()
    return _bold([v * weights for v in values], _paired_scores, "on the same scenes")


def _weights(tasks: Tasks, shares: Floats) -> Floats:
    """Return how much each episode counts in the column's mean."""
    counts = np.bincount(tasks, minlength=len(shares))
    return np.asarray(shares[tasks] / counts[tasks])


def _bold(values: Sequence[Floats], compare: Compare, scenes: str) -> Bold:
    tests: set[str] = set()

    def noted(a: npt.ArrayLike, b: npt.ArrayLike) -> Comparison:
        comparison = compare(a, b)
        tests.add(comparison.test)
        return comparison

    members = best_set(values, noted).members
    return Bold(frozenset(members), f"{' and '.join(sorted(tests))} {scenes}")


def _unpaired_rates(a: npt.ArrayLike, b: npt.ArrayLike, few: bool) -> Comparison:
    first, second = np.asarray(a, np.float64), np.asarray(b, np.float64)
    counts = int(first.sum()), len(first), int(second.sum()), len(second)
    small = few and max(len(first), len(second)) <= FEW_EPISODES
    return compare_rates(*counts) if small else _fisher(*counts)


@cache
def _fisher(successes_a: int, n_a: int, successes_b: int, n_b: int) -> Comparison:
    """Compare two rates as `compare_rates` does, by Fisher's test also where episodes are few."""
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
        # Equal scores add nothing to the test, and time to it.
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
    """Return p of a permutation test, in the limit: that of the t of the same outcomes."""
    return float(2 * stats.t.sf(abs(t), freedom))


def _comparison(difference: float, p: float, episodes: int, test: str) -> Comparison:
    """Return a comparison of which only p is asked for."""
    nan = float("nan")
    return Comparison(Interval(difference, nan, nan), p, episodes, test, nan, nan)
