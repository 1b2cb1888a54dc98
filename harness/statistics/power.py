"""How many episodes a difference takes, and how small a difference some episodes can show.

Statsmodels' formula for a normal test. The exact tests that the comparisons use are a little more
cautious, so a plan for 80 % finds the difference in 75 to 81 % of cases (docs/statistics.md).
"""

import math
from collections.abc import Callable
from dataclasses import astuple, dataclass
from typing import Generic, TypeVar

from scipy import optimize
from statsmodels.stats.power import normal_sample_size_one_tail
from statsmodels.stats.proportion import samplesize_proportions_2indep_onetail
from tabulate import tabulate

from harness.contracts.errors import UsageError
from harness.statistics.interval import ALPHA

POWER = 0.8

DESIGNS = (
    "same scenes, the better policy succeeds wherever the other does",
    "same scenes, one policy's outcome says nothing of the other's",
    "different scenes",
)

Number = TypeVar("Number", int, float)


@dataclass(frozen=True)
class Plan(Generic[Number]):
    """An answer for each design; paired ones lie between the first two.

    Attributes:
        paired_best: On the same scenes, if the better policy succeeds wherever the other does.
        paired_worst: On the same scenes, if one policy's outcome says nothing of the other's.
        unpaired: On different scenes.
    """

    paired_best: Number
    paired_worst: Number
    unpaired: Number


def episodes_for(
    difference: float,
    spread_null: float,
    spread: float,
    power: float = POWER,
    alpha: float = ALPHA,
) -> int:
    """Return the episodes per policy that a true difference takes to be found.

    Args:
        difference: The difference of the means, not zero.
        spread_null: Standard deviation of one episode's difference if the policies were equal.
        spread: The same if they differ by `difference`.
        power: How often the difference should be found.
        alpha: How often a difference may be found where there is none.
    """
    needed = normal_sample_size_one_tail(
        abs(difference), power, alpha / 2, std_null=spread_null, std_alternative=spread
    )
    return math.ceil(float(needed))


def episodes_needed(
    baseline: float, difference: float, power: float = POWER, alpha: float = ALPHA
) -> Plan[int]:
    """Return the episodes per policy that tell a success rate from a baseline's.

    Args:
        baseline: The success rate of the baseline.
        difference: The other policy's rate less the baseline's.
        power: How often the difference should be found.
        alpha: How often a difference may be found where there is none.
    """
    _check(baseline, difference)

    def paired(discordant: float) -> int:
        spread = math.sqrt(discordant - difference**2)
        return episodes_for(difference, math.sqrt(discordant), spread, power, alpha)

    unpaired = samplesize_proportions_2indep_onetail(difference, baseline, power, alpha=alpha)
    return Plan(
        paired(abs(difference)),
        paired(_independent(baseline, difference)),
        math.ceil(float(unpaired)),
    )


def detectable_difference(
    baseline: float, episodes: int, power: float = POWER, alpha: float = ALPHA
) -> Plan[float]:
    """Return the smallest improvement on a baseline that so many episodes per policy can show.

    It is nan where even a perfect policy would not stand out.

    Args:
        baseline: The success rate of the baseline, below 1.
        episodes: Episodes per policy.
        power: How often the improvement should be found.
        alpha: How often one may be found where there is none.
    """
    largest = 1 - baseline

    def smallest(design: Callable[[Plan[int]], int]) -> float:
        def short(difference: float) -> float:
            return design(episodes_needed(baseline, difference, power, alpha)) - episodes - 0.5

        if short(largest) > 0:
            return float("nan")
        return float(optimize.brentq(short, largest * 1e-6, largest, xtol=1e-6))

    return Plan(
        smallest(lambda plan: plan.paired_best),
        smallest(lambda plan: plan.paired_worst),
        smallest(lambda plan: plan.unpaired),
    )


def plan_power(
    baseline: float, difference: float | None, episodes: int | None, power: float
) -> str:
    """Say in a table how many episodes, or how large a difference; rates are in percent.

    Raises:
        UsageError: The numbers are no rates.
    """
    try:
        if difference is not None:
            plan = episodes_needed(baseline / 100, difference / 100, power)
            shown = [f"{n} episodes per policy" for n in astuple(plan)]
        else:
            least = detectable_difference(baseline / 100, episodes or 0, power)
            shown = [
                f"{100 * gap:+.1f} points" if gap == gap else "out of reach"
                for gap in astuple(least)
            ]
    except ValueError as error:
        raise UsageError(f"{error}; rates and differences are in percent, 0 to 100") from error
    rows = zip(DESIGNS, shown, strict=True)
    return tabulate(rows, ["design", f"to find it in {power:.0%} of cases"], tablefmt="github")


def _independent(baseline: float, difference: float) -> float:
    """Return how often the outcomes of unrelated policies differ on a scene."""
    other = baseline + difference
    return baseline * (1 - other) + other * (1 - baseline)


def _check(baseline: float, difference: float) -> None:
    other = baseline + difference
    if not (0 <= baseline <= 1 and -1e-9 <= other <= 1 + 1e-9) or difference == 0:
        raise ValueError(f"a rate cannot go from {baseline} by {difference}")
