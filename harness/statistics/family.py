"""Corrects a family of comparisons: Holm's p-values, and the set of best policies."""

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
    """Return Holm-corrected p-values, in the order of the input.

    At a level of 5 %, at most 5 % of families contain a false positive.
    """
    # Not statsmodels' function: it runs Python's garbage collector on every call, which is slow.
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
    """Return the best policy of a column and those not significantly worse.

    Holm's correction covers every pair of policies, not only the pairs with the best one, because
    chance also decides which policy has the highest mean (docs/statistics.md).

    Args:
        outcomes: The successes or scores of each policy.
        compare: The comparison of two policies, paired or unpaired.
        alpha: The level of the test: how often the set may lose an equally good policy.
    """
    means = [float(np.mean(np.asarray(values, dtype=np.float64))) for values in outcomes]
    best = int(np.argmax(means))
    pairs = list(combinations(range(len(outcomes)), 2))
    corrected = holm([compare(outcomes[i], outcomes[j]).p for i, j in pairs])
    differing = [pair for pair, p in zip(pairs, corrected, strict=True) if p <= alpha]
    worse = {index for pair in differing if best in pair for index in pair if index != best}
    return BestSet(best, tuple(index for index in range(len(outcomes)) if index not in worse))
