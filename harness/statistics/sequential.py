"""A comparison on pairs that may be looked at after every one of them, and stopped at any.

A gambler bets on every next pair that A beats B; another bets on B. If neither policy is better on
average, no way of betting makes money in the long run, and the chance that their mean wealth ever
reaches 1/alpha is at most alpha (Ville 1939; Waudby-Smith and Ramdas 2024; Shafer 2021). So that
moment decides, whenever it comes and however often somebody looked. Each gambler splits the stake
evenly over all fractions from 0 to 1 to bet with, so there is nothing to tune or to draw.

**The order of the pairs matters.** Every next pair must be, given those before, fair if the
policies are equal. In a random order over all tasks it is; task after task it is not, where A is
the better on the first tasks and B on the last. Where the tasks go round in turn, give one mean
difference a round.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import optimize, special

from harness.statistics.interval import CONFIDENCE, Floats, Interval

_NODES, _WEIGHTS = special.roots_legendre(20)
FRACTIONS: Floats = (_NODES + 1) / 2
"""The fractions of the wealth that are bet: Gauss's points, which stand for all from 0 to 1."""
SHARES: Floats = _WEIGHTS / 2
"""How much of the first stake is bet with each fraction; they sum to 1."""


@dataclass(frozen=True)
class Sequential:
    """Where a sequential comparison stands.

    Attributes:
        outcome: Whether A is `better` or `worse` than B, or still `undecided`. Once decided it
            stays, whatever further pairs show.
        pairs: How many pairs it took to decide, or how many there were.
        p: An upper bound on the chance to have ever seen such wealth from equal policies.
        difference: A less B over all pairs, with limits that hold at whatever pair one stops.
    """

    outcome: Literal["better", "worse", "undecided"]
    pairs: int
    p: float
    difference: Interval


def sequential_comparison(differences: npt.ArrayLike, confidence: float = CONFIDENCE) -> Sequential:
    """Compare two policies on the pairs so far; call it again with each further one.

    Args:
        differences: A's success or score less B's, pair by pair in the order they were played.
        confidence: One less it is the chance to ever decide between equal policies.
    """
    steps = np.asarray(differences, dtype=np.float64)
    if steps.ndim != 1 or not np.all(np.abs(steps) <= 1):
        raise ValueError("differences must be a list of numbers from -1 to 1")
    alpha = 1 - confidence
    if not steps.size:
        return Sequential("undecided", 0, 1.0, Interval(float("nan"), -1.0, 1.0))
    for_a, for_b = _log_wealth(steps), _log_wealth(-steps)
    both = np.logaddexp(for_a, for_b) - np.log(2)
    interval = Interval(
        float(steps.mean()), _lower_limit(steps, alpha), -_lower_limit(-steps, alpha)
    )
    p = float(np.exp(-max(0.0, both.max())))
    decided = np.flatnonzero(both >= -np.log(alpha))
    if not decided.size:
        return Sequential("undecided", len(steps), p, interval)
    first = int(decided[0])
    return Sequential("better" if for_a[first] > for_b[first] else "worse", first + 1, p, interval)


def _log_wealth(gains: Floats) -> Floats:
    """Return the logarithm of a gambler's wealth after each gain per unit bet, at least -1."""
    growth = np.cumsum(np.log1p(FRACTIONS * gains[:, np.newaxis]), axis=0)
    return np.asarray(special.logsumexp(growth, b=SHARES, axis=1))


def _lower_limit(steps: Floats, alpha: float) -> float:
    """Return the largest mean difference that the gambler on A has disproved.

    Against a mean m a bet loses at most 1 + m, so that is the unit of the bets. Half of alpha is
    for this side.
    """

    def excess(mean: float) -> float:
        return float(_log_wealth((steps - mean) / (1 + mean))[-1] + np.log(alpha / 2))

    floor, top = -1 + 1e-9, float(steps.mean())
    if top <= floor or excess(floor) <= 0:
        return -1.0
    return float(optimize.brentq(excess, floor, top, xtol=1e-6))
