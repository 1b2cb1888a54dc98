"""Comparisons of two policies: on the same scenes or on others, by success or by score.

The four comparisons share a shape, so that families, verdicts and tables need not know which one
they hold. Whether two policies differ is the test's answer; how much, the interval's. They come
from different approximations, so near the border one may say yes and the other no; the verdict
follows the test.
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
"""Permutations drawn where there are too many to visit: p is then known to about 0.002 at 0.05."""

BOSCHLOO_LIMIT = 200
"""Episodes per policy up to which Boschloo's test is used; it takes 4 s at 500 and minutes at 2000.

Fisher's test takes over: as safe, a little less sensitive, and immediate.
"""


@dataclass(frozen=True)
class Comparison:
    """What the outcomes of policies A and B say about each other.

    Attributes:
        difference: A's mean less B's, with its interval.
        p: How often so large a difference, to either side, comes from two equal policies.
        episodes: Episodes per policy; the smaller number where they differ.
        test: The test that `p` comes from.
        spread_null: Standard deviation of one episode's difference if the policies were equal.
        spread: The same as they seem to be; both serve to plan more episodes.
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
    method: Literal["exact", "mid-p"] = "exact",
) -> Comparison:
    """Compare successes on the same scenes: McNemar's test, Tango's interval.

    Only the scenes where the policies disagree say anything. Over a suite the scenes of all its
    tasks are pooled; where tasks differ in which policy they favour, that errs to the safe side.

    Args:
        a: Successes of A, one a scene.
        b: Successes of B on the same scenes, in the same order.
        confidence: Of the interval.
        method: ``exact`` never errs more often than it says; ``mid-p`` is less cautious and errs
            about as often as it says.
    """
    first, second = _pairs(_successes(a), _successes(b))
    n = len(first)
    only_a, only_b = int(np.sum(first > second)), int(np.sum(first < second))
    discordant = (only_a + only_b) / n
    difference = tango_interval(only_a, only_b, n, confidence)
    return Comparison(
        difference,
        mcnemar_p(only_a, only_b, method),
        n,
        "exact McNemar" if method == "exact" else "mid-p McNemar",
        spread_null=float(np.sqrt(discordant)),
        spread=float(np.sqrt(max(0.0, discordant - difference.estimate**2))),
    )


def unpaired_success(
    a: npt.ArrayLike, b: npt.ArrayLike, confidence: float = CONFIDENCE
) -> Comparison:
    """Compare successes on different scenes: Boschloo's test, Newcombe's interval.

    Args:
        a: Successes of A.
        b: Successes of B, as many or not.
        confidence: Of the interval.
    """
    first, second = _successes(a), _successes(b)
    return compare_rates(
        int(first.sum()), len(first), int(second.sum()), len(second), confidence=confidence
    )


def compare_rates(
    successes_a: int, n_a: int, successes_b: int, n_b: int, confidence: float = CONFIDENCE
) -> Comparison:
    """Compare two rates of which only the counts are known, as `unpaired_success` does."""
    if not (0 <= successes_a <= n_a and 0 <= successes_b <= n_b and n_a and n_b):
        raise ValueError(f"{successes_a} successes of {n_a} episodes, {successes_b} of {n_b}")
    table = [[successes_a, successes_b], [n_a - successes_a, n_b - successes_b]]
    rate_a, rate_b = successes_a / n_a, successes_b / n_b
    pooled = (successes_a + successes_b) / (n_a + n_b)
    name = "Boschloo" if max(n_a, n_b) <= BOSCHLOO_LIMIT else "Fisher"
    if pooled in (0.0, 1.0):
        p = 1.0  # Scipy has no number for a table without failures or without successes.
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

    The test swaps the policies scene by scene: all ways where there are at most `RESAMPLES`, else
    that many drawn with a fixed seed. On plain successes it is McNemar's test.

    Args:
        a: Scores of A, one a scene.
        b: Scores of B on the same scenes, in the same order.
        confidence: Of the interval.
    """
    first, second = _pairs(_scores(a), _scores(b))
    differences = first - second
    interval = mean_interval(differences, (-1.0, 1.0), confidence)
    # A swap where both score the same changes nothing: without those, more tests are exact.
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

    Newcombe's construction takes any two intervals, so here it takes those of `mean_interval`.

    Args:
        a: Scores of A.
        b: Scores of B, as many or not.
        confidence: Of the interval.
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
    """Return Newcombe's interval for the difference of two means that have nothing in common."""
    estimate = one.estimate - two.estimate
    down = np.hypot(one.estimate - one.low, two.high - two.estimate)
    up = np.hypot(one.high - one.estimate, two.estimate - two.low)
    return Interval(estimate, float(max(-1.0, estimate - down)), float(min(1.0, estimate + up)))


def mcnemar_p(only_a: int, only_b: int, method: Literal["exact", "mid-p"] = "exact") -> float:
    """Return McNemar's p from the scenes where only one policy succeeded.

    Given that the policies disagree, equal ones win with the chance of a fair coin. Statsmodels has
    the exact p and not the mid-p, which counts half of the outcome that was seen.
    """
    fewer, discordant = min(only_a, only_b), only_a + only_b
    p = 2 * float(stats.binom.cdf(fewer, discordant, 0.5))
    if method == "mid-p":
        p -= float(stats.binom.pmf(fewer, discordant, 0.5))
    return min(1.0, p)


def tango_interval(only_a: int, only_b: int, n: int, confidence: float = CONFIDENCE) -> Interval:
    """Return Tango's (1998) score interval for the difference of two paired rates.

    Args:
        only_a: Scenes where only A succeeded.
        only_b: Scenes where only B succeeded.
        n: All scenes.
        confidence: The share of such intervals that hold the true difference.
    """
    if min(only_a, only_b) < 0 or only_a + only_b > n or n == 0:
        raise ValueError(f"{only_a} and {only_b} discordant pairs of {n}")
    low = _tango_lower(only_a, only_b, n, confidence)
    high = -_tango_lower(only_b, only_a, n, confidence)
    return Interval((only_a - only_b) / n, low, high)


def _tango_lower(only_a: int, only_b: int, n: int, confidence: float) -> float:
    z = float(stats.norm.ppf((1 + confidence) / 2))
    estimate = (only_a - only_b) / n

    def excess(delta: float) -> float:
        """How far the counts are from a true difference `delta`, less z standard errors."""
        # The most likely rate of "only B" under that difference: Tango's equation 9.
        half = (-only_a - only_b + (2 * n - only_a + only_b) * delta) / (4 * n)
        only_b_rate = np.sqrt(max(0.0, half**2 + only_b * delta * (1 - delta) / (2 * n))) - half
        variance = n * max(0.0, 2 * only_b_rate + delta * (1 - delta))
        return float(only_a - only_b - n * delta - z * np.sqrt(variance))

    # At the estimate itself the variance may be zero, which is a root but not the limit.
    start = estimate - 1e-9
    if estimate <= -1.0 or excess(-1.0) <= 0:
        return -1.0
    return float(optimize.brentq(excess, -1.0, start))


def _permutation_p(
    samples: tuple[Floats, Floats], kind: Literal["samples", "independent"]
) -> float:
    if min(map(len, samples)) < 2:
        return 1.0  # One scene can show nothing; scipy refuses it.

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


def _scores(values: npt.ArrayLike) -> Floats:
    scores = np.asarray(values, dtype=np.float64)
    if scores.ndim != 1 or not scores.size or not np.all((scores >= 0) & (scores <= 1)):
        raise ValueError("scores must be a list of at least one number from 0 to 1")
    return scores


def _successes(values: npt.ArrayLike) -> Floats:
    successes = _scores(values)
    if not np.all((successes == 0) | (successes == 1)):
        raise ValueError("successes must be true or false")
    return successes


def _pairs(a: Floats, b: Floats) -> tuple[Floats, Floats]:
    if len(a) != len(b):
        raise ValueError(f"pairs need the same scenes, but there are {len(a)} and {len(b)}")
    return a, b
