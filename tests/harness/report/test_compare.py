"""Comparing two policies: pairs of scenes, protocols, corrections, and published numbers."""

from pathlib import Path

import pandas as pd
import pytest

from harness.cli import main as run_eval
from harness.contracts.errors import UsageError
from harness.report.compare import against_published, compare_runs, comparison_table
from harness.statistics.compare import paired_success


def episodes(
    successes: list[int], task: str = "t", start: int = 0, protocol: str = "f/p@1"
) -> pd.DataFrame:
    rows = [
        {
            "benchmark": "suite",
            "task": task,
            "protocol": protocol,
            "seed": 7,
            "episode": start + k,
            "outcome": "success" if success else "failure",
            "progress": 1.0 if success else 0.25,
        }
        for k, success in enumerate(successes)
    ]
    return pd.DataFrame(rows)


A = [1, 1, 1, 1, 1, 1, 1, 0, 1, 0]
B = [0, 0, 0, 0, 0, 1, 1, 0, 0, 0]


def test_shared_scenes_are_paired_in_any_order() -> None:
    (tasks,) = compare_runs(episodes(A), episodes(B).iloc[::-1], "success")
    assert tasks.comparison == paired_success(A, B)
    assert tasks.means == (0.8, 0.2)
    assert tasks.lost == 0


def test_an_error_removes_its_pair() -> None:
    spoilt = episodes(B)
    spoilt.loc[0, "outcome"] = "error"
    (tasks,) = compare_runs(episodes(A), spoilt, "success")
    assert tasks.comparison == paired_success(A[1:], B[1:])
    assert tasks.lost == 1


def test_different_scenes_are_compared_unpaired() -> None:
    (tasks,) = compare_runs(episodes(A), episodes(B, start=100), "success")
    assert tasks.comparison.test == "Boschloo"
    (tasks,) = compare_runs(episodes(A), episodes(B, start=100), "progress")
    assert tasks.comparison.test == "permutation"


def test_p_is_corrected_over_tasks_but_not_for_everything() -> None:
    a = pd.concat([episodes(A, "t"), episodes(A, "u")])
    b = pd.concat([episodes(B, "t"), episodes(B, "u")])
    everything, one, two = compare_runs(a, b, "success")
    assert everything.comparison.p == paired_success(A + A, B + B).p
    assert one.comparison.p == two.comparison.p == pytest.approx(2 * paired_success(A, B).p)


def test_the_table_names_every_test_it_used() -> None:
    few = episodes(B[:3], "u", start=7)
    compared = compare_runs(
        pd.concat([episodes(A, "t"), episodes(A, "u")]),
        pd.concat([episodes(B, "t"), few.assign(episode=few["episode"] + 100)]),
        "success",
    )
    table = comparison_table(compared, ("a", "b"), "success")
    assert {each.comparison.test for each in compared} == {"exact McNemar", "Boschloo"}
    assert "- Test: exact McNemar, Boschloo. p is Holm-corrected" in table


def test_protocols_are_mixed_only_with_force() -> None:
    other = episodes(B, protocol="f/q@2")
    with pytest.raises(UsageError, match=r"f/p@1 and f/q@2.*--force"):
        compare_runs(episodes(A), other, "success")
    (tasks,) = compare_runs(episodes(A), other, "success", force=True)
    assert tasks.comparison.test == "Boschloo"


def test_a_published_number_is_compatible_or_differs() -> None:
    ours = episodes([1] * 95 + [0] * 5).assign(benchmark="libero_spatial")
    assert "is compatible with the published 96.8" in against_published(ours, "π0")[0]
    ours["outcome"] = "failure"
    assert "differs from the published 96.8" in against_published(ours, "π0")[0]
    with pytest.raises(UsageError, match=r"no number of 'nobody'.*π0"):
        against_published(ours, "nobody")


@pytest.mark.usefixtures("points")
def test_the_command_states_which_policy_is_better(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["run", "--policy", "homing", "random", "--benchmark", "points_two"]
    assert run_eval.main([*command, "--episodes", "12", "--out", str(tmp_path)]) == 0
    capsys.readouterr()
    assert run_eval.main(["compare", f"{tmp_path}:homing", f"{tmp_path}:random"]) == 0
    assert "homing is better than random" in capsys.readouterr().out
    assert run_eval.main(["compare", str(tmp_path), f"{tmp_path}:random"]) == 2
    assert "holds 2 policies" in capsys.readouterr().err
    assert run_eval.main(["compare", f"{tmp_path}:homin", f"{tmp_path}:random"]) == 2
    assert "did you mean homing" in capsys.readouterr().err


def test_power_plans_in_percent(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_eval.main(["power", "--baseline", "80", "--difference", "10"]) == 0
    assert "199 episodes per policy" in capsys.readouterr().out  # Fleiss's table without correction
    assert run_eval.main(["power", "--baseline", "80", "--episodes", "199"]) == 0
    assert "+10.0 points" in capsys.readouterr().out
    assert run_eval.main(["power", "--baseline", "80", "--difference", "30"]) == 2
    assert run_eval.main(["power", "--baseline", "80"]) == 2
