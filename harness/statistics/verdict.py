"""What may be said of a comparison, as a word for programs and a sentence for people."""

import math
from dataclasses import dataclass
from typing import Literal

from harness.statistics.compare import Comparison, compare_rates
from harness.statistics.interval import ALPHA, CONFIDENCE, rate_interval
from harness.statistics.power import POWER, episodes_for

ROUNDING = 1e-9
"""Differences of means below this come from adding floats in another order."""


@dataclass(frozen=True)
class Verdict:
    """Whether policy A is better than policy B.

    Attributes:
        outcome: `better`, `worse`, or `undecided`, which does not mean that they are equal.
        more_episodes: Where undecided, about how many more episodes per policy would decide it if
            the true difference is the one seen; None where none was seen.
        sentence: The same for people.
    """

    outcome: Literal["better", "worse", "undecided"]
    more_episodes: int | None
    sentence: str


@dataclass(frozen=True)
class Published:
    """Whether our success rate agrees with a published one.

    Attributes:
        compatible: Whether the data leave open that both measured the same rate.
        p: The test's p; None where the published number came without its n.
        sentence: The same for people.
    """

    compatible: bool
    p: float | None
    sentence: str


def verdict(
    comparison: Comparison,
    names: tuple[str, str] = ("A", "B"),
    alpha: float = ALPHA,
    power: float = POWER,
) -> Verdict:
    """Say which policy is better, or how many episodes would tell.

    For a family of comparisons, put each corrected p in place first (`dataclasses.replace`).

    Args:
        comparison: Of policy A with policy B.
        names: What the sentence calls them.
        alpha: The level below which p decides.
        power: How often the additional episodes should decide.
    """
    a, b = names
    gap = comparison.difference
    numbers = (
        f"difference {gap.estimate:+.3f} [{gap.low:+.3f}, {gap.high:+.3f}], "
        f"p = {comparison.p:.2g}, {comparison.test}, n = {comparison.episodes}"
    )
    seen = abs(gap.estimate) > ROUNDING
    if comparison.p < alpha and seen:
        better = gap.estimate > 0
        sentence = f"{a} is {'better' if better else 'worse'} than {b} ({numbers})."
        return Verdict("better" if better else "worse", None, sentence)
    start = f"{a} and {b} are not distinguishable ({numbers})"
    if not seen:
        return Verdict("undecided", None, f"{start}; no difference was seen to plan for.")
    needed = episodes_for(gap.estimate, comparison.spread_null, comparison.spread, power, alpha)
    more = max(1, needed - comparison.episodes)
    return Verdict(
        "undecided",
        more,
        f"{start}; about {more} more episodes per policy would be needed for a difference of this "
        f"size with {power:.0%} power.",
    )


def compare_with_published(
    successes: int,
    n: int,
    published: float,
    published_n: int | None = None,
    confidence: float = CONFIDENCE,
) -> Published:
    """Compare our success rate with a published one.

    Args:
        successes: Our successes.
        n: Our episodes.
        published: The published rate, from 0 to 1.
        published_n: Its episodes. Where they are unknown the published rate is taken for exact,
            which finds differences too easily; the sentence says so.
        confidence: Of the intervals; one less it is the test's level.
    """
    if not 0 <= published <= 1:
        raise ValueError(f"the published rate {published} is not between 0 and 1")
    ours = rate_interval(successes, n, confidence)
    p = None
    if published_n is None:
        compatible = published in ours
        basis = "its n is not known, so it is taken for exact"
    else:
        # A rate of 96.9 % of 500 cannot be: published rates are rounded.
        theirs = math.floor(published * published_n + 0.5)
        test = compare_rates(successes, n, theirs, published_n, confidence)
        p, compatible = test.p, test.p >= 1 - confidence
        basis = f"n = {published_n}, {test.test} p = {p:.2g}"
    says = "is compatible with" if compatible else "differs from"
    return Published(
        compatible,
        p,
        f"Our {100 * ours.estimate:.1f} % [{100 * ours.low:.1f}, {100 * ours.high:.1f}] (n = {n}) "
        f"{says} the published {100 * published:.1f} % ({basis}).",
    )
