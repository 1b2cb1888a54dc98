"""States the conclusion of a comparison, as a word for programs and a sentence for people."""

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from harness.statistics.compare import Comparison, compare_rates
from harness.statistics.interval import ALPHA, CONFIDENCE, fixed_tasks_interval
from harness.statistics.power import POWER, episodes_for

_ROUNDING = 1e-9
"""A difference of means below this is a rounding error of the sum."""


@dataclass(frozen=True)
class Verdict:
    """Whether policy A is better than policy B.

    Attributes:
        outcome: `better`, `worse` or `undecided`. Undecided does not mean equal.
        more_episodes: If undecided, the additional episodes per policy to detect the observed
            difference; None if no difference was observed.
        sentence: The conclusion in words.
    """

    outcome: Literal["better", "worse", "undecided"]
    more_episodes: int | None
    sentence: str


@dataclass(frozen=True)
class PublishedVerdict:
    """Whether our success rate is compatible with a published one.

    Attributes:
        compatible: Whether the two rates do not differ significantly.
        p: The p-value of the test; None if the n of the published rate is unknown.
        sentence: The conclusion in words.
    """

    compatible: bool
    p: float | None
    sentence: str


def verdict(
    comparison: Comparison,
    names: tuple[str, str] = ("A", "B"),
    alpha: float = ALPHA,
    power: float = POWER,
    points: bool = False,
) -> Verdict:
    """State which policy is better, or how many more episodes are needed.

    In a family of comparisons, correct p first and pass `dataclasses.replace(comparison, p=...)`.

    Args:
        comparison: The comparison of policy A with policy B.
        names: The names of A and B in the sentence.
        alpha: The significance level.
        power: The power that the additional episodes should give.
        points: Whether to state the difference in points of 100.
    """
    a, b = names
    gap = comparison.difference
    scale, digits, unit = (100, 1, " points") if points else (1, 3, "")
    estimate, low, high = (
        f"{scale * value:+.{digits}f}" for value in (gap.estimate, gap.low, gap.high)
    )
    numbers = (
        f"difference {estimate}{unit} [{low}, {high}], "
        f"p = {comparison.p:.2g}, {comparison.test}, n = {comparison.episodes}"
    )
    seen = abs(gap.estimate) > _ROUNDING
    if comparison.p < alpha and seen:
        better = gap.estimate > 0
        sentence = f"{a} is {'better' if better else 'worse'} than {b} ({numbers})."
        return Verdict("better" if better else "worse", None, sentence)
    start = f"{a} and {b} are not distinguishable ({numbers})"
    if not seen:
        return Verdict("undecided", None, f"{start}; no difference was observed.")
    needed = episodes_for(gap.estimate, comparison.spread_null, comparison.spread, power, alpha)
    more = max(1, needed - comparison.episodes)
    return Verdict(
        "undecided",
        more,
        f"{start}; about {more} more episodes per policy would detect a difference of this size "
        f"with {power:.0%} power.",
    )


def compare_with_published(
    successes: npt.ArrayLike,
    tasks: Sequence[Hashable],
    published: float,
    published_n: int | None = None,
    confidence: float = CONFIDENCE,
) -> PublishedVerdict:
    """Compare our success rate with a published one.

    Our rate is the mean over the tasks of each task's rate, with an interval for these tasks. The
    test is one of two rates. If the tasks have unequal n, ours enters it with the number of
    episodes that would be as precise, and the sentence says so.

    Args:
        successes: Our successes, one per episode.
        tasks: The task of each episode.
        published: The published rate, from 0 to 1.
        published_n: Its episodes. If they are unknown, the published rate is taken as exact. This
            finds differences too easily, and the sentence says so.
        confidence: Confidence level of our interval; the level of the test is one minus it.
    """
    if not 0 <= published <= 1:
        raise ValueError(f"the published rate {published} is not between 0 and 1")
    ours = fixed_tasks_interval(successes, tasks, confidence=confidence)
    n, sizes = len(tasks), np.array(list(Counter(tasks).values()))
    p = None
    if published_n is None:
        compatible = published in ours
        basis = "its n is unknown, so it is taken as exact"
    else:
        # Published rates are rounded: no count of 500 gives exactly 96.9 %.
        theirs = math.floor(published * published_n + 0.5)
        effective = math.floor(len(sizes) / float(np.mean(1 / sizes)) + 1e-9)
        won = math.floor(ours.estimate * effective + 0.5)
        test = compare_rates(won, effective, theirs, published_n, confidence)
        p, compatible = test.p, test.p >= 1 - confidence
        basis = f"n = {published_n}, {test.test} p = {p:.2g}"
        if effective != n:
            basis += f" with {effective} for our n, because our tasks have unequal n"
    mean = f"; mean over {len(sizes)} tasks, interval for these tasks" if len(sizes) > 1 else ""
    says = "is compatible with" if compatible else "differs from"
    return PublishedVerdict(
        compatible,
        p,
        f"Our {100 * ours.estimate:.1f} % [{100 * ours.low:.1f}, {100 * ours.high:.1f}] "
        f"(n = {n}{mean}) {says} the published {100 * published:.1f} % ({basis}).",
    )
