"""Comparisons agree with published examples and with exact counts."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar

from harness.statistics.compare import (
    BOSCHLOO_LIMIT,
    Compare,
    Comparison,
    compare_rates,
    mcnemar_p,
    paired_scores,
    paired_success,
    tango_interval,
    unpaired_scores,
    unpaired_success,
)
from harness.statistics.interval import mean_interval

COMPARISONS = [paired_success, unpaired_success, paired_scores, unpaired_scores]
DISCORDANT = st.integers(2, 60).flatmap(
    lambda n: st.tuples(st.integers(0, n // 2), st.integers(0, n // 2), st.just(n))
)


def pairs(both: int, only_a: int, only_b: int, neither: int) -> tuple[list[int], list[int]]:
    return (
        [1] * (both + only_a) + [0] * (only_b + neither),
        [1] * both + [0] * only_a + [1] * only_b + [0] * neither,
    )


def limits(comparison: Comparison) -> tuple[float, float]:
    return comparison.difference.low, comparison.difference.high


@pytest.mark.parametrize(
    ("table", "confidence", "published"),
    [
        # Tango, Statistics in Medicine 17 (1998) 891-908, Tables VII and V.
        ((4, 9, 3, 16), 0.95, (-0.027, 0.390)),
        ((43, 0, 1, 0), 0.90, (-0.096, 0.037)),
        # Fagerland, Lydersen and Laake, Statistics in Medicine 33 (2014) 2850-2875.
        ((1, 1, 7, 12), 0.95, (-0.517, -0.026)),
    ],
)
def test_paired_successes_have_tangos_published_intervals(
    table: tuple[int, int, int, int], confidence: float, published: tuple[float, float]
) -> None:
    found = paired_success(*pairs(*table), confidence=confidence)
    assert limits(found) == pytest.approx(published, abs=6e-4)


def test_paired_successes_have_mcnemars_published_p() -> None:
    # Fagerland, Lydersen and Laake, BMC Medical Research Methodology 13:91 (2013).
    table = pairs(1, 1, 7, 12)
    assert paired_success(*table).p == pytest.approx(0.0703, abs=5e-5)
    # Agresti, Categorical Data Analysis, approval of a prime minister: 944 and 880 of 1600.
    approval = paired_success(*pairs(794, 150, 86, 570))
    assert approval.difference.estimate == pytest.approx(0.04)
    assert limits(approval) == pytest.approx((0.021, 0.059), abs=5e-4)
    assert approval.p == pytest.approx(mcnemar([[794, 150], [86, 570]], exact=True).pvalue)


@given(st.integers(0, 40), st.integers(0, 40))
def test_mcnemar_agrees_with_statsmodels(only_a: int, only_b: int) -> None:
    exact = mcnemar_p(only_a, only_b)
    assert exact == pytest.approx(mcnemar([[0, only_a], [only_b, 0]], exact=True).pvalue)
    assert mcnemar_p(only_b, only_a) == exact


@given(DISCORDANT)
def test_tango_excludes_zero_if_mcnemars_score_test_rejects(
    counts: tuple[int, int, int],
) -> None:
    only_a, only_b, n = counts
    found = tango_interval(only_a, only_b, n)
    assert -1 <= found.low <= found.estimate <= found.high <= 1
    assert found.high - found.low > 0.01
    z = abs(only_a - only_b) / np.sqrt(max(1, only_a + only_b))
    assert (0.0 in found) == (z <= stats.norm.ppf(0.975))


@pytest.mark.parametrize("n", [1, 7, 50])
def test_tango_without_disagreement_has_a_closed_form(n: int) -> None:
    # Without discordant pairs the limits are +-z^2 / (n + z^2).
    z = stats.norm.ppf(0.975)
    found = tango_interval(0, 0, n)
    assert (found.low, found.high) == pytest.approx((-(z**2) / (n + z**2), z**2 / (n + z**2)))
    assert tango_interval(n, 0, n).high == 1
    assert tango_interval(0, n, n).low == -1


# Newcombe, Statistics in Medicine 17 (1998) 873-890, Table II, method 10.
@pytest.mark.parametrize(
    ("counts", "published"),
    [
        ((56, 70, 48, 80), (0.0524, 0.3339)),
        ((9, 10, 3, 10), (0.1705, 0.8090)),
        ((5, 56, 0, 29), (-0.0381, 0.1926)),
        ((10, 10, 0, 20), (0.6791, 1.0000)),
    ],
)
def test_unpaired_successes_have_newcombes_published_intervals(
    counts: tuple[int, int, int, int], published: tuple[float, float]
) -> None:
    assert limits(compare_rates(*counts)) == pytest.approx(published, abs=6e-5)


def boschloo(a: int, n_a: int, b: int, n_b: int) -> float:
    """Boschloo's one-sided p by definition: the largest probability of so small a Fisher p."""
    x, y = np.meshgrid(np.arange(n_a + 1), np.arange(n_b + 1), indexing="ij")
    fisher = stats.hypergeom.sf(x - 1, n_a + n_b, x + y, n_a)
    extreme = fisher <= fisher[a, b] * (1 + 1e-9)
    rates = np.linspace(0.001, 0.999, 999)
    chances = stats.binom.pmf(x[..., None], n_a, rates) * stats.binom.pmf(y[..., None], n_b, rates)
    return float((chances * extreme[..., None]).sum(axis=(0, 1)).max())


@pytest.mark.parametrize("counts", [(9, 10, 3, 10), (7, 12, 2, 15), (5, 8, 4, 9)])
def test_unpaired_successes_have_boschloos_p(counts: tuple[int, int, int, int]) -> None:
    a, n_a, b, n_b = counts
    expected = 2 * min(boschloo(a, n_a, b, n_b), boschloo(b, n_b, a, n_a))
    assert compare_rates(*counts).p == pytest.approx(min(1, expected), rel=2e-3)
    assert compare_rates(*counts).p <= stats.fisher_exact([[a, b], [n_a - a, n_b - b]]).pvalue


def test_fisher_replaces_boschloo_for_large_samples() -> None:
    n = BOSCHLOO_LIMIT + 1
    found = compare_rates(190, n, 170, n)
    assert found.test == "Fisher"
    assert found.p == pytest.approx(stats.fisher_exact([[190, 170], [n - 190, n - 170]]).pvalue)


@given(
    st.lists(
        st.tuples(st.sampled_from([0, 0.25, 0.5, 1]), st.sampled_from([0, 0.25, 0.5, 1])),
        min_size=1,
        max_size=8,
    )
)
def test_the_permutation_test_visits_every_permutation(scores: list[tuple[float, float]]) -> None:
    a, b = np.array(scores).T
    gaps = a - b
    ways = [abs(np.dot(signs, gaps)) for signs in itertools.product([1, -1], repeat=len(gaps))]
    expected = np.mean(np.array(ways) >= abs(gaps.sum()) - 1e-9)
    assert paired_scores(a, b).p == pytest.approx(expected)


@given(st.integers(0, 6), st.integers(0, 6))
def test_on_successes_the_permutation_test_is_mcnemars(only_a: int, only_b: int) -> None:
    table = pairs(3, only_a, only_b, 2)
    assert paired_scores(*table).p == pytest.approx(paired_success(*table).p)


def test_random_permutations_are_reproducible_and_agree_with_t_tests() -> None:
    random = np.random.default_rng(0)
    a, b = random.integers(0, 5, (2, 200)) / 4
    a = np.minimum(1, a + random.choice([0, 0.25], 200))
    first = paired_scores(a, b)
    assert paired_scores(a, b) == first
    assert first.p == pytest.approx(stats.ttest_rel(a, b).pvalue, abs=0.01)
    other = unpaired_scores(a, b)
    assert unpaired_scores(a, b) == other
    assert other.p == pytest.approx(stats.ttest_ind(a, b).pvalue, abs=0.01)


@pytest.mark.parametrize("compare", COMPARISONS)
def test_swapping_the_policies_negates_the_comparison(compare: Compare) -> None:
    random = np.random.default_rng(1)
    for _ in range(5):
        a, b = random.integers(0, 2, (2, 6)).tolist()
        one, two = compare(a, b), compare(b, a)
        assert two.difference.estimate == pytest.approx(-one.difference.estimate)
        assert limits(two) == pytest.approx((-one.difference.high, -one.difference.low))
        assert two.p == pytest.approx(one.p)
        assert (two.spread, two.spread_null) == pytest.approx((one.spread, one.spread_null))
        assert one.difference.low <= np.mean(a) - np.mean(b) <= one.difference.high


@pytest.mark.parametrize("compare", COMPARISONS)
@pytest.mark.parametrize("outcomes", [[1, 1, 1], [0, 0, 0], [1]])
def test_equal_outcomes_are_not_significant_and_have_a_wide_interval(
    compare: Compare, outcomes: list[int]
) -> None:
    found = compare(outcomes, outcomes)
    assert found.p == 1
    assert found.difference.estimate == 0
    assert found.difference.low < -0.3
    assert found.difference.high > 0.3


def test_invalid_outcomes_are_rejected() -> None:
    with pytest.raises(ValueError, match="same scenes, but A has 2 and B has 3"):
        paired_success([1, 0], [1, 0, 0])
    with pytest.raises(ValueError, match="true or false"):
        unpaired_success([1, 0.5], [1, 0])
    with pytest.raises(ValueError, match="0 to 1"):
        paired_scores([1, float("nan")], [1, 0])
    with pytest.raises(ValueError, match="0 of 0"):
        compare_rates(1, 2, 0, 0)
    with pytest.raises(ValueError, match="discordant pairs of 3"):
        tango_interval(2, 2, 3)


def test_paired_successes_have_nominal_coverage_and_size() -> None:
    # Exact over all tables of 20 pairs, with disagreement on 10, 30 and 60 % of the scenes.
    n = 20
    tables = [(b, c) for b in range(n + 1) for c in range(n + 1 - b)]
    cells = np.array([(b, c, n - b - c) for b, c in tables])
    found = [tango_interval(b, c, n) for b, c in tables]
    exact = np.array([mcnemar_p(b, c) < 0.05 for b, c in tables])
    for a, b in [(0.05, 0.05), (0.15, 0.15), (0.3, 0.3), (0.2, 0.1), (0.4, 0.2)]:
        chances = stats.multinomial.pmf(cells, n, [a, b, 1 - a - b])
        assert chances @ np.array([a - b in interval for interval in found]) >= 0.94
        if a == b:
            assert chances @ exact <= 0.05


def test_paired_scores_have_nominal_coverage() -> None:
    random = np.random.default_rng(0)
    u, v = random.random((2, 300, 25, 3))
    same = random.random((300, 25, 1)) < 0.5
    a = np.cumprod(u < 0.95, axis=2).mean(axis=2)
    b = np.cumprod(np.where(same, u, v) < 0.9, axis=2).mean(axis=2)
    truth = sum(0.95**i - 0.9**i for i in (1, 2, 3)) / 3
    held = [truth in mean_interval(gaps, (-1, 1)) for gaps in a - b]
    assert 0.94 <= np.mean(held) < 1
    gaps = paired_scores(a[0], b[0])
    assert gaps.difference == mean_interval(a[0] - b[0], (-1, 1))
