"""Intervals for a rate, for a mean score, and for a suite's mean over its tasks.

One formula serves them all: Wilson's interval, in which the number of episodes is replaced by the
number of yes-or-no episodes that would carry as much information (Korn and Graubard 1998; Dean and
Pagano 2015). On plain successes it is Wilson's interval itself. It stays inside the bounds, and it
never has zero width, which the bootstrap and Student's t have when every episode succeeds.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

CONFIDENCE = 0.95
ALPHA = 0.05
"""The level of a test: how often it may find a difference where there is none."""

PHANTOM = 0.5
"""How much of an episode is added at each bound before a variance is estimated.

Without it, ten equal scores would claim a variance of zero. On plain successes it cancels out.
"""

Floats = npt.NDArray[np.float64]
Bounds = tuple[float, float]
UNIT: Bounds = (0.0, 1.0)


@dataclass(frozen=True)
class Interval:
    """An estimate and the values that the data do not rule out.

    Attributes:
        estimate: The estimate, inside the interval.
        low: The lower limit.
        high: The upper limit.
    """

    estimate: float
    low: float
    high: float

    def __contains__(self, value: float) -> bool:
        """Whether the data leave this value open."""
        return self.low <= value <= self.high


def rate_interval(
    successes: int,
    n: int,
    confidence: float = CONFIDENCE,
    method: Literal["wilson", "exact"] = "wilson",
) -> Interval:
    """Return the interval of the success rate of one cell.

    Args:
        successes: How many episodes succeeded.
        n: How many episodes were scored.
        confidence: The share of such intervals that hold the true rate.
        method: Wilson's holds it that often on average over rates; ``exact``, Clopper and
            Pearson's, at least that often at every rate, and is wider.
    """
    if not 0 <= successes <= n or n == 0:
        raise ValueError(f"{successes} successes of {n} episodes")
    name = {"wilson": "wilson", "exact": "beta"}[method]
    low, high = proportion_confint(successes, n, alpha=1 - confidence, method=name)
    # Rounding leaves Wilson's limit for all failures at 1e-17, past the estimate.
    rate = successes / n
    return Interval(rate, min(float(low), rate), max(float(high), rate))


def mean_interval(
    scores: npt.ArrayLike, bounds: Bounds = UNIT, confidence: float = CONFIDENCE
) -> Interval:
    """Return the interval of the mean of bounded scores, such as a cell's process score.

    Args:
        scores: One score an episode.
        bounds: The lowest and the highest score possible; (-1, 1) for paired differences.
        confidence: The share of such intervals that hold the true mean.
    """
    shares = _shares(scores, bounds)
    z = float(stats.norm.ppf((1 + confidence) / 2))
    return _wilson(float(shares.mean()), _effective_episodes([shares]), z, bounds)


def fixed_tasks_interval(
    scores: npt.ArrayLike,
    tasks: Sequence[Hashable],
    bounds: Bounds = UNIT,
    confidence: float = CONFIDENCE,
) -> Interval:
    """Return the interval of the mean over exactly these tasks, each with the same weight.

    It answers "what would more episodes of the same tasks show?", so that how much the tasks differ
    adds nothing to its width.

    Args:
        scores: One success or score an episode.
        tasks: The task of each episode.
        bounds: The lowest and the highest score possible.
        confidence: The share of such intervals that hold the true mean.
    """
    strata = _by_task(_shares(scores, bounds), tasks)
    mean = float(np.mean([stratum.mean() for stratum in strata]))
    z = float(stats.norm.ppf((1 + confidence) / 2))
    return _wilson(mean, _effective_episodes(strata), z, bounds)


def sampled_tasks_interval(
    scores: npt.ArrayLike,
    tasks: Sequence[Hashable],
    bounds: Bounds = UNIT,
    confidence: float = CONFIDENCE,
) -> Interval:
    """Return the interval of the mean over tasks like these, of which these are a sample.

    It answers "what would other tasks of this kind show?", so it clusters: a task counts as one
    draw, however many episodes it has. The quantile is Student's with one degree of freedom less
    than there are tasks. It is never narrower than `fixed_tasks_interval`, since tasks that happen
    to agree are no proof that all tasks would.

    Args:
        scores: One success or score an episode.
        tasks: The task of each episode; at least two different ones.
        bounds: The lowest and the highest score possible.
        confidence: The share of such intervals that hold the true mean.
    """
    strata = _by_task(_shares(scores, bounds), tasks)
    if len(strata) < 2:
        raise ValueError("one task says nothing of other tasks; use fixed_tasks_interval")
    means = np.array([stratum.mean() for stratum in strata])
    mean, variance = float(means.mean()), float(means.var(ddof=1)) / len(means)
    episodes = _effective_episodes(strata)
    if variance > 0:
        episodes = min(episodes, mean * (1 - mean) / variance)
    t = float(stats.t.ppf((1 + confidence) / 2, len(means) - 1))
    return _wilson(mean, episodes, t, bounds)


def _shares(scores: npt.ArrayLike, bounds: Bounds) -> Floats:
    """Return the scores as shares of the way from the lower bound to the upper one."""
    low, high = bounds
    values = np.asarray(scores, dtype=np.float64)
    if values.ndim != 1 or not values.size:
        raise ValueError("scores must be a list of at least one number")
    # Written so that nan, which compares false, is refused too.
    if not np.all((values >= low) & (values <= high)):
        raise ValueError(f"scores must lie between {low} and {high}")
    return (values - low) / (high - low)


def _by_task(shares: Floats, tasks: Sequence[Hashable]) -> list[Floats]:
    """Return the scores of each task."""
    if len(tasks) != len(shares):
        raise ValueError(f"{len(shares)} scores, but {len(tasks)} tasks")
    members: dict[Hashable, list[float]] = {}
    for task, share in zip(tasks, shares, strict=True):
        members.setdefault(task, []).append(float(share))
    return [np.array(values) for values in members.values()]


def _effective_episodes(strata: Sequence[Floats]) -> float:
    """Return how many yes-or-no episodes would pin down the mean over strata as well.

    A yes-or-no episode with mean m has the variance m(1 - m), the largest there is; scores between
    the bounds, and rates that differ between strata, leave less. The strata weigh the same, so the
    episodes count as many as the harmonic mean of the strata's sizes says.
    """
    sizes = np.array([len(stratum) for stratum in strata], dtype=np.float64)
    padded = sizes + 2 * PHANTOM
    means = (np.array([stratum.sum() for stratum in strata]) + PHANTOM) / padded
    squares = (np.array([np.square(stratum).sum() for stratum in strata]) + PHANTOM) / padded
    # Both variances without bias: few episodes a stratum must not make it look too even.
    within = float(np.average((squares - means**2) * padded / (padded - 1), weights=1 / sizes))
    mean, n = float(means.mean()), float(padded.sum())
    total = mean * (1 - mean) * n / (n - 1)
    return float(len(sizes) / np.mean(1 / sizes) * max(1.0, total / within))


def _wilson(mean: float, n: float, quantile: float, bounds: Bounds) -> Interval:
    """Return Wilson's interval for any mean, any effective n and any quantile."""
    shrunk = 1 + quantile**2 / n
    centre = (mean + quantile**2 / (2 * n)) / shrunk
    half = quantile / shrunk * float(np.sqrt(mean * (1 - mean) / n + (quantile / (2 * n)) ** 2))
    low, high = bounds
    limits = (max(0.0, min(centre - half, mean)), min(1.0, max(centre + half, mean)))
    estimate, lower, upper = (low + share * (high - low) for share in (mean, *limits))
    return Interval(estimate, lower, upper)
