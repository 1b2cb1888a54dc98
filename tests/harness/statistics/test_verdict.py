"""Families, verdicts, plans: what is concluded follows from the comparisons and errs rarely."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from harness.statistics.compare import (
    Compare,
    compare_rates,
    paired_scores,
    paired_success,
    unpaired_scores,
    unpaired_success,
)
from harness.statistics.family import best_set, holm
from harness.statistics.interval import rate_interval
from harness.statistics.power import detectable_difference, episodes_needed
from harness.statistics.verdict import compare_with_published, verdict


def column(only_a: int, only_b: int, same: int) -> tuple[list[int], list[int]]:
    agreed = [1, 0] * (same // 2) + [1] * (same % 2)
    return [1] * only_a + [0] * only_b + agreed, [0] * only_a + [1] * only_b + agreed


def test_holm_by_hand() -> None:
    # 0.01 x 4, 0.02 x 3, then 0.03 x 2, and 0.04 no less than the one before.
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([]).size == 0


@settings(max_examples=30)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_keeps_the_order_and_never_lowers_a_p(p: list[float]) -> None:
    corrected = holm(p)
    assert np.all(corrected >= np.array(p))
    assert np.all(corrected <= 1)
    assert np.all(np.diff(corrected[np.argsort(p)]) >= -1e-12)
    assert corrected.min() == pytest.approx(min(1, len(p) * min(p)))
    assert corrected == pytest.approx(multipletests(p, method="holm")[1])


def test_the_best_set_omits_significantly_worse_policies() -> None:
    random = np.random.default_rng(0)
    columns = [random.random(100) < rate for rate in (0.5, 0.9, 0.87, 0.1)]
    for compare in (paired_success, unpaired_success, paired_scores):
        found = best_set(columns, compare)
        assert found.best == 1
        assert found.members == (1, 2)


def test_the_best_set_of_one_policy_and_of_equal_ones() -> None:
    assert best_set([[1, 0]]).members == (0,)
    assert best_set([[1, 0, 1]] * 3).members == (0, 1, 2)


def test_the_best_set_seldom_loses_one_of_equal_policies() -> None:
    random = np.random.default_rng(0)
    lost, lost_unless_corrected = 0, 0
    for _ in range(30):
        columns = list(random.random((6, 60)) < 0.5)
        found = best_set(columns)
        lost += len(found.members) < 6
        lost_unless_corrected += any(
            paired_success(columns[found.best], other).p < 0.05 for other in columns
        )
    assert lost <= 3
    assert lost_unless_corrected >= 10


def test_a_verdict_follows_the_test() -> None:
    better = verdict(paired_success(*column(10, 0, 40)), ("new", "old"))
    assert better.outcome == "better"
    assert better.sentence.startswith("new is better than old (difference +0.200 [")
    assert "p = 0.002, exact McNemar, n = 50" in better.sentence
    worse = verdict(paired_success(*column(0, 10, 40)))
    assert worse.outcome == "worse"
    assert worse.more_episodes is None
    comparison = paired_success(*column(10, 0, 40))
    assert verdict(replace(comparison, p=0.2)).outcome == "undecided"
    assert verdict(comparison, alpha=0.001).outcome == "undecided"


def test_an_undecided_verdict_says_how_many_more_episodes() -> None:
    found = verdict(paired_success(*column(6, 3, 41)))
    assert found.outcome == "undecided"
    assert found.more_episodes is not None
    assert (
        f"not distinguishable (difference +0.060 [-0.066, +0.192], p = 0.51, exact McNemar, n = 50)"
        f"; about {found.more_episodes} more episodes per policy would be needed for a difference "
        f"of this size with 80% power."
    ) in found.sentence
    # Lachin's formula by hand: 18 % of the scenes disagree, the difference is 6 %.
    z = stats.norm.ppf([0.975, 0.8])
    needed = (z[0] * np.sqrt(0.18) + z[1] * np.sqrt(0.18 - 0.06**2)) ** 2 / 0.06**2
    assert found.more_episodes == np.ceil(needed) - 50


@pytest.mark.parametrize("compare", [unpaired_success, unpaired_scores])
def test_more_episodes_on_other_scenes_are_the_plans(compare: Compare) -> None:
    found = verdict(compare([1] * 24 + [0] * 6, [1] * 21 + [0] * 9))
    assert found.more_episodes == episodes_needed(0.7, 0.1).unpaired - 30


@pytest.mark.parametrize("compare", [paired_success, unpaired_success, paired_scores])
def test_so_many_more_episodes_like_these_decide(compare: Compare) -> None:
    once = verdict(compare(*column(6, 2, 22)))
    assert once.more_episodes is not None
    times = (30 + once.more_episodes) / 30
    more = column(round(6 * times), round(2 * times), round(22 * times))
    assert verdict(compare(*more)).outcome == "better"


def test_no_difference_is_nothing_to_plan_for() -> None:
    rounded = paired_scores([0.1, 0.2, 0.0], [0.0, 0.0, 0.1 + 0.2])
    assert verdict(rounded).more_episodes is None
    for pair in (column(3, 3, 10), column(0, 0, 10)):
        found = verdict(paired_success(*pair))
        assert found.outcome == "undecided"
        assert found.more_episodes is None
        assert "no difference was seen" in found.sentence


def test_a_published_rate_is_compared_by_the_test_or_by_the_interval() -> None:
    agrees = compare_with_published(485, 500, 0.969, 500)
    assert agrees.compatible
    assert agrees.p == pytest.approx(compare_rates(485, 500, 485, 500).p)
    assert agrees.sentence == (
        "Our 97.0 % [95.1, 98.2] (n = 500) is compatible with the published 96.9 % "
        "(n = 500, Fisher p = 1)."
    )
    differs = compare_with_published(92, 100, 0.995, 200)
    assert not differs.compatible
    assert differs.p == pytest.approx(compare_rates(92, 100, 199, 200).p)
    assert "differs from the published 99.5 % (n = 200, Boschloo p = 0.0" in differs.sentence
    unknown = compare_with_published(485, 500, 0.969)
    assert unknown.compatible
    assert unknown.p is None
    assert "its n is not known" in unknown.sentence


@given(st.integers(0, 50), st.floats(0, 1))
def test_a_published_rate_without_n_is_compatible_inside_our_interval(
    successes: int, published: float
) -> None:
    ours = rate_interval(successes, 50)
    found = compare_with_published(successes, 50, published)
    assert found.compatible == (ours.low <= published <= ours.high)


def test_what_cannot_have_been_published_is_refused() -> None:
    with pytest.raises(ValueError, match=r"96\.9 is not between 0 and 1"):
        compare_with_published(485, 500, 96.9)


def test_unpaired_plans_are_the_textbooks() -> None:
    # Fleiss, Levin and Paik, Statistical Methods for Rates and Proportions, without correction.
    assert episodes_needed(0.5, 0.1).unpaired == 388
    assert episodes_needed(0.6, -0.1).unpaired == 388
    assert episodes_needed(0.5, 0.1, power=0.9).unpaired == 519


@pytest.mark.parametrize(("baseline", "difference"), [(0.5, 0.2), (0.8, 0.1), (0.9, 0.08)])
def test_paired_plans_have_about_the_power_they_promise(baseline: float, difference: float) -> None:
    plan = episodes_needed(baseline, difference)
    other = baseline + difference
    worst = (other * (1 - baseline), baseline * (1 - other))
    for n, (a, b) in ((plan.paired_best, (difference, 0)), (plan.paired_worst, worst)):
        discordant = np.arange(n + 1)
        # The most that the loser may win in a test that still rejects.
        most = stats.binom.ppf(0.025, discordant, 0.5) - 1
        found = stats.binom.cdf(most, discordant, b / (a + b))
        power = stats.binom.pmf(discordant, n, a + b) @ found
        assert 0.76 <= power <= 0.81


@given(st.floats(0.05, 0.9), st.floats(0.02, 0.5))
def test_plans_are_ordered(baseline: float, difference: float) -> None:
    difference = min(difference, 0.99 - baseline)
    plan = episodes_needed(baseline, difference)
    assert 1 <= plan.paired_best <= plan.paired_worst
    assert abs(plan.paired_worst - plan.unpaired) <= max(5, 0.05 * plan.unpaired)
    smaller = episodes_needed(baseline, difference / 2)
    assert smaller.paired_best > plan.paired_best
    assert smaller.unpaired > plan.unpaired


@pytest.mark.parametrize(("baseline", "episodes"), [(0.5, 50), (0.8, 200), (0.9, 500)])
def test_the_detectable_difference_is_the_plan_turned_round(baseline: float, episodes: int) -> None:
    found = detectable_difference(baseline, episodes)
    for design in ("paired_best", "paired_worst", "unpaired"):
        difference = getattr(found, design)
        assert getattr(episodes_needed(baseline, difference * 1.001), design) <= episodes
        assert getattr(episodes_needed(baseline, difference * 0.98), design) > episodes


def test_where_even_perfection_would_not_stand_out() -> None:
    assert np.isnan(detectable_difference(0.95, 20).paired_best)


@pytest.mark.parametrize(
    ("baseline", "difference"), [(0.9, 0.2), (0.5, 0), (1.2, -0.3), (0.1, -0.2)]
)
def test_impossible_plans_are_refused(baseline: float, difference: float) -> None:
    with pytest.raises(ValueError, match="cannot go from"):
        episodes_needed(baseline, difference)
