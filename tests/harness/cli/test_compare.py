"""The command `compare`: names of policies, missing episodes, and the check for regressions."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from harness.cli.main import main
from harness.cli.run_names import choose_policy, split_run
from harness.contracts.errors import UsageError
from harness.runs.folder import Run
from harness.statistics.power import detectable_drop
from tests.helpers.runs import Score, listed_run

Output = pytest.CaptureFixture[str]


def run_of(path: Path, missing: int = 0, **won: int) -> Run:
    """Write a run of 20 episodes of two tasks for each policy, which wins `won` of each."""
    names = {name.replace("_", "-"): n for name, n in won.items()}
    ends: dict[str, dict[str, Sequence[Score]]] = {
        name: {
            "left": [1.0] * n + [0.5] * (20 - n),
            "right": ([1.0] * n + [0.5] * (20 - n))[: 20 - missing],
        }
        for name, n in names.items()
    }
    return listed_run(path, ends, 20)


@pytest.mark.usefixtures("points")
def test_two_policies_of_one_real_run(tmp_path: Path, capsys: Output) -> None:
    command = ["run", "--policy", "homing", "random", "--benchmark", "points_two"]
    assert main([*command, "--episodes", "12", "--out", str(tmp_path)]) == 0
    capsys.readouterr()
    assert main(["compare", f"{tmp_path}:homing", f"{tmp_path}:random"]) == 0
    assert "homing is better than random" in capsys.readouterr().out
    assert main(["compare", str(tmp_path), f"{tmp_path}:random"]) == 2
    assert "holds 2 policies: choose one with" in capsys.readouterr().err
    assert main(["compare", f"{tmp_path}:hom", f"{tmp_path}:r"]) == 0
    assert main(["compare", f"{tmp_path}:hming", f"{tmp_path}:random"]) == 2
    assert "did you mean homing" in capsys.readouterr().err
    check = ["compare", f"{tmp_path}:random", f"{tmp_path}:homing", "--fail-on-regression"]
    assert main(check) == 5
    assert "Regression check: worse in points_two." in capsys.readouterr().out


def test_a_worse_policy_exits_with_five(tmp_path: Path, capsys: Output) -> None:
    run_of(tmp_path / "new", new=11)
    run_of(tmp_path / "old", old=18)
    check = ["compare", str(tmp_path / "new"), str(tmp_path / "old"), "--fail-on-regression"]
    assert main(check) == 5
    out = capsys.readouterr().out
    assert "Regression check: worse in points_two." in out
    drop = 100 * detectable_drop(0.9, 40, 0.0)
    assert f"With these 40 episodes per policy, a drop of {drop:.1f} points in points_two" in out
    assert main(check[:-1]) == 0
    backwards = [check[0], check[2], check[1], check[3]]
    assert main(backwards) == 0
    assert "Regression check: no regression found." in capsys.readouterr().out


def test_holm_covers_the_tasks_if_asked(tmp_path: Path, capsys: Output) -> None:
    # Six lost scenes of a task: p = 0.031, and 0.063 with Holm's correction.
    run_of(tmp_path / "new", new=12)
    run_of(tmp_path / "old", old=18)
    check = ["compare", str(tmp_path / "new"), str(tmp_path / "old"), "--fail-on-regression"]
    assert main(check) == 5
    assert main([*check, "--per-task"]) == 0
    assert "in any single task would be found" in capsys.readouterr().out
    assert main([*check[:-1], "--per-task"]) == 2
    assert "--per-task needs --fail-on-regression" in capsys.readouterr().err


def test_a_check_with_missing_episodes_is_refused(tmp_path: Path, capsys: Output) -> None:
    run_of(tmp_path / "new", new=11, missing=1)
    run_of(tmp_path / "old", old=18)
    check = ["compare", str(tmp_path / "new"), str(tmp_path / "old"), "--fail-on-regression"]
    assert main(check) == 3
    out = capsys.readouterr().out
    assert "- new: 1 of 40 planned episodes have no score." in out
    assert "Regression check: refused" in out
    assert main([check[0], check[2], check[1], check[3]]) == 3
    assert main(check[:-1]) == 0


def test_too_few_episodes_are_said_to_find_nothing(tmp_path: Path, capsys: Output) -> None:
    for name, score in (("new", 0.5), ("old", 1.0)):
        listed_run(tmp_path / name, {name: {"left": [score] * 5}}, 5)
    check = ["compare", str(tmp_path / "new"), str(tmp_path / "old"), "--fail-on-regression"]
    assert main(check) == 0
    out = capsys.readouterr().out
    assert "points_two left: even a drop to zero would be found with less than 80% power." in out
    assert main([check[0], check[2], check[1], check[3]]) == 0
    assert "the baseline is at zero, so nothing can be worse" in capsys.readouterr().out


def test_the_progress_has_a_detectable_drop_too(tmp_path: Path, capsys: Output) -> None:
    run_of(tmp_path / "new", new=18)
    run_of(tmp_path / "old", old=18)
    check = ["compare", str(tmp_path / "new"), str(tmp_path / "old"), "--fail-on-regression"]
    assert main([*check, "--metric", "progress"]) == 0
    assert "With these 40 episodes per policy, a drop of 0." in capsys.readouterr().out


def test_tasks_of_one_policy_and_early_stops_are_noted(tmp_path: Path, capsys: Output) -> None:
    run_of(tmp_path / "new", new=18)
    listed_run(tmp_path / "old", {"old": {"left": [1.0] * 20}}, 20)
    assert main(["compare", str(tmp_path / "new"), str(tmp_path / "old")]) == 0
    assert "left out: 1, e.g. points_two right." in capsys.readouterr().out
    facts = tmp_path / "old" / "run.json"
    changed = json.loads(facts.read_text())
    changed["plans"][0]["stop_when_decided"] = True
    facts.write_text(json.dumps(changed))
    assert main(["compare", str(tmp_path / "new"), str(tmp_path / "old")]) == 0
    assert "stops as soon as a policy is significantly better" in capsys.readouterr().out


def test_fast_batches_are_noted(tmp_path: Path, capsys: Output) -> None:
    ends = {"left": [1.0] * 20}
    listed_run(tmp_path / "new", {"new": ends}, 20, batching="fast")
    listed_run(tmp_path / "old", {"old": ends}, 20)
    assert main(["compare", str(tmp_path / "new"), str(tmp_path / "old")]) == 0
    out = capsys.readouterr().out
    assert "- new: 20 of 20 episodes ran with fast batching" in out
    assert "- old:" not in out


def test_a_check_needs_two_runs(tmp_path: Path, capsys: Output) -> None:
    run_of(tmp_path / "new", new=18)
    command = ["compare", str(tmp_path / "new"), "published:π0", "--fail-on-regression"]
    assert main(command) == 2
    assert "needs two runs" in capsys.readouterr().err


def test_the_longest_folder_is_split_from_the_policy(tmp_path: Path) -> None:
    (tmp_path / "a:b").mkdir()
    assert split_run(f"{tmp_path}/a:b") == (tmp_path / "a:b", "")
    assert split_run(f"{tmp_path}/a:b:python:x.py:Mine") == (tmp_path / "a:b", "python:x.py:Mine")
    assert split_run("nowhere:python:x.py") == (Path("nowhere"), "python:x.py")
    assert split_run("nowhere") == (Path("nowhere"), "")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("flow@12ab", "flow@12ab"),
        ("flow-big", "flow-big@99ff"),
        ("flow", "flow@12ab"),
        ("flow (no-image)", "flow@12ab (no-image)"),
        ("flow-b", "flow-big@99ff"),
        ("flow@1", "flow@12ab"),
        ("old", "old@34cd"),
    ],
)
def test_a_policy_is_chosen_by_the_start_of_its_name(given: str, expected: str) -> None:
    policies = [
        "flow@12ab",
        "flow@12ab (no-image)",
        "flow-big@99ff",
        "old@34cd",
        "old@34cd (no-image)",
    ]
    assert choose_policy(Path("run"), given, policies) == expected


def test_an_ambiguous_or_unknown_policy_is_refused() -> None:
    policies = ["flow@12ab", "flow@12cd", "other@1234"]
    for given in ("flow", "flow@12", ""):
        with pytest.raises(UsageError, match=r"choose one with run:POLICY, one of flow@12ab"):
            choose_policy(Path("run"), given, policies)
    with pytest.raises(UsageError, match="unknown policy of run 'nothing'; known: flow@12ab"):
        choose_policy(Path("run"), "nothing", policies)
    with pytest.raises(UsageError, match="run has no episodes yet"):
        choose_policy(Path("run"), "flow", [])
    assert choose_policy(Path("run"), "", ["flow@12ab"]) == "flow@12ab"
