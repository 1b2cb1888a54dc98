"""The sequential comparison keeps its level at every look."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, special

from harness.statistics.sequential import sequential_comparison

STEPS = st.lists(st.sampled_from([-1.0, -0.5, 0.0, 0.25, 1.0]), min_size=1, max_size=40)


def largest_bayes_factor(wins: list[bool]) -> float:
    """Return the largest Bayes factor so far: a uniform prior on the coin against a fair coin."""
    won = np.cumsum(wins)
    lost = np.arange(1, len(wins) + 1) - won
    return float(np.max(2.0 ** (won + lost) * special.beta(won + 1, lost + 1)))


@given(st.lists(st.booleans(), min_size=1, max_size=35))
def test_for_successes_the_wealth_is_a_bayes_factor(wins: list[bool]) -> None:
    found = sequential_comparison([1 if won else -1 for won in wins])
    factor = largest_bayes_factor(wins)
    assert found.p == pytest.approx(min(1, 1 / factor))
    assert (found.outcome != "undecided") == (factor >= 20)


def test_eight_wins_in_a_row_are_a_decision() -> None:
    # The first m wins multiply the stake by 2^m / (m + 1), which passes 20 at the eighth.
    assert sequential_comparison([1] * 7).outcome == "undecided"
    found = sequential_comparison([1] * 8)
    assert (found.outcome, found.pairs) == ("better", 8)
    assert found.p == pytest.approx(9 / 2**8)
    assert sequential_comparison([-1] * 8).outcome == "worse"


def test_fair_coins_rarely_give_a_decision() -> None:
    # All 128 outcomes of seven fair coins, at a level that some of them reach.
    found = [sequential_comparison(s, confidence=0.7) for s in itertools.product([-1, 1], repeat=7)]
    decided = np.mean([one.outcome != "undecided" for one in found])
    assert 0.05 < decided <= 0.3
    better = sum(one.outcome == "better" for one in found)
    assert better == sum(one.outcome == "worse" for one in found)


@settings(max_examples=40)
@given(STEPS, st.integers(0, 40))
def test_pairs_without_a_difference_change_nothing(steps: list[float], at: int) -> None:
    found = sequential_comparison(steps)
    padded = sequential_comparison([*steps[:at], 0, 0, 0, *steps[at:]])
    assert padded.p == pytest.approx(found.p)
    assert padded.outcome == found.outcome


@settings(max_examples=40)
@given(STEPS)
def test_swapping_the_policies_negates_the_result(steps: list[float]) -> None:
    found = sequential_comparison(steps)
    turned = sequential_comparison([-step for step in steps])
    opposite = {"better": "worse", "worse": "better", "undecided": "undecided"}
    assert turned.outcome == opposite[found.outcome]
    assert (turned.p, turned.pairs) == (pytest.approx(found.p), found.pairs)
    limits = (-turned.difference.high, -turned.difference.low)
    assert limits == pytest.approx((found.difference.low, found.difference.high))


@settings(max_examples=40)
@given(STEPS, STEPS)
def test_a_decision_is_final_and_p_never_rises(steps: list[float], more: list[float]) -> None:
    before = sequential_comparison([1] * 6 + steps)
    after = sequential_comparison([1] * 6 + steps + more)
    assert after.p <= before.p + 1e-12
    if before.outcome != "undecided":
        assert (after.outcome, after.pairs) == (before.outcome, before.pairs)
    assert after.difference.low <= after.difference.estimate <= after.difference.high


def test_without_pairs_it_is_undecided() -> None:
    found = sequential_comparison([])
    assert (found.outcome, found.pairs, found.p) == ("undecided", 0, 1)
    assert (found.difference.low, found.difference.high) == (-1, 1)


@pytest.mark.parametrize("steps", [[1.5], [float("nan")], [[0.5]]])
def test_invalid_differences_are_rejected(steps: list[float]) -> None:
    with pytest.raises(ValueError, match="from -1 to 1"):
        sequential_comparison(steps)


@pytest.mark.parametrize("goals", [1, 3])
def test_equal_policies_rarely_give_a_decision(goals: int) -> None:
    random = np.random.default_rng(goals)
    reached = np.cumprod(random.random((2, 200, 150, goals)) < 0.8, axis=3).mean(axis=3)
    decided = [
        sequential_comparison(steps, confidence=0.9).outcome != "undecided"
        for steps in reached[0] - reached[1]
    ]
    assert 0 < np.mean(decided) <= 0.1


def test_larger_differences_are_decided_sooner() -> None:
    random = np.random.default_rng(0)
    taken = []
    for rate in (0.7, 0.8, 0.95):
        a, b = random.random((40, 300)) < rate, random.random((40, 300)) < 0.4
        found = [sequential_comparison(steps) for steps in a.astype(float) - b]
        assert np.mean([one.outcome == "better" for one in found]) > 0.95
        taken.append(np.mean([one.pairs for one in found]))
    assert taken[0] > 1.5 * taken[1] > 2 * taken[2]


def test_the_limit_is_the_mean_at_which_the_wealth_is_forty() -> None:
    # Each side gets half of the 5 %, so it needs 40 times the stake. Quadrature gives the wealth.
    low = sequential_comparison([1, 0.5, 1, -0.25, 1, 1, 1, 1]).difference.low
    gains = (np.array([1, 0.5, 1, -0.25, 1, 1, 1, 1]) - low) / (1 + low)
    wealth, _ = integrate.quad(lambda fraction: np.prod(1 + fraction * gains), 0, 1)
    assert wealth == pytest.approx(40, rel=1e-3)


def test_the_interval_is_valid_at_every_look() -> None:
    random = np.random.default_rng(0)
    looks = (5, 20, 60, 150)
    held = []
    for _ in range(100):
        steps = (random.random(150) < 0.9).astype(float) - (random.random(150) < 0.6)
        found = [sequential_comparison(steps[:n]).difference for n in looks]
        held.append(all(0.3 in limits for limits in found))
        assert found[-1].high - found[-1].low < 0.4
    assert np.mean(held) >= 0.95
