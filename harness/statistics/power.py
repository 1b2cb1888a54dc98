"""Power analysis: the episodes that a difference needs, and the difference that they can detect.

The formula is statsmodels' normal approximation. The exact tests of the comparisons are slightly
conservative, so their power at the planned number can be a few points lower (docs/statistics.md).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from scipy import optimize, special, stats
from statsmodels.stats.power import normal_sample_size_one_tail
from statsmodels.stats.proportion import samplesize_proportions_2indep_onetail

from harness.statistics.interval import ALPHA

POWER = 0.8

_Number = TypeVar("_Number", int, float)


@dataclass(frozen=True)
class PowerPlan(Generic[_Number]):
    """The answer for each design. Real paired runs lie between the first two.

    Attributes:
        paired_best: Same scenes; the better policy succeeds on every scene that the other solves.
        paired_worst: Same scenes; the outcomes of the two policies are independent.
        unpaired: Different scenes.
    """

    paired_best: _Number
    paired_worst: _Number
    unpaired: _Number


def episodes_for(
    difference: float,
    spread_null: float,
    spread: float,
    power: float = POWER,
    alpha: float = ALPHA,
) -> int:
    """Return the episodes per policy that detect a true difference.

    Args:
        difference: The difference of the means, not zero.
        spread_null: Standard deviation of one episode's difference if the policies were equal.
        spread: The same if they differ by `difference`.
        power: The probability of detecting the difference.
        alpha: The level of the two-sided test.
    """
    needed = normal_sample_size_one_tail(
        abs(difference), power, alpha / 2, std_null=spread_null, std_alternative=spread
    )
    return math.ceil(float(needed))


def episodes_needed(
    baseline: float, difference: float, power: float = POWER, alpha: float = ALPHA
) -> PowerPlan[int]:
    """Return the episodes per policy that detect a difference from a baseline's success rate.

    Args:
        baseline: The success rate of the baseline.
        difference: The other policy's rate minus the baseline's.
        power: The probability of detecting the difference.
        alpha: The level of the two-sided test.

    Raises:
        ValueError: A rate is outside 0 to 1, the difference is 0, or the power is not between
            alpha and 1.
    """
    _check(baseline, difference, power, alpha)

    def paired(discordant: float) -> int:
        spread = math.sqrt(discordant - difference**2)
        return episodes_for(difference, math.sqrt(discordant), spread, power, alpha)

    unpaired = samplesize_proportions_2indep_onetail(difference, baseline, power, alpha=alpha)
    return PowerPlan(
        paired(abs(difference)),
        paired(_independent(baseline, difference)),
        math.ceil(float(unpaired)),
    )


def detectable_difference(
    baseline: float, episodes: int, power: float = POWER, alpha: float = ALPHA
) -> PowerPlan[float]:
    """Return the smallest improvement on a baseline that a number of episodes per policy detects.

    It is nan if even a perfect policy is not significantly better.

    Args:
        baseline: The success rate of the baseline, below 1.
        episodes: Episodes per policy.
        power: The probability of detecting the improvement.
        alpha: The level of the two-sided test.

    Raises:
        ValueError: As `episodes_needed`, or there are no episodes.
    """
    if episodes < 1:
        raise ValueError(f"episodes must be at least 1, not {episodes}")
    largest = 1 - baseline
    least = largest * 1e-6

    def smallest(design: Callable[[PowerPlan[int]], int]) -> float:
        def missing(difference: float) -> float:
            return design(episodes_needed(baseline, difference, power, alpha)) - episodes - 0.5

        if missing(largest) > 0:
            return float("nan")
        if missing(least) < 0:
            return least
        return float(optimize.brentq(missing, least, largest, xtol=1e-6))

    return PowerPlan(
        smallest(lambda plan: plan.paired_best),
        smallest(lambda plan: plan.paired_worst),
        smallest(lambda plan: plan.unpaired),
    )


def detectable_drop(
    baseline: float,
    episodes: int,
    discordant: float | None = None,
    power: float = POWER,
    alpha: float = ALPHA,
) -> float:
    """Return the smallest drop from a baseline's success rate that a comparison detects.

    It is nan if even a policy that always fails is not significantly worse.

    Args:
        baseline: The success rate of the baseline.
        episodes: Episodes per policy.
        discordant: For the same scenes, how often equal policies disagree; the power is then that
            of the exact McNemar test. None for different scenes.
        power: The probability of detecting the drop.
        alpha: The level of the two-sided test.
    """
    if discordant is None:
        won = round(baseline * episodes)
        if stats.fisher_exact([[0, episodes], [won, episodes - won]]).pvalue >= alpha:
            return math.nan
        # A drop of successes is a rise of failures.
        return detectable_difference(1 - baseline, episodes, power, alpha).unpaired
    wins = np.arange(episodes + 1)
    # The most wins of the worse policy with which the test still rejects.
    most = stats.binom.ppf(alpha / 2, wins, 0.5) - 1

    def excess(drop: float) -> float:
        rate = discordant + drop
        found = stats.binom.cdf(most, wins, discordant / 2 / rate)
        return float(stats.binom.pmf(wins, episodes, rate) @ found) - power

    largest = min(baseline, 1 - discordant)
    if largest <= 0 or excess(largest) < 0:
        return math.nan
    return float(optimize.brentq(excess, largest * 1e-6, largest, xtol=1e-6))


def detectable_score_drop(
    baseline: float,
    episodes: int,
    spread: float,
    paired: bool,
    power: float = POWER,
    alpha: float = ALPHA,
) -> float:
    """Return the smallest drop of a mean score that a permutation test detects.

    It is nan if there is none down to 0, or if the test has too few permutations.

    Args:
        baseline: The mean score of the baseline.
        episodes: Episodes per policy.
        spread: Standard deviation of one episode's difference.
        paired: Whether both policies play the same scenes.
        power: The probability of detecting the drop.
        alpha: The level of the two-sided test.
    """
    chance = 0.5**episodes if paired else 1 / float(special.comb(2 * episodes, episodes))
    # One episode of the largest difference keeps the spread above zero.
    spread = math.sqrt((episodes * spread**2 + 1) / (episodes + 1))

    def excess(drop: float) -> float:
        return episodes - episodes_for(drop, math.hypot(spread, drop), spread, power, alpha) + 0.5

    least = 1e-4
    if 2 * chance >= alpha or baseline <= least or excess(baseline) < 0:
        return math.nan
    if excess(least) > 0:
        return least
    return float(optimize.brentq(excess, least, baseline, xtol=1e-6))


def _independent(baseline: float, difference: float) -> float:
    """Return how often the outcomes of two independent policies differ on a scene."""
    other = baseline + difference
    return baseline * (1 - other) + other * (1 - baseline)


def _check(baseline: float, difference: float, power: float, alpha: float) -> None:
    other = baseline + difference
    # The tolerance is for rounding errors of the sum.
    if not (0 <= baseline <= 1 and -1e-9 <= other <= 1 + 1e-9) or difference == 0:
        raise ValueError(
            f"a success rate cannot go from {baseline} by {difference}; rates are from 0 to 1, "
            "and the difference is not 0"
        )
    if not alpha < power < 1:
        raise ValueError(f"the power must be between {alpha} and 1, not {power}")
