"""Power analysis: the episodes that a difference needs, and the difference that they can detect.

The formula is statsmodels' normal approximation. The exact tests of the comparisons are slightly
conservative, so their power at the planned number can be a few points lower (docs/statistics.md).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from scipy import optimize
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
