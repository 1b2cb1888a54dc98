"""Holm's correction, the set of best policies, and verdicts."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
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
from harness.statistics.interval import fixed_tasks_interval, rate_interval
from harness.statistics.power import episodes_needed
from harness.statistics.verdict import compare_with_published, verdict


def column(only_a: int, only_b: int, same: int) -> tuple[list[int], list[int]]:
    agreed = [1, 0] * (same // 2) + [1] * (same % 2)
    return [1] * only_a + [0] * only_b + agreed, [0] * only_a + [1] * only_b + agreed


def test_holm_agrees_with_a_calculation_by_hand() -> None:
    # 0.01 x 4, 0.02 x 3, 0.03 x 2; then 0.04 x 1 is raised to the one before.
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([]).size == 0


@pytest.mark.slow
@settings(max_examples=30)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_keeps_the_order_and_never_lowers_p(p: list[float]) -> None:
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


def test_the_best_set_of_one_policy_and_of_equal_policies() -> None:
    assert best_set([[1, 0]]).members == (0,)
    assert best_set([[1, 0, 1]] * 3).members == (0, 1, 2)


def test_the_best_set_rarely_loses_an_equal_policy() -> None:
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


def test_an_undecided_verdict_states_the_episodes_needed() -> None:
    found = verdict(paired_success(*column(6, 3, 41)))
    assert found.outcome == "undecided"
    assert found.more_episodes is not None
    assert (
        f"not distinguishable (difference +0.060 [-0.066, +0.192], p = 0.51, exact McNemar, n = 50)"
        f"; about {found.more_episodes} more episodes per policy would detect a difference of this "
        f"size with 80% power."
    ) in found.sentence
    # Lachin's formula: the policies disagree on 18 % of the scenes; the difference is 6 %.
    z = stats.norm.ppf([0.975, 0.8])
    needed = (z[0] * np.sqrt(0.18) + z[1] * np.sqrt(0.18 - 0.06**2)) ** 2 / 0.06**2
    assert found.more_episodes == np.ceil(needed) - 50


@pytest.mark.parametrize("compare", [unpaired_success, unpaired_scores])
def test_unpaired_verdicts_need_the_planned_episodes(compare: Compare) -> None:
    found = verdict(compare([1] * 24 + [0] * 6, [1] * 21 + [0] * 9))
    assert found.more_episodes == episodes_needed(0.7, 0.1).unpaired - 30


@pytest.mark.parametrize("compare", [paired_success, unpaired_success, paired_scores])
def test_the_additional_episodes_decide_if_the_rates_stay(compare: Compare) -> None:
    once = verdict(compare(*column(6, 2, 22)))
    assert once.more_episodes is not None
    times = (30 + once.more_episodes) / 30
    more = column(round(6 * times), round(2 * times), round(22 * times))
    assert verdict(compare(*more)).outcome == "better"


def test_without_a_difference_no_episodes_are_planned() -> None:
    rounded = paired_scores([0.1, 0.2, 0.0], [0.0, 0.0, 0.1 + 0.2])
    assert verdict(rounded).more_episodes is None
    for pair in (column(3, 3, 10), column(0, 0, 10)):
        found = verdict(paired_success(*pair))
        assert found.outcome == "undecided"
        assert found.more_episodes is None
        assert "no difference was observed" in found.sentence


def outcomes(successes: int, n: int) -> tuple[list[int], list[str]]:
    return [1] * successes + [0] * (n - successes), ["t"] * n


def test_a_difference_is_stated_in_points_if_asked() -> None:
    compared = paired_success(*column(9, 0, 21))
    low, high = 100 * compared.difference.low, 100 * compared.difference.high
    assert verdict(compared, ("one", "two"), points=True).sentence == (
        f"one is better than two (difference +30.0 points [{low:+.1f}, {high:+.1f}], p = 0.0039, "
        "exact McNemar, n = 30)."
    )


def test_a_published_rate_is_compared_by_test_or_by_interval() -> None:
    agrees = compare_with_published(*outcomes(485, 500), 0.969, 500)
    assert agrees.compatible
    assert agrees.p == pytest.approx(compare_rates(485, 500, 485, 500).p)
    assert agrees.sentence == (
        "Our 97.0 % [95.1, 98.2] (n = 500) is compatible with the published 96.9 % "
        "(n = 500, Fisher p = 1)."
    )
    differs = compare_with_published(*outcomes(92, 100), 0.995, 200)
    assert not differs.compatible
    assert differs.p == pytest.approx(compare_rates(92, 100, 199, 200).p)
    assert "differs from the published 99.5 % (n = 200, Boschloo p = 0.0" in differs.sentence
    unknown = compare_with_published(*outcomes(485, 500), 0.969)
    assert unknown.compatible
    assert unknown.p is None
    assert "its n is unknown" in unknown.sentence


def test_a_published_rate_is_compared_with_the_mean_over_tasks() -> None:
    # Pooled, 10 of 12 episodes succeeded; the mean over the two tasks is one half.
    successes, tasks = [1] * 10 + [0] * 2, ["t"] * 10 + ["u"] * 2
    found = compare_with_published(successes, tasks, 0.5, 100)
    ours = fixed_tasks_interval(successes, tasks)
    assert found.compatible
    assert found.p == pytest.approx(compare_rates(3, 6, 50, 100).p)
    assert found.sentence == (
        f"Our 50.0 % [{100 * ours.low:.1f}, {100 * ours.high:.1f}] (n = 12; mean over 2 tasks, "
        "interval for these tasks) is compatible with the published 50.0 % (n = 100, Boschloo "
        "p = 1 with 6 for our n, because our tasks have unequal n)."
    )
    even = compare_with_published([1, 1, 0, 0], ["t", "t", "u", "u"], 0.5, 100)
    assert even.p == pytest.approx(compare_rates(2, 4, 50, 100).p)
    assert "unequal" not in even.sentence


@given(st.integers(0, 50), st.floats(0, 1))
def test_a_published_rate_without_n_must_lie_in_our_interval(
    successes: int, published: float
) -> None:
    ours = rate_interval(successes, 50)
    assume(min(abs(published - ours.low), abs(published - ours.high)) > 1e-9)
    found = compare_with_published(*outcomes(successes, 50), published)
    assert found.compatible == (ours.low <= published <= ours.high)


def test_an_invalid_published_rate_is_rejected() -> None:
    with pytest.raises(ValueError, match=r"96\.9 is not between 0 and 1"):
        compare_with_published(*outcomes(485, 500), 96.9)
