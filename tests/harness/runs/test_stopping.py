"""`--stop-when-decided`: the decision does not depend on how the run is played."""

import random
from pathlib import Path

import pytest

from harness.cli import main as run_eval
from harness.runs.folder import Run
from harness.runs.stopping import Decision, Scene

SCENES: list[Scene] = [("b", "p", task, k) for task in "tuv" for k in range(10)]


def test_decision_does_not_depend_on_the_order_of_results() -> None:
    results = [
        (policy, scene, policy == "a" or scene[3] == 0) for policy in "ab" for scene in SCENES
    ]
    sentences = set()
    for seed in range(5):
        random.Random(seed).shuffle(results)
        decision = Decision(["a", "b"], SCENES, 7)
        for policy, scene, success in results:
            decision.add(policy, scene, "success" if success else "failure")
        sentences.add(decision.sentence)
    assert len(sentences) == 1
    assert sentences.pop().startswith("decided: a is better than b")


def test_incomplete_pairs_and_errors_do_not_count() -> None:
    decision = Decision(["a", "b"], SCENES, 7)
    for scene in SCENES:
        decision.add("a", scene, "success")
    assert decision.state.pairs == 0
    for scene in SCENES:
        decision.add("b", scene, "error")
    assert decision.state.pairs == 0
    assert not decision.decided


def test_every_round_has_every_task() -> None:
    order = Decision(["a", "b"], SCENES, 7)._order
    assert sorted(order) == sorted(SCENES)
    for start in range(0, 30, 6):
        tasks = sorted(scene[2] for scene in order[start : start + 6])
        assert tasks == ["t", "t", "u", "u", "v", "v"]
    assert order != Decision(["a", "b"], SCENES, 8)._order


@pytest.mark.slow
@pytest.mark.usefixtures("points")
def test_decided_run_stops_and_does_not_continue(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["run", "--policy", "homing", "random", "--benchmark", "points_two"]
    command += ["--episodes", "20", "--stop-when-decided"]
    inline, parallel = tmp_path / "inline", tmp_path / "parallel"
    assert run_eval.main([*command, "--out", str(inline)]) == 0
    assert run_eval.main([*command, "--out", str(parallel), "--workers", "2"]) == 0
    assert len(Run.existing(inline).records()) < 80
    capsys.readouterr()
    decisions = []
    for path in (inline, parallel):
        assert run_eval.main(["report", str(path)]) == 0
        lines = capsys.readouterr().out.splitlines()
        decisions.append(
            [line for line in lines if "decided: homing is better than random" in line]
        )
    assert len(decisions[0]) == 1
    assert decisions[0] == decisions[1]
    page = (inline / "tables" / "report.html").read_text()
    assert "of 80 episodes have a score; the others cannot change the result." in page
    before = (inline / "episodes.jsonl").read_bytes()
    assert run_eval.main([*command, "--out", str(inline)]) == 0
    assert (inline / "episodes.jsonl").read_bytes() == before


@pytest.mark.slow
@pytest.mark.usefixtures("points")
def test_equal_policies_play_all_episodes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["run", "--policy", "homing", "slow", "--benchmark", "points_two", "--episodes", "3"]
    assert run_eval.main([*command, "--stop-when-decided", "--out", str(tmp_path)]) == 0
    assert "not distinguishable so far (6 pairs" in " ".join(capsys.readouterr().err.split())
    command = ["run", "--policy", "homing", "--benchmark", "points_two", "--stop-when-decided"]
    assert run_eval.main([*command, "--out", str(tmp_path / "one")]) == 2
    assert "compares two policies, not 1" in capsys.readouterr().err
