"""Means over tasks: exact tests against brute force, and error rates on tasks of unequal n."""

import itertools

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from harness.statistics import means
from harness.statistics.compare import (
    newcombe_interval,
    paired_scores,
    paired_success,
    unpaired_success,
)
from harness.statistics.interval import fixed_tasks_interval, sampled_tasks_interval
from harness.statistics.means import MeanComparison, paired_means, unpaired_means

SCORES = st.sampled_from([0.0, 0.5, 1.0])
SUCCESSES = st.sampled_from([0.0, 1.0])


def tasks_of(*sizes: int) -> list[int]:
    return [task for task, n in enumerate(sizes) for _ in range(n)]


def limits(found: MeanComparison) -> tuple[float, float, float]:
    gap = found.comparison.difference
    return gap.estimate, gap.low, gap.high


def rows(values: st.SearchStrategy[float]) -> st.SearchStrategy[list[tuple[int, float, float]]]:
    """Return pairs of outcomes on up to three tasks, each with at least one scene."""
    row = st.tuples(st.integers(0, 2), values, values)
    return st.lists(row, min_size=1, max_size=9)


@pytest.mark.parametrize("values", [SUCCESSES, SCORES])
def test_the_paired_test_swaps_the_policies_in_every_scene(
    values: st.SearchStrategy[float],
) -> None:
    @given(rows(values))
    def check(played: list[tuple[int, float, float]]) -> None:
        tasks, a, b = (np.array(column) for column in zip(*played, strict=True))
        gaps = a - b
        names, index = np.unique(tasks, return_inverse=True)
        weights = 1 / (len(names) * np.bincount(index)[index])
        signs = np.array(list(itertools.product([1, -1], repeat=len(gaps))))
        sums = signs @ (weights * gaps)
        expected = np.mean(np.abs(sums) >= abs(weights @ gaps) - 1e-9)
        found = paired_means(a, b, tasks.tolist(), success=values is SUCCESSES).comparison
        assert found.p == pytest.approx(expected)
        assert found.difference.estimate == pytest.approx(weights @ gaps)
        assert found.difference.low <= found.difference.estimate <= found.difference.high

    check()


@settings(max_examples=40)
@given(rows(SUCCESSES))
def test_the_unpaired_test_deals_the_successes_of_each_task(
    played: list[tuple[int, float, float]],
) -> None:
    tasks, a, b = (np.array(column) for column in zip(*played, strict=True))
    names = np.unique(tasks)
    if len(names) == 1:
        return
    # B has one more episode of each task, so the sides differ in n.
    more, tasks_b = np.append(b, np.ones(len(names))), np.append(tasks, names)
    ways = []
    for name in names:
        both = np.append(a[tasks == name], more[tasks_b == name])
        n = int(np.sum(tasks == name))
        total = both.sum()
        ways.append(
            [
                sum(chosen) / n - (total - sum(chosen)) / (len(both) - n)
                for chosen in itertools.combinations(both, n)
            ]
        )
    chances = [np.full(len(way), 1 / len(way)) for way in ways]
    sums, weights = np.zeros(1), np.ones(1)
    for way, chance in zip(ways, chances, strict=True):
        sums = np.add.outer(sums, way).ravel()
        weights = np.multiply.outer(weights, chance).ravel()
    found = unpaired_means((a, tasks.tolist()), (more, tasks_b.tolist()), success=True).comparison
    observed = len(names) * found.difference.estimate
    up, down = weights[sums >= observed - 1e-7].sum(), weights[sums <= observed + 1e-7].sum()
    assert found.p == pytest.approx(min(1, 2 * min(up, down)))


def test_one_task_and_equal_n_are_the_comparisons_of_pairs() -> None:
    random = np.random.default_rng(0)
    a, b = random.integers(0, 2, (2, 30))
    assert paired_means(a, b, tasks_of(30), success=True).comparison == paired_success(a, b)
    assert paired_means(a, b, tasks_of(10, 10, 10), True).comparison == paired_success(a, b)
    one = paired_means(a / 2, b / 2, tasks_of(30), success=False).comparison
    two = paired_scores(a / 2, b / 2)
    assert one.test == two.test
    assert one.difference == two.difference
    assert (one.spread_null, one.spread) == pytest.approx((two.spread_null, two.spread))
    assert one.p == pytest.approx(two.p, abs=0.01)
    single = (a, tasks_of(30)), (b[:20], tasks_of(20))
    assert unpaired_means(*single, success=True).comparison == unpaired_success(a, b[:20])
    fast = unpaired_means(*single, success=True, test=False)
    expected = unpaired_success(a, b[:20]).difference
    assert limits(fast) == pytest.approx((expected.estimate, expected.low, expected.high))


def test_every_task_has_the_same_weight() -> None:
    # The review's example: 10 of 10 and 0 of 2 against 5 of 10 and 5 of 10.
    a, b = [1] * 10 + [0] * 2, [1, 0] * 10
    for success in (True, False):
        found = unpaired_means((a, tasks_of(10, 2)), (b, tasks_of(10, 10)), success)
        assert found.comparison.difference.estimate == pytest.approx(0)
        assert found.comparison.p > 0.5
    paired = paired_means(a, [1, 0] * 6, tasks_of(10, 2), success=True)
    assert paired.comparison.difference.estimate == pytest.approx(0.0)
    assert paired.comparison.test == "McNemar, tasks weighted equally"
    assert paired.effective < 12


def test_the_interval_for_similar_tasks_is_the_tables() -> None:
    random = np.random.default_rng(1)
    a, b = random.integers(0, 2, (2, 25))
    tasks = tasks_of(5, 5, 4, 6, 5)
    assert paired_means(a, b, tasks, True).similar == sampled_tasks_interval(a - b, tasks, (-1, 1))
    sides = (sampled_tasks_interval(each, tasks) for each in (a, b))
    assert unpaired_means((a, tasks), (b, tasks), True).similar == newcombe_interval(*sides)
    sides = (fixed_tasks_interval(each, tasks) for each in (a, b))
    found = unpaired_means((a, tasks), (b, tasks), True).comparison.difference
    assert found == newcombe_interval(*sides)
    assert paired_means(a, b, [0] * 25, success=True).similar is None


def test_drawn_sums_agree_with_the_exact_test(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(2)
    tasks = tasks_of(40, 30, 20, 10)
    a, b = random.random((2, 100)) < [[0.7], [0.6]]
    exact = paired_means(a, b, tasks, success=True).comparison.p
    scores = paired_means(a, b, tasks, success=False).comparison.p
    other = unpaired_means((a, tasks), (b, tasks), success=True).comparison.p
    other_scores = unpaired_means((a, tasks), (b, tasks), success=False).comparison.p
    monkeypatch.setattr(means, "_EXACT", 1)
    drawn = paired_means(a, b, tasks, success=True).comparison.p
    assert 0.0001 < exact < 0.2
    assert drawn == paired_means(a, b, tasks, success=True).comparison.p
    assert (scores, drawn) == pytest.approx((exact, exact), abs=0.012)
    assert other_scores == pytest.approx(other, abs=0.012)


def draw(
    random: np.random.Generator, tasks: list[int], rates: dict[int, tuple[float, float]]
) -> tuple[npt.NDArray[np.int_], npt.NDArray[np.int_]]:
    """Draw pairs; `rates` are those of scenes that only A and only B solves, by task."""
    u = random.random(len(tasks))
    only_a = np.array([rates[task][0] for task in tasks])
    only_b = np.array([rates[task][1] for task in tasks])
    wins, losses = u < only_a, (u >= only_a) & (u < only_a + only_b)
    same = random.random(len(tasks)) < 0.5
    return np.where(wins, 1, same & ~losses), np.where(losses, 1, same & ~wins)


@pytest.mark.parametrize(
    "rates",
    [
        {0: (0.1, 0.1), 1: (0.2, 0.2), 2: (0.3, 0.3)},
        # Equal on average over the tasks, but not over the episodes.
        {0: (0.4, 0.1), 1: (0.1, 0.4), 2: (0.15, 0.15)},
    ],
)
def test_equal_policies_are_seldom_told_apart_on_tasks_of_unequal_n(
    rates: dict[int, tuple[float, float]],
) -> None:
    random, tasks = np.random.default_rng(3), tasks_of(60, 15, 8)
    found = [draw(random, tasks, rates) for _ in range(400)]
    paired = [paired_means(a, b, tasks, success=True) for a, b in found]
    assert np.mean([each.comparison.p < 0.05 for each in paired]) <= 0.06
    held = [0.0 in each.comparison.difference for each in paired]
    assert np.mean(held) >= 0.93
    apart = [unpaired_means((a, tasks), (b, tasks), success=True) for a, b in found[:200]]
    assert np.mean([each.comparison.p < 0.05 for each in apart]) <= 0.06
    # Pooling all episodes instead fails if the large task favours one policy.
    pooled = np.mean([paired_success(a, b).p < 0.05 for a, b in found])
    assert pooled > 0.3 or rates[0][0] == rates[0][1]


def test_the_interval_covers_a_difference_on_tasks_of_unequal_n() -> None:
    random, tasks = np.random.default_rng(4), tasks_of(50, 10, 25, 25, 40)
    rates = {0: (0.3, 0.1), 1: (0.4, 0.05), 2: (0.2, 0.2), 3: (0.02, 0.0), 4: (0.1, 0.0)}
    truth = float(np.mean([a - b for a, b in rates.values()]))
    found = [
        paired_means(*draw(random, tasks, rates), tasks, success=True).comparison.difference
        for _ in range(400)
    ]
    assert np.mean([truth in interval for interval in found]) >= 0.93
    width = np.mean([interval.high - interval.low for interval in found])
    spread = np.std([interval.estimate for interval in found])
    assert width < 1.35 * 2 * stats.norm.ppf(0.975) * spread


def test_impossible_episodes_are_rejected() -> None:
    with pytest.raises(ValueError, match="same scenes, but A has 2 and B 1"):
        paired_means([1, 0], [1], [0, 0], success=True)
    with pytest.raises(ValueError, match="2 episodes, but 1 tasks"):
        paired_means([1, 0], [1, 1], [0], success=True)
    with pytest.raises(ValueError, match="true or false"):
        paired_means([0.5], [1], [0], success=True)
    with pytest.raises(ValueError, match="need episodes of every task"):
        unpaired_means(([1], [0]), ([1], [1]), success=True)
