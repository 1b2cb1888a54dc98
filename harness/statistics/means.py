"""Compares the means of two policies over tasks: the mean over the tasks of each task's mean.

Tables print this mean. Every task has the same weight, however many episodes it has, so the
difference, its interval and its test weigh the tasks equally too. They are for exactly these tasks.
With one task they are those of `harness.statistics.compare`.
"""

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import stats

from harness.statistics.compare import (
    RESAMPLES,
    Comparison,
    checked_values,
    newcombe_interval,
    paired_success,
    tango_interval,
    unpaired_scores,
    unpaired_success,
)
from harness.statistics.interval import (
    CONFIDENCE,
    Floats,
    Interval,
    fixed_tasks_interval,
    sampled_tasks_interval,
)

_BOUNDS = (-1.0, 1.0)
_EXACT = 200_000
"""The most possible sums for an exact p; beyond it, sums are drawn."""
_DIGITS = 9
"""Sums that are equal up to this digit are one sum."""

_Distribution = tuple[Floats, Floats]
"""The possible values of a random number, and their probabilities."""


@dataclass(frozen=True)
class MeanComparison:
    """Two policies' means over tasks, compared.

    Attributes:
        comparison: The difference, for exactly these tasks.
        similar: The interval of the same difference for similar tasks; None for one task.
        effective: The episodes per policy, on tasks of equal n, that would be as precise.
        paired: Whether both policies played the same scenes.
    """

    comparison: Comparison
    similar: Interval | None
    effective: float
    paired: bool


def paired_means(
    a: npt.ArrayLike,
    b: npt.ArrayLike,
    tasks: Sequence[Hashable],
    success: bool,
    test: bool = True,
    confidence: float = CONFIDENCE,
) -> MeanComparison:
    """Compare two policies on the same scenes of one or more tasks.

    The test swaps the two policies in every scene with probability one half. If every task has the
    same number of scenes, this is the exact McNemar test of all scenes together. Tasks that favour
    different policies make it conservative.

    Args:
        a: Success or score of A, one per scene.
        b: The same of B, in the same order.
        tasks: The task of each scene.
        success: Whether the values are successes; else they are scores.
        test: Whether to test; without, p may be nan, which saves the time of a slow test.
        confidence: Confidence level of the intervals.
    """
    first, second = checked_values(a, success), checked_values(b, success)
    if len(first) != len(second):
        raise ValueError(f"pairs need the same scenes, but A has {len(first)} and B {len(second)}")
    index, sizes = _indexed(tasks, len(first))
    gaps, several = first - second, len(sizes) > 1
    similar = sampled_tasks_interval(gaps, index.tolist(), _BOUNDS, confidence) if several else None
    if success and np.ptp(sizes) == 0:
        pooled = paired_success(first, second, confidence)
        return MeanComparison(pooled, similar, float(len(first)), paired=True)
    weights = 1 / (len(sizes) * sizes[index])
    null, discordant = float(np.square(weights * gaps).sum()), float(weights @ np.square(gaps))
    effective = min(_harmonic(sizes), discordant / null if null else math.inf)
    p = math.nan
    if success:
        mean = float(weights @ gaps)
        won, lost = (effective * max(0.0, discordant + sign * mean) / 2 for sign in (1, -1))
        interval = replace(tango_interval(won, lost, effective, confidence), estimate=mean)
        parts = [_signs(gaps[sizes[index] == n], 1 / (len(sizes) * n)) for n in np.unique(sizes)]
        p, name = _two_sided(parts, mean), "McNemar"
    else:
        interval = fixed_tasks_interval(gaps, index.tolist(), _BOUNDS, confidence)
        name = "paired permutation"
        if test:
            swaps = [(np.array([-g, g]), np.full(2, 0.5)) for g in (gaps * weights)[gaps != 0]]
            p = _two_sided(swaps, interval.estimate)
    name += ", tasks weighted equally" if np.ptp(sizes) else ""
    within = sum(float(gaps[index == t].var()) / n for t, n in enumerate(sizes)) / len(sizes) ** 2
    n = len(first)
    comparison = Comparison(interval, p, n, name, (n * null) ** 0.5, (n * within) ** 0.5)
    return MeanComparison(comparison, similar, effective, paired=True)


def unpaired_means(
    a: tuple[npt.ArrayLike, Sequence[Hashable]],
    b: tuple[npt.ArrayLike, Sequence[Hashable]],
    success: bool,
    test: bool = True,
    confidence: float = CONFIDENCE,
) -> MeanComparison:
    """Compare two policies on different scenes of the same tasks.

    The test exchanges the episodes of the two policies within each task. The interval is
    Newcombe's, from the intervals of the two means.

    Args:
        a: Success or score of each of A's episodes, and the task of each.
        b: The same of B; the numbers of episodes may differ.
        success: Whether the values are successes; else they are scores.
        test: Whether to test; without, p may be nan, which saves the time of a slow test.
        confidence: Confidence level of the intervals.
    """
    first, second = checked_values(a[0], success), checked_values(b[0], success)
    index, sizes = _indexed([*a[1], *b[1]], len(first) + len(second))
    one, two = index[: len(first)], index[len(first) :]
    sizes_a, sizes_b = (np.bincount(each, minlength=len(sizes)) for each in (one, two))
    if not (sizes_a.all() and sizes_b.all()):
        raise ValueError("both policies need episodes of every task")
    n, several = min(len(first), len(second)), len(sizes) > 1
    if test and not several:
        pooled = (unpaired_success if success else unpaired_scores)(first, second, confidence)
        return MeanComparison(pooled, None, float(n), paired=False)

    def newcombe(interval: Callable[..., Interval]) -> Interval:
        return newcombe_interval(
            interval(first, one.tolist(), confidence=confidence),
            interval(second, two.tolist(), confidence=confidence),
        )

    fixed = newcombe(fixed_tasks_interval)
    similar = newcombe(sampled_tasks_interval) if several else None
    groups = [(first[one == t], second[two == t]) for t in range(len(sizes))]
    if success:
        p, name = _two_sided(_tables(groups), fixed.estimate), "exact permutation within tasks"
    else:
        p = _exchanged_p(groups, fixed.estimate) if test else math.nan
        name = "permutation within tasks"
    null = within = 0.0
    for x, y in groups:
        null += float(np.concatenate([x, y]).var()) * (1 / len(x) + 1 / len(y))
        within += float(x.var() / len(x) + y.var() / len(y))
    scale = n / len(sizes) ** 2
    comparison = Comparison(fixed, p, n, name, (scale * null) ** 0.5, (scale * within) ** 0.5)
    effective = min(_harmonic(sizes_a), _harmonic(sizes_b))
    return MeanComparison(comparison, similar, effective, paired=False)


def _indexed(
    tasks: Sequence[Hashable], episodes: int
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return the index of each episode's task, and the episodes of each task."""
    if len(tasks) != episodes:
        raise ValueError(f"{episodes} episodes, but {len(tasks)} tasks")
    order = {task: index for index, task in enumerate(dict.fromkeys(tasks))}
    index = np.array([order[task] for task in tasks], np.intp)
    return index, np.bincount(index)


def _harmonic(sizes: npt.NDArray[np.intp]) -> float:
    """Return the number of tasks times the harmonic mean of their episodes."""
    return float(len(sizes) / np.mean(1 / sizes))


def _signs(gaps: Floats, weight: float) -> _Distribution:
    """Return the weighted difference on tasks of equal n if each scene is swapped by chance."""
    discordant = int(np.count_nonzero(gaps))
    wins = np.arange(discordant + 1)
    return weight * (2.0 * wins - discordant), stats.binom.pmf(wins, discordant, 0.5)


def _tables(groups: Sequence[tuple[Floats, Floats]]) -> list[_Distribution]:
    """Return the difference of each task if its successes are dealt by chance.

    Tasks with the same numbers of episodes become one part: their wins simply add up.
    """
    chances: dict[tuple[int, int], Floats] = {}
    successes: dict[tuple[int, int], int] = {}
    for x, y in groups:
        sizes, won = (len(x), len(y)), int(x.sum() + y.sum())
        chance = stats.hypergeom.pmf(np.arange(len(x) + 1), len(x) + len(y), won, len(x))
        before = chances.get(sizes, np.ones(1))
        chances[sizes] = np.convolve(before, chance)
        successes[sizes] = successes.get(sizes, 0) + won
    parts = []
    for (n_a, n_b), chance in chances.items():
        wins = np.arange(len(chance))
        gaps = wins / n_a - (successes[n_a, n_b] - wins) / n_b
        parts.append((gaps[chance > 0] / len(groups), chance[chance > 0]))
    return parts


def _two_sided(parts: Sequence[_Distribution], observed: float) -> float:
    """Return twice the chance that a sum of independent parts is as extreme as the observed one."""
    random = np.random.default_rng(0)
    values, chances = np.zeros(1), np.ones(1)
    exact = True
    for part_values, part_chances in parts:
        exact = exact and len(values) * len(part_values) <= _EXACT
        if not exact:
            break
        sums = np.round(np.add.outer(values, part_values).ravel(), _DIGITS)
        values, where = np.unique(sums, return_inverse=True)
        products = np.multiply.outer(chances, part_chances).ravel()
        chances = np.asarray(np.bincount(where, products), np.float64)
    if not exact:
        drawn = [random.choice(v, RESAMPLES, p=c / c.sum()) for v, c in parts]
        # The observed sum counts as one of the draws.
        values = np.append(np.sum(drawn, axis=0), observed)
        chances = np.full(len(values), 1 / len(values))
    tolerance = 10.0 ** (1 - _DIGITS)
    up = float(chances[values >= observed - tolerance].sum())
    down = float(chances[values <= observed + tolerance].sum())
    return min(1.0, 2 * min(up, down))


def _exchanged_p(groups: Sequence[tuple[Floats, Floats]], observed: float) -> float:
    """Return the p of a mean difference if the scores of each task are dealt by chance."""
    random = np.random.default_rng(0)
    sums = np.zeros(RESAMPLES)
    for x, y in groups:
        both = np.concatenate([x, y])
        for start in range(0, RESAMPLES, 1000):
            part = sums[start : start + 1000]
            dealt = random.permuted(np.tile(both, (len(part), 1)), axis=1)
            part += dealt[:, : len(x)].mean(axis=1) - dealt[:, len(x) :].mean(axis=1)
    values = np.append(sums / len(groups), observed)
    tolerance = 10.0 ** (1 - _DIGITS)
    tails = np.mean(values >= observed - tolerance), np.mean(values <= observed + tolerance)
    return min(1.0, 2 * float(min(tails)))
