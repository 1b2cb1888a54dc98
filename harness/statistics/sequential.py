"""A paired comparison that stays valid when one looks after every pair and stops at any.

The test is a test by betting. One gambler bets on every pair that A wins, another that B wins. If
the policies are equal on average, no betting strategy has a positive expected profit. The
probability that the mean wealth ever reaches 1/alpha is then at most alpha (Ville 1939; Shafer
2021; Waudby-Smith and Ramdas 2024). So the test decides when the wealth reaches 1/alpha. Each
gambler spreads the stake evenly over all betting fractions from 0 to 1, so nothing needs tuning.

**The order of the pairs matters.** If the policies are equal, the expected difference of each pair
must be zero, given the pairs before it. Shuffling the pairs over all tasks ensures this. Playing
task by task does not: A may win the first tasks and B the last. If every round plays each task
once, pass the mean difference of each round.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import optimize, special

from harness.statistics.interval import CONFIDENCE, Floats, Interval

_NODES, _WEIGHTS = special.roots_legendre(20)
_FRACTIONS: Floats = (_NODES + 1) / 2
"""The betting fractions: the nodes of a Gauss-Legendre quadrature over [0, 1]."""
_SHARES: Floats = _WEIGHTS / 2
"""The share of the initial stake for each fraction; they sum to 1."""


@dataclass(frozen=True)
class SequentialResult:
    """The state of a sequential comparison.

    Attributes:
        outcome: Whether A is `better` or `worse` than B, or still `undecided`. Further pairs do not
            change a decision.
        pairs: The pairs until the decision, or all pairs if there is none.
        p: An anytime-valid p-value: an upper bound that holds whenever one stops.
        difference: A minus B over all pairs, with an interval that is valid whenever one stops.
    """

    outcome: Literal["better", "worse", "undecided"]
    pairs: int
    p: float
    difference: Interval


def sequential_comparison(
    differences: npt.ArrayLike, confidence: float = CONFIDENCE
) -> SequentialResult:
    """Compare two policies on the pairs so far. Call it again with all pairs after each new one.

    Args:
        differences: A's success or score minus B's for each pair, in the order of play.
        confidence: One minus the probability of ever deciding between equal policies.
    """
    steps = np.asarray(differences, dtype=np.float64)
    if steps.ndim != 1 or not np.all(np.abs(steps) <= 1):
        raise ValueError("differences must be a list of numbers from -1 to 1")
    alpha = 1 - confidence
    if not steps.size:
        return SequentialResult("undecided", 0, 1.0, Interval(float("nan"), -1.0, 1.0))
    for_a, for_b = _log_wealth(steps), _log_wealth(-steps)
    both = np.logaddexp(for_a, for_b) - np.log(2)
    interval = Interval(
        float(steps.mean()), _lower_limit(steps, alpha), -_lower_limit(-steps, alpha)
    )
    p = float(np.exp(-max(0.0, both.max())))
    decided = np.flatnonzero(both >= -np.log(alpha))
    if not decided.size:
        return SequentialResult("undecided", len(steps), p, interval)
    first = int(decided[0])
    return SequentialResult(
        "better" if for_a[first] > for_b[first] else "worse", first + 1, p, interval
    )


def _log_wealth(gains: Floats) -> Floats:
    """Return the logarithm of a gambler's wealth after each pair; a gain is at least -1."""
    growth = np.cumsum(np.log1p(_FRACTIONS * gains[:, np.newaxis]), axis=0)
    return np.asarray(special.logsumexp(growth, b=_SHARES, axis=1))


def _lower_limit(steps: Floats, alpha: float) -> float:
    """Return the largest mean difference that a bet on A rejects at level alpha / 2.

    A bet against a mean m loses at most 1 + m, so bets are scaled by 1 + m.
    """

    def excess(mean: float) -> float:
        return float(_log_wealth((steps - mean) / (1 + mean))[-1] + np.log(alpha / 2))

    floor, top = -1 + 1e-9, float(steps.mean())
    if top <= floor or excess(floor) <= 0:
        return -1.0
    return float(optimize.brentq(excess, floor, top, xtol=1e-6))
