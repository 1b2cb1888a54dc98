"""Several comparisons at once: Holm's correction, and the set of best policies."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from harness.statistics.compare import Compare, paired_success
from harness.statistics.interval import ALPHA, Floats


@dataclass(frozen=True)
class BestSet:
    """The best policy of a column and those not significantly worse.

    Attributes:
        best: The index of the highest mean; the first one if several are equal.
        members: The indices of the best policy and of those not significantly worse.
    """

    best: int
    members: tuple[int, ...]


def holm(p: npt.ArrayLike) -> Floats:
    """Return p-values corrected by Holm, in their order.

    Whoever calls those below 5 % significant is wrong about any of them in at most 5 % of families.
    """
    # Not by statsmodels, which collects Python's garbage each time: 0.1 s, and the more the larger
    # the program is.
    values = np.asarray(p, dtype=np.float64)
    order = np.argsort(values)
    steps = values[order] * np.arange(len(values), 0, -1)
    corrected = np.empty_like(values)
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(steps))
    return corrected


def best_set(
    outcomes: Sequence[npt.ArrayLike],
    compare: Compare = paired_success,
    alpha: float = ALPHA,
) -> BestSet:
    """Return which policies of a column are not significantly worse than the best one.

    The family is every pair of policies and not just the pairs with the best: which policy came out
    best is chance too. Ten equal policies lost a member in 11 % of columns when only the pairs with
    the best were corrected for, and in 2 % this way (docs/statistics.md).

    Args:
        outcomes: For each policy its successes or scores.
        compare: How two of them compare; it decides whether they are pairs.
        alpha: How often the set may lose a policy that is as good as the best.
    """
    means = [float(np.mean(np.asarray(values, dtype=np.float64))) for values in outcomes]
    best = int(np.argmax(means))
    pairs = list(combinations(range(len(outcomes)), 2))
    corrected = holm([compare(outcomes[i], outcomes[j]).p for i, j in pairs])
    differing = [pair for pair, p in zip(pairs, corrected, strict=True) if p <= alpha]
    worse = {index for pair in differing if best in pair for index in pair if index != best}
    return BestSet(best, tuple(index for index in range(len(outcomes)) if index not in worse))
