"""Intervals agree with published ones, stay in their bounds and have their nominal coverage."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from harness.statistics.interval import (
    Interval,
    fixed_tasks_interval,
    mean_interval,
    rate_interval,
    sampled_tasks_interval,
)

SCORES = st.lists(st.sampled_from([0.0, 0.25, 0.5, 0.9, 1.0]) | st.floats(0, 1), min_size=1)
SUITES = st.lists(
    st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=1, max_size=6), min_size=2, max_size=6
)


def limits(interval: Interval) -> tuple[float, float]:
    return interval.low, interval.high


def flatten(suite: list[list[float]]) -> tuple[list[float], list[int]]:
    scores = [score for task in suite for score in task]
    return scores, [index for index, task in enumerate(suite) for _ in task]


# Newcombe, Statistics in Medicine 17 (1998) 857-872, Table I, method 3.
@pytest.mark.parametrize(
    ("successes", "n", "wilson"),
    [
        (81, 263, (0.2553, 0.3662)),
        (15, 148, (0.0624, 0.1605)),
        (0, 20, (0.0000, 0.1611)),
        (1, 29, (0.0061, 0.1718)),
    ],
)
def test_a_rate_has_wilsons_published_interval(
    successes: int, n: int, wilson: tuple[float, float]
) -> None:
    assert limits(rate_interval(successes, n)) == pytest.approx(wilson, abs=6e-5)


@given(st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_successes_have_the_same_interval_in_every_function(counts: tuple[int, int]) -> None:
    successes, n = counts
    wilson = limits(rate_interval(successes, n))
    outcomes = [1] * successes + [0] * (n - successes)
    assert limits(mean_interval(outcomes)) == pytest.approx(wilson, abs=1e-9)
    assert limits(fixed_tasks_interval(outcomes, ["one"] * n)) == pytest.approx(wilson, abs=1e-9)


@given(SCORES)
def test_the_interval_contains_the_mean_and_lies_inside_the_bounds(scores: list[float]) -> None:
    found = mean_interval(scores)
    assert 0 <= found.low <= found.estimate <= found.high <= 1
    assert found.estimate == pytest.approx(np.mean(scores))
    assert found.high - found.low > 1e-3
    wider = mean_interval(scores, confidence=0.99)
    assert wider.low <= found.low <= found.high <= wider.high


@given(SCORES)
def test_an_interval_follows_a_linear_map_of_the_scores(scores: list[float]) -> None:
    found = mean_interval(scores)
    turned = mean_interval(1 - np.array(scores))
    assert (1 - turned.high, 1 - turned.low) == pytest.approx(limits(found), abs=1e-9)
    stretched = mean_interval(2 * np.array(scores) - 1, (-1, 1))
    assert ((stretched.low + 1) / 2, (stretched.high + 1) / 2) == pytest.approx(limits(found))


def test_scores_with_less_variance_have_a_narrower_interval() -> None:
    even = mean_interval([0.4, 0.6] * 25)
    success = mean_interval([0.0, 1.0] * 25)
    assert even.estimate == success.estimate
    assert even.high - even.low < (success.high - success.low) / 3


@pytest.mark.parametrize("scores", [[], [float("nan")], [0.5, 1.1], [-0.1], [[0.5]]])
def test_invalid_scores_are_rejected(scores: list[float]) -> None:
    with pytest.raises(ValueError, match="scores must"):
        mean_interval(scores)


@pytest.mark.parametrize(("successes", "n"), [(0, 0), (3, 2), (-1, 2)])
def test_impossible_counts_are_rejected(successes: int, n: int) -> None:
    with pytest.raises(ValueError, match="successes of"):
        rate_interval(successes, n)


def test_equal_tasks_are_pooled_and_different_tasks_are_not() -> None:
    tasks = [task for task in range(10) for _ in range(10)]
    equal = [1, 1, 1, 1, 1, 1, 1, 0, 0, 0] * 10
    assert limits(fixed_tasks_interval(equal, tasks)) == pytest.approx(
        limits(rate_interval(70, 100))
    )
    # Five tasks always succeed and five never do: the episodes of one task hardly vary.
    split = [1] * 50 + [0] * 50
    here, pooled = fixed_tasks_interval(split, tasks), rate_interval(50, 100)
    assert here.high - here.low < 0.6 * (pooled.high - pooled.low)
    elsewhere = sampled_tasks_interval(split, tasks)
    assert elsewhere.high - elsewhere.low > 2.5 * (pooled.high - pooled.low)


def test_every_task_has_the_same_weight() -> None:
    scores, tasks = flatten([[1.0] * 8, [0.0] * 2])
    assert fixed_tasks_interval(scores, tasks).estimate == 0.5
    assert sampled_tasks_interval(scores, tasks).estimate == 0.5


def test_the_task_with_few_episodes_determines_the_width() -> None:
    scores, tasks = flatten([[0.0, 1.0] * 12, [0.5] * 476])
    alone, both = mean_interval(scores[:24]), fixed_tasks_interval(scores, tasks)
    # The other task has no uncertainty and half the weight, so half of the width is left.
    assert (both.high - both.low) / (alone.high - alone.low) == pytest.approx(0.5, abs=0.05)


def test_all_successes_still_give_a_wide_interval_for_similar_tasks() -> None:
    tasks = [task for task in range(10) for _ in range(5)]
    found = sampled_tasks_interval([1] * 50, tasks)
    t = stats.t.ppf(0.975, 9)
    assert limits(found) == pytest.approx((50 / (50 + t**2), 1.0))
    assert found.low < rate_interval(50, 50).low


def test_many_tasks_approach_students_interval_of_the_task_means() -> None:
    means = stats.beta(3, 3).ppf((np.arange(200) + 0.5) / 200)
    found = sampled_tasks_interval(np.repeat(means, 9), np.repeat(range(200), 9).tolist())
    student = stats.ttest_1samp(means, 0).confidence_interval()
    assert limits(found) == pytest.approx((student.low, student.high), abs=5e-4)


@given(SUITES)
def test_the_interval_for_similar_tasks_is_never_narrower(suite: list[list[float]]) -> None:
    scores, tasks = flatten(suite)
    these, others = fixed_tasks_interval(scores, tasks), sampled_tasks_interval(scores, tasks)
    assert 0 <= others.low <= these.low <= these.estimate <= these.high <= others.high <= 1
    again = sampled_tasks_interval(scores[::-1], tasks[::-1])
    assert limits(again) == pytest.approx(limits(others))


def test_too_few_tasks_are_rejected() -> None:
    with pytest.raises(ValueError, match="at least two tasks"):
        sampled_tasks_interval([1, 0], ["a", "a"])
    with pytest.raises(ValueError, match="2 scores, but 1 tasks"):
        fixed_tasks_interval([1, 0], ["a"])


@pytest.mark.parametrize("n", [10, 25, 100])
def test_a_process_score_has_nominal_coverage(n: int) -> None:
    random = np.random.default_rng(n)
    u, rest = random.random((600, n)), random.beta(2, 2, (600, n))
    samples = np.where(u < 0.05, 0.0, np.where(u < 0.9, 1.0, rest))
    truth = 0.85 + 0.1 * 0.5
    assert np.mean([truth in mean_interval(sample) for sample in samples]) >= 0.93


@pytest.mark.parametrize("mean", [0.5, 0.8])
def test_both_intervals_of_a_suite_have_nominal_coverage(mean: float) -> None:
    random = np.random.default_rng(0)
    truths = random.beta(mean * 3, (1 - mean) * 3, (400, 10))
    draws = (random.random((400, 10, 10)) < truths[:, :, None]).reshape(400, 100)
    tasks = np.repeat(np.arange(10), 10).tolist()
    here = [fixed_tasks_interval(row, tasks) for row in draws]
    assert np.mean([t in i for t, i in zip(truths.mean(axis=1), here, strict=True)]) >= 0.94
    elsewhere = [sampled_tasks_interval(row, tasks) for row in draws]
    assert np.mean([mean in i for i in elsewhere]) >= 0.92
    # The interval for exactly these tasks does not cover the mean of similar tasks.
    assert np.mean([mean in i for i in here]) < 0.8
