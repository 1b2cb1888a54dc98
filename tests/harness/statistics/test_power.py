"""Power analysis agrees with textbooks, and the command `power` checks its numbers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from harness.cli.main import main
from harness.statistics.compare import mcnemar_p
from harness.statistics.power import (
    detectable_difference,
    detectable_drop,
    detectable_score_drop,
    episodes_needed,
)


def test_unpaired_plans_agree_with_a_textbook() -> None:
    # Fleiss, Levin and Paik, Statistical Methods for Rates and Proportions, without correction.
    assert episodes_needed(0.5, 0.1).unpaired == 388
    assert episodes_needed(0.6, -0.1).unpaired == 388
    assert episodes_needed(0.5, 0.1, power=0.9).unpaired == 519


@pytest.mark.parametrize(("baseline", "difference"), [(0.5, 0.2), (0.8, 0.1), (0.9, 0.08)])
def test_paired_plans_have_nearly_their_power(baseline: float, difference: float) -> None:
    plan = episodes_needed(baseline, difference)
    other = baseline + difference
    worst = (other * (1 - baseline), baseline * (1 - other))
    for n, (a, b) in ((plan.paired_best, (difference, 0)), (plan.paired_worst, worst)):
        discordant = np.arange(n + 1)
        # The most wins of the worse policy with which the test still rejects.
        most = stats.binom.ppf(0.025, discordant, 0.5) - 1
        found = stats.binom.cdf(most, discordant, b / (a + b))
        power = stats.binom.pmf(discordant, n, a + b) @ found
        assert 0.76 <= power <= 0.81


@given(st.floats(0.05, 0.9), st.floats(0.02, 0.5))
def test_plans_are_ordered_by_design_and_difference(baseline: float, difference: float) -> None:
    difference = min(difference, 0.99 - baseline)
    plan = episodes_needed(baseline, difference)
    assert 1 <= plan.paired_best <= plan.paired_worst
    assert abs(plan.paired_worst - plan.unpaired) <= max(5, 0.05 * plan.unpaired)
    smaller = episodes_needed(baseline, difference / 2)
    assert smaller.paired_best > plan.paired_best
    assert smaller.unpaired > plan.unpaired


@pytest.mark.parametrize(("baseline", "episodes"), [(0.5, 50), (0.8, 200), (0.9, 500)])
def test_the_detectable_difference_inverts_the_plan(baseline: float, episodes: int) -> None:
    found = detectable_difference(baseline, episodes)
    for design in ("paired_best", "paired_worst", "unpaired"):
        difference = getattr(found, design)
        assert getattr(episodes_needed(baseline, difference * 1.001), design) <= episodes
        assert getattr(episodes_needed(baseline, difference * 0.98), design) > episodes


def test_the_detectable_difference_is_nan_if_perfection_is_not_significant() -> None:
    assert np.isnan(detectable_difference(0.95, 20).paired_best)


@pytest.mark.parametrize(
    ("baseline", "difference"), [(0.9, 0.2), (0.5, 0), (1.2, -0.3), (0.1, -0.2)]
)
def test_impossible_differences_are_rejected(baseline: float, difference: float) -> None:
    with pytest.raises(ValueError, match="cannot go from"):
        episodes_needed(baseline, difference)


@pytest.mark.parametrize("power", [0, 0.05, 1, 2, float("nan")])
def test_an_impossible_power_is_rejected(power: float) -> None:
    with pytest.raises(ValueError, match=r"the power must be between 0\.05 and 1"):
        episodes_needed(0.8, 0.1, power)
    with pytest.raises(ValueError, match=r"the power must be between 0\.05 and 1"):
        detectable_difference(0.8, 100, power)


@pytest.mark.parametrize("episodes", [0, -3])
def test_the_detectable_difference_needs_episodes(episodes: int) -> None:
    with pytest.raises(ValueError, match="episodes must be at least 1"):
        detectable_difference(0.8, episodes)


def test_very_many_episodes_detect_a_tiny_difference() -> None:
    found = detectable_difference(0.5, 10**20)
    assert 0 < found.paired_best == found.unpaired < 1e-5


def test_the_command_prints_every_design(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["power", "--baseline", "80", "--difference", "10"]) == 0
    assert [line.split("|")[2].strip() for line in capsys.readouterr().out.splitlines()] == [
        "for 80% power",
        "-" * 25,
        "77 episodes per policy",
        "202 episodes per policy",
        "199 episodes per policy",
    ]
    # 64.1 + 35.9 is 100, although 100 - 64.1 is not 35.9 in floating point.
    assert main(["power", "--baseline", "64.1", "--difference", "35.9"]) == 0
    assert main(["power", "--baseline", "95", "--episodes", "20"]) == 0
    assert "out of reach" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("80", "give either --difference or --episodes"),
        ("80 --difference 5 --episodes 9", "give either --difference or --episodes"),
        ("80 --episodes -3", "--episodes must be at least 1 per policy, not -3"),
        ("80 --episodes 0", "--episodes must be at least 1 per policy, not 0"),
        ("100 --episodes 9", "--episodes needs a --baseline below 100 percent"),
        ("101 --difference 5", "--baseline must be from 0 to 100 percent, not 101"),
        ("nan --episodes 9", "--baseline must be from 0 to 100 percent, not nan"),
        ("80 --difference 30", "--difference must be from -80 to 20 points"),
        ("80 --difference nan", "--difference must be from -80 to 20 points"),
        ("80 --difference 0", "at least 0.01 in size, not 0"),
        ("80 --difference 5 --power 2", "--power must be between 0.05 and 1, e.g. 0.8, not 2"),
        ("80 --difference 5 --power 1", "--power must be between 0.05 and 1, e.g. 0.8, not 1"),
        ("80 --episodes 9 --power 0", "--power must be between 0.05 and 1, e.g. 0.8, not 0"),
    ],
)
def test_the_command_rejects_numbers_outside_their_range(
    capsys: pytest.CaptureFixture[str], arguments: str, expected: str
) -> None:
    assert main(["power", "--baseline", *arguments.split()]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: ")
    assert printed.err.count("\n") == 1
    assert expected in printed.err


@pytest.mark.parametrize(("episodes", "discordant"), [(12, 0.0), (30, 0.1), (60, 0.3)])
def test_the_detectable_drop_has_its_power(episodes: int, discordant: float) -> None:
    drop = detectable_drop(0.9, episodes, discordant)
    wins, losses = discordant / 2, discordant / 2 + drop
    cells = [(w, lost) for w in range(episodes + 1) for lost in range(episodes + 1 - w)]
    counts = np.array([(w, lost, episodes - w - lost) for w, lost in cells])
    chances = stats.multinomial.pmf(counts, episodes, [wins, losses, 1 - wins - losses])
    found = np.array([lost > w and mcnemar_p(w, lost) < 0.05 for w, lost in cells])
    assert chances @ found == pytest.approx(0.8, abs=1e-4)
    assert detectable_drop(0.9, 2 * episodes, discordant) < drop
    assert not detectable_drop(0.9, episodes, discordant, alpha=0.01) <= drop


def test_few_episodes_detect_no_drop() -> None:
    # Five pairs that all favour one policy have p = 0.0625.
    assert np.isnan(detectable_drop(1.0, 5, 0.0))
    assert detectable_drop(1.0, 6, 0.0) == pytest.approx(0.8 ** (1 / 6), abs=1e-5)
    assert np.isnan(detectable_drop(1.0, 3))
    assert np.isnan(detectable_drop(0.0, 100))
    assert np.isnan(detectable_drop(0.0, 100, 0.1))
    assert np.isnan(detectable_score_drop(1.0, 5, 0.1, paired=True))
    assert np.isnan(detectable_score_drop(1.0, 3, 0.1, paired=False))
    assert np.isnan(detectable_score_drop(0.0, 50, 0.1, paired=True))


def test_a_drop_on_different_scenes_is_a_rise_of_failures() -> None:
    assert detectable_drop(0.9, 200) == detectable_difference(0.1, 200).unpaired


def test_the_detectable_drop_of_a_score_is_that_of_a_t_test() -> None:
    drop = detectable_score_drop(0.8, 200, 0.3, paired=True)
    z = stats.norm.ppf([0.975, 0.8]).sum()
    assert drop == pytest.approx(z * 0.3 / np.sqrt(200), rel=0.05)
    assert detectable_score_drop(0.8, 10**9, 0.0, paired=True) <= 1e-4
