"""Compares two policies: on the same or on different scenes, by success or by score.

All four functions return a `Comparison`. Its test answers whether the policies differ, and its
interval answers by how much. The two use different approximations, so they can disagree near the
significance level. The verdict follows the test.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import optimize, stats
from statsmodels.stats.proportion import confint_proportions_2indep

from harness.statistics.interval import CONFIDENCE, Floats, Interval, mean_interval

RESAMPLES = 9999
"""Random permutations if there are more than these; p = 0.05 then has an error of about 0.002."""

BOSCHLOO_LIMIT = 200
"""The most episodes per policy for Boschloo's test, which is slow for large tables.

Beyond it Fisher's test is used. It is also exact, slightly less powerful, and immediate.
"""


@dataclass(frozen=True)
class Comparison:
    """The difference between policies A and B, and its significance.

    Attributes:
        difference: A's mean minus B's mean, with its interval.
        p: The two-sided p-value.
        episodes: Episodes per policy; the smaller number if they differ.
        test: The test that gave `p`.
        spread_null: Standard deviation of one episode's difference if the policies were equal.
        spread: The same, estimated from the data. Power analysis needs both.
    """

    difference: Interval
    p: float
    episodes: int
    test: str
    spread_null: float
    spread: float


Compare = Callable[[npt.ArrayLike, npt.ArrayLike], Comparison]


def paired_success(
    a: npt.ArrayLike,
    b: npt.ArrayLike,
    confidence: float = CONFIDENCE,
) -> Comparison:
    """Compare successes on the same scenes: exact McNemar test, Tango's interval.

    Only scenes on which the policies disagree count in the test. For several tasks, see
    `harness.statistics.means`.

    Args:
        a: Successes of A, one per scene.
        b: Successes of B on the same scenes, in the same order.
        confidence: Confidence level of the interval.
    """
    first, second = _pairs(_successes(a), _successes(b))
    n = len(first)
    only_a, only_b = int(np.sum(first > second)), int(np.sum(first < second))
    discordant = (only_a + only_b) / n
    difference = tango_interval(only_a, only_b, n, confidence)
    return Comparison(
        difference,
        mcnemar_p(only_a, only_b),
        n,
        "exact McNemar",
        spread_null=float(np.sqrt(discordant)),
        spread=float(np.sqrt(max(0.0, discordant - difference.estimate**2))),
    )


def unpaired_success(
    a: npt.ArrayLike, b: npt.ArrayLike, confidence: float = CONFIDENCE
) -> Comparison:
    """Compare successes on different scenes: Boschloo's test, Newcombe's interval.

    Args:
        a: Successes of A.
        b: Successes of B; the number may differ.
        confidence: Confidence level of the interval.
    """
    first, second = _successes(a), _successes(b)
    return compare_rates(
        int(first.sum()), len(first), int(second.sum()), len(second), confidence=confidence
    )


def compare_rates(
    successes_a: int, n_a: int, successes_b: int, n_b: int, confidence: float = CONFIDENCE
) -> Comparison:
    """Compare two success rates from their counts, as `unpaired_success` does from outcomes."""
    if not (0 <= successes_a <= n_a and 0 <= successes_b <= n_b and n_a and n_b):
        raise ValueError(
            f"impossible counts: {successes_a} successes of {n_a} episodes, {successes_b} of {n_b}"
        )
    table = [[successes_a, successes_b], [n_a - successes_a, n_b - successes_b]]
    rate_a, rate_b = successes_a / n_a, successes_b / n_b
    pooled = (successes_a + successes_b) / (n_a + n_b)
    name = "Boschloo" if max(n_a, n_b) <= BOSCHLOO_LIMIT else "Fisher"
    if pooled in (0.0, 1.0):
        p = 1.0  # Scipy returns nan for a table with only failures or only successes.
    elif name == "Boschloo":
        p = float(stats.boschloo_exact(table).pvalue)
    else:
        p = float(stats.fisher_exact(table).pvalue)
    low, high = confint_proportions_2indep(
        successes_a, n_a, successes_b, n_b, method="newcomb", compare="diff", alpha=1 - confidence
    )
    return Comparison(
        Interval(rate_a - rate_b, float(low), float(high)),
        min(1.0, p),
        min(n_a, n_b),
        name,
        spread_null=float(np.sqrt(2 * pooled * (1 - pooled))),
        spread=float(np.sqrt(rate_a * (1 - rate_a) + rate_b * (1 - rate_b))),
    )


def paired_scores(a: npt.ArrayLike, b: npt.ArrayLike, confidence: float = CONFIDENCE) -> Comparison:
    """Compare scores in [0, 1] on the same scenes: a permutation test, Wilson's interval.

    The test swaps the two policies in every subset of the scenes. If there are too many subsets, it
    draws some with a fixed seed. For successes this is McNemar's test.

    Args:
        a: Scores of A, one per scene.
        b: Scores of B on the same scenes, in the same order.
        confidence: Confidence level of the interval.
    """
    first, second = _pairs(_scores(a), _scores(b))
    differences = first - second
    interval = mean_interval(differences, (-1.0, 1.0), confidence)
    # Swapping equal scores changes nothing. Without them, more tests visit every permutation.
    unequal = differences[differences != 0]
    return Comparison(
        interval,
        _permutation_p((unequal, np.zeros_like(unequal)), "samples"),
        len(differences),
        "paired permutation",
        spread_null=float(np.sqrt(np.mean(differences**2))),
        spread=float(differences.std()),
    )


def unpaired_scores(
    a: npt.ArrayLike, b: npt.ArrayLike, confidence: float = CONFIDENCE
) -> Comparison:
    """Compare scores in [0, 1] on different scenes: a permutation test, Newcombe's interval.

    Args:
        a: Scores of A.
        b: Scores of B; the number may differ.
        confidence: Confidence level of the interval.
    """
    first, second = _scores(a), _scores(b)
    one, two = (
        mean_interval(first, confidence=confidence),
        mean_interval(second, confidence=confidence),
    )
    both = np.concatenate([first, second])
    return Comparison(
        newcombe_interval(one, two),
        _permutation_p((first, second), "independent"),
        min(len(first), len(second)),
        "permutation",
        spread_null=float(np.sqrt(2 * both.var())),
        spread=float(np.sqrt(first.var() + second.var())),
    )


def newcombe_interval(one: Interval, two: Interval) -> Interval:
    """Return Newcombe's interval for the difference of two independent means.

    Newcombe combines Wilson's intervals of two rates. The construction accepts any two intervals.
    """
    estimate = one.estimate - two.estimate
    down = np.hypot(one.estimate - one.low, two.high - two.estimate)
    up = np.hypot(one.high - one.estimate, two.estimate - two.low)
    return Interval(estimate, float(max(-1.0, estimate - down)), float(min(1.0, estimate + up)))


def mcnemar_p(only_a: int, only_b: int) -> float:
    """Return the exact McNemar p from the numbers of scenes on which only one policy succeeded."""
    fewer, discordant = min(only_a, only_b), only_a + only_b
    return min(1.0, 2 * float(stats.binom.cdf(fewer, discordant, 0.5)))


def tango_interval(
    only_a: float, only_b: float, n: float, confidence: float = CONFIDENCE
) -> Interval:
    """Return Tango's (1998) score interval for the difference of two paired rates.

    The counts may be fractions if n is an effective number of scenes.

    Args:
        only_a: Scenes on which only A succeeded.
        only_b: Scenes on which only B succeeded.
        n: All scenes.
        confidence: Confidence level of the interval.
    """
    if min(only_a, only_b) < 0 or only_a + only_b > n * (1 + 1e-9) or n == 0:
        raise ValueError(f"impossible counts: {only_a} and {only_b} discordant pairs of {n}")
    low = _tango_lower(only_a, only_b, n, confidence)
    high = -_tango_lower(only_b, only_a, n, confidence)
    return Interval((only_a - only_b) / n, low, high)


def _tango_lower(only_a: float, only_b: float, n: float, confidence: float) -> float:
    z = float(stats.norm.ppf((1 + confidence) / 2))
    estimate = (only_a - only_b) / n

    def excess(delta: float) -> float:
        """Return how far the counts exceed a true difference `delta`, minus z standard errors."""
        # The maximum-likelihood rate of "only B" under that difference: Tango's equation 9.
        half = (-only_a - only_b + (2 * n - only_a + only_b) * delta) / (4 * n)
        only_b_rate = np.sqrt(max(0.0, half**2 + only_b * delta * (1 - delta) / (2 * n))) - half
        variance = n * max(0.0, 2 * only_b_rate + delta * (1 - delta))
        return float(only_a - only_b - n * delta - z * np.sqrt(variance))

    # At the estimate the variance may be zero. That is a root too, but not the limit.
    start = estimate - 1e-9
    if estimate <= -1.0 or excess(-1.0) <= 0:
        return -1.0
    return float(optimize.brentq(excess, -1.0, start))


def _permutation_p(
    samples: tuple[Floats, Floats], kind: Literal["samples", "independent"]
) -> float:
    if min(map(len, samples)) < 2:
        return 1.0  # One scene cannot be significant, and scipy rejects it.

    def difference(x: Floats, y: Floats, axis: int = -1) -> Floats:
        return np.asarray(np.mean(x, axis=axis) - np.mean(y, axis=axis))

    result = stats.permutation_test(
        samples,
        difference,
        permutation_type=kind,
        vectorized=True,
        n_resamples=RESAMPLES,
        batch=1000,
        rng=np.random.default_rng(0),
    )
    return float(result.pvalue)


def checked_values(values: npt.ArrayLike, success: bool) -> Floats:
    """Return successes or scores as an array.

    Raises:
        ValueError: There are none, or one is not a success or not a score from 0 to 1.
    """
    return _successes(values) if success else _scores(values)


def _scores(values: npt.ArrayLike) -> Floats:
    scores = np.asarray(values, dtype=np.float64)
    if scores.ndim != 1 or not scores.size or not np.all((scores >= 0) & (scores <= 1)):
        raise ValueError("scores must be a non-empty list of numbers from 0 to 1")
    return scores


def _successes(values: npt.ArrayLike) -> Floats:
    successes = _scores(values)
    if not np.all((successes == 0) | (successes == 1)):
        raise ValueError("successes must be true or false, 1 or 0")
    return successes


def _pairs(a: Floats, b: Floats) -> tuple[Floats, Floats]:
    if len(a) != len(b):
        raise ValueError(f"pairs need the same scenes, but A has {len(a)} and B has {len(b)}")
    return a, b
