"""Intervals for a success rate, a mean score, and the mean of a suite.

All of them are Wilson's interval with an effective number of episodes: the number of binary
episodes that would give the same information (Korn and Graubard 1998; Dean and Pagano 2015). For
the successes of one task this is Wilson's interval itself. It stays inside the bounds and never has
zero width. The bootstrap and Student's t have zero width when every episode succeeds.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

CONFIDENCE = 0.95
ALPHA = 0.05
"""The level of a test: its largest rate of false positives."""

_PSEUDO_COUNT = 0.5
"""Episodes added at each bound before the variance is estimated.

Without them, ten equal scores would give a variance of zero. For successes they cancel out.
"""

Floats = npt.NDArray[np.float64]
_Bounds = tuple[float, float]
_UNIT: _Bounds = (0.0, 1.0)


@dataclass(frozen=True)
class Interval:
    """An estimate with its confidence interval, which contains it.

    Attributes:
        estimate: The estimate.
        low: The lower limit.
        high: The upper limit.
    """

    estimate: float
    low: float
    high: float

    def __contains__(self, value: float) -> bool:
        """Return whether a value lies in the interval."""
        return self.low <= value <= self.high

    def around(self, estimate: float) -> "Interval":
        """Return the interval with another estimate of the same number, widened to contain it."""
        return Interval(estimate, min(self.low, estimate), max(self.high, estimate))


def rate_interval(successes: int, n: int, confidence: float = CONFIDENCE) -> Interval:
    """Return Wilson's interval of a success rate.

    Args:
        successes: Episodes that succeeded.
        n: Episodes that were scored.
        confidence: Confidence level of the interval, on average over rates.
    """
    if not 0 <= successes <= n or n == 0:
        raise ValueError(f"impossible counts: {successes} successes of {n} episodes")
    low, high = proportion_confint(successes, n, alpha=1 - confidence, method="wilson")
    # With only failures, rounding gives a lower limit of 1e-17 instead of 0.
    rate = successes / n
    return Interval(rate, min(float(low), rate), max(float(high), rate))


def mean_interval(
    scores: npt.ArrayLike, bounds: _Bounds = _UNIT, confidence: float = CONFIDENCE
) -> Interval:
    """Return the interval of the mean of bounded scores, such as process scores.

    Args:
        scores: One score per episode.
        bounds: The lowest and the highest possible score; (-1, 1) for paired differences.
        confidence: Confidence level of the interval.
    """
    shares = _shares(scores, bounds)
    z = float(stats.norm.ppf((1 + confidence) / 2))
    return _wilson(float(shares.mean()), _effective_episodes([shares]), z, bounds)


def fixed_tasks_interval(
    scores: npt.ArrayLike,
    tasks: Sequence[Hashable],
    bounds: _Bounds = _UNIT,
    confidence: float = CONFIDENCE,
) -> Interval:
    """Return the interval of the mean over exactly these tasks, stratified by task.

    Use it to predict more episodes of the same tasks. Differences between tasks do not widen it.
    Every task has the same weight.

    Args:
        scores: One success or score per episode.
        tasks: The task of each episode.
        bounds: The lowest and the highest possible score.
        confidence: Confidence level of the interval.
    """
    strata = _by_task(_shares(scores, bounds), tasks)
    mean = float(np.mean([stratum.mean() for stratum in strata]))
    z = float(stats.norm.ppf((1 + confidence) / 2))
    return _wilson(mean, _effective_episodes(strata), z, bounds)


def sampled_tasks_interval(
    scores: npt.ArrayLike,
    tasks: Sequence[Hashable],
    bounds: _Bounds = _UNIT,
    confidence: float = CONFIDENCE,
) -> Interval:
    """Return the interval of the mean over similar tasks, clustered by task.

    Use it to predict other tasks of the same kind. A task counts as one draw, however many episodes
    it has. The quantile is Student's, with one degree of freedom less than there are tasks. The
    interval is never narrower than that of `fixed_tasks_interval`, because a few tasks may agree by
    chance.

    Args:
        scores: One success or score per episode.
        tasks: The task of each episode; at least two different tasks.
        bounds: The lowest and the highest possible score.
        confidence: Confidence level of the interval.
    """
    strata = _by_task(_shares(scores, bounds), tasks)
    if len(strata) < 2:
        raise ValueError(
            "an interval for similar tasks needs at least two tasks; use fixed_tasks_interval"
        )
    means = np.array([stratum.mean() for stratum in strata])
    mean, variance = float(means.mean()), float(means.var(ddof=1)) / len(means)
    episodes = _effective_episodes(strata)
    if variance > 0:
        episodes = min(episodes, mean * (1 - mean) / variance)
    t = float(stats.t.ppf((1 + confidence) / 2, len(means) - 1))
    return _wilson(mean, episodes, t, bounds)


def _shares(scores: npt.ArrayLike, bounds: _Bounds) -> Floats:
    """Return the scores scaled from their bounds to [0, 1]."""
    low, high = bounds
    values = np.asarray(scores, dtype=np.float64)
    if values.ndim != 1 or not values.size:
        raise ValueError("scores must be a non-empty list of numbers")
    # This form rejects nan too, because every comparison with nan is false.
    if not np.all((values >= low) & (values <= high)):
        raise ValueError(f"scores must lie between {low} and {high}")
    return (values - low) / (high - low)


def _by_task(shares: Floats, tasks: Sequence[Hashable]) -> list[Floats]:
    """Group the scores by task."""
    if len(tasks) != len(shares):
        raise ValueError(f"{len(shares)} scores, but {len(tasks)} tasks")
    members: dict[Hashable, list[float]] = {}
    for task, share in zip(tasks, shares, strict=True):
        members.setdefault(task, []).append(float(share))
    return [np.array(values) for values in members.values()]


def _effective_episodes(strata: Sequence[Floats]) -> float:
    """Return the number of binary episodes that would estimate the mean over strata as precisely.

    A binary episode with mean m has the largest possible variance, m(1 - m). Scores between the
    bounds have less, and so do strata with different rates. Strata have equal weights, so their
    sizes are averaged by the harmonic mean.
    """
    sizes = np.array([len(stratum) for stratum in strata], dtype=np.float64)
    padded = sizes + 2 * _PSEUDO_COUNT
    means = (np.array([stratum.sum() for stratum in strata]) + _PSEUDO_COUNT) / padded
    squares = (np.array([np.square(stratum).sum() for stratum in strata]) + _PSEUDO_COUNT) / padded
    # Both variances are unbiased. Otherwise small strata would seem to vary too little.
    within = float(np.average((squares - means**2) * padded / (padded - 1), weights=1 / sizes))
    mean, n = float(means.mean()), float(padded.sum())
    total = mean * (1 - mean) * n / (n - 1)
    return float(len(sizes) / np.mean(1 / sizes) * max(1.0, total / within))


def _wilson(mean: float, n: float, quantile: float, bounds: _Bounds) -> Interval:
    """Return Wilson's interval for a mean in [0, 1], scaled back to the bounds."""
    shrunk = 1 + quantile**2 / n
    centre = (mean + quantile**2 / (2 * n)) / shrunk
    half = quantile / shrunk * float(np.sqrt(mean * (1 - mean) / n + (quantile / (2 * n)) ** 2))
    low, high = bounds
    limits = (max(0.0, min(centre - half, mean)), min(1.0, max(centre + half, mean)))
    estimate, lower, upper = (low + share * (high - low) for share in (mean, *limits))
    return Interval(estimate, lower, upper)
