"""Folders that a run cannot use are refused in one line, and odd ones work."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.cli import main as run_eval
from harness.contracts.errors import UsageError
from harness.contracts.record import EpisodeRecord
from harness.contracts.spec import EpisodeSpec
from harness.runs.folder import Run
from tests.helpers.runs import BAD, GOOD, listed_run

COMMAND = ["run", "--policy", "homing", "--benchmark", "points_two", "--tasks", "0"]
COMMAND += ["--episodes", "1"]

pytestmark = pytest.mark.usefixtures("points")


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    return error


@pytest.mark.parametrize("name", ["a\nb", "-dash", "a b", "ünï", "{[bold]}", "x" * 200])
def test_odd_names_of_folders_work(tmp_path: Path, name: str) -> None:
    assert run_eval.main([*COMMAND, "--out", str(tmp_path / name)]) == 0
    assert run_eval.main(["report", str(tmp_path / name)]) == 0


@pytest.mark.parametrize(
    ("name", "why"), [("x" * 300, "File name too long"), ("\udcff", "no UTF-8")]
)
def test_impossible_names_of_folders_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, why: str
) -> None:
    assert run_eval.main([*COMMAND, "--out", str(tmp_path / name)]) == 2
    assert why in one_line(capsys)
    assert run_eval.main(["report", str(tmp_path / name)]) == 2
    one_line(capsys)


def test_a_link_to_a_folder_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert run_eval.main([*COMMAND, "--out", str(tmp_path / "link")]) == 0
    assert len(Run.existing(tmp_path / "real").records()) == 1
    assert (tmp_path / "link").is_symlink()


def test_a_link_to_nothing_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    assert run_eval.main([*COMMAND, "--out", str(tmp_path / "link")]) == 2
    assert "is a link to nothing" in one_line(capsys)
    assert not (tmp_path / "gone").exists()


@pytest.mark.skipif(os.getuid() != 0, reason="needs a second user")
def test_a_folder_of_another_user_is_refused(tmp_path: Path) -> None:
    """A folder that may not be written, tried as an ordinary user: root may write anywhere."""
    code = f"""
import os, sys
sys.path.insert(0, {str(Path.cwd())!r})
from harness.cli import main
import harness.runs.folder, harness.runs.evaluate, rich.console
from harness.contracts.errors import UsageError
from pathlib import Path
os.setgid(65534); os.setuid(65534)
from harness.runs.folder import RunWriter
from harness.runs.plan import BenchmarkRequest, Plan, resolve
work = resolve(Plan(("homing",), (BenchmarkRequest("points_two"),), 1))
try:
    RunWriter(Path("/usr/share"), work)
except UsageError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "cannot write to /usr/share: Permission denied; choose --out\n"


def changed(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    facts = json.loads((path / "run.json").read_text())
    change(facts)
    (path / "run.json").write_text(json.dumps(facts))


@pytest.mark.parametrize(
    ("change", "names"),
    [
        (lambda facts: facts.pop("players"), "players is missing"),
        (lambda facts: facts.update(colour=1), "colour is unknown here"),
        (lambda facts: facts["plans"][0].pop("first"), "plans[0].first is missing"),
        (lambda facts: facts["plans"][0].update(repeats=3), "plans[0].repeats is unknown here"),
        (lambda facts: facts["plans"][0].update(seed="7"), "plans[0].seed is of another form"),
        (lambda facts: facts["plans"][0].update(episodes=10**12), "plans[0].episodes is of"),
        (lambda facts: facts["plans"][0]["benchmarks"][0].pop("tasks"), "tasks is missing"),
        (lambda facts: facts.update(task_order={}), "'left' is not in task_order"),
        (lambda facts: facts.update(protocols={"plain": {}}), "protocols is of another form"),
        (lambda facts: facts.update(versions=[]), "versions is of another form"),
    ],
)
def test_a_run_json_of_another_version_is_refused_by_field(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    change: Callable[[dict[str, Any]], Any],
    names: str,
) -> None:
    run = listed_run(tmp_path / "run", {"mine": {"left": [GOOD]}}, 1)
    changed(run.path, change)
    assert run_eval.main(["report", str(run.path)]) == 2
    error = one_line(capsys)
    assert "is of another version of Assay, or damaged" in error
    assert names in error


def test_only_wanted_episodes_count(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Successes with a right key that no plan wants, as a merged or edited log has them."""
    run = listed_run(tmp_path / "run", {"mine": {"left": [GOOD, BAD]}}, 2)
    record = next(r for r in run.records().values() if r.outcome == "success")
    with run.log_path.open("a") as log:
        for episode in range(1000, 1060):
            values = json.loads(record.to_json()) | {"episode": episode}
            spec = EpisodeSpec("mine", "points_two", "left", episode, 7, record.spec.protocol)
            line = json.dumps(values | {"key": spec.key})
            EpisodeRecord.from_json(line.encode())
            log.write(line + "\n")
    assert run_eval.main(["report", str(run.path)]) == 0
    shown = capsys.readouterr().out
    assert shown.index("WARNING: 60 lines are left out") < shown.index("| policy")
    assert "no plan wants this episode" in shown
    assert "50.0 [" in shown
    assert run_eval.main(["compare", str(run.path), str(run.path)]) == 0
    assert "WARNING: 60 lines are left out" in capsys.readouterr().out


def contradicted_run(path: Path, change: Callable[[dict[str, Any]], Any]) -> Run:
    """Return a run whose log ends with a second line for its first episode."""
    run = listed_run(path, {"mine": {"left": [GOOD, BAD, BAD]}}, 3)
    values = json.loads(run.log_path.read_text().splitlines()[0])
    change(values)
    with run.log_path.open("a") as log:
        log.write(json.dumps(values) + "\n")
    return run


CONTRADICTIONS: list[dict[str, Any]] = [
    {"outcome": "failure", "success": False, "reason": "step_limit", "progress": 0.5},
    {"steps": 21},
    {"actions_sha256": "0" * 64},
    {"state_sha256": "0" * 64},
    {"instruction": "go away"},
    {"subgoals": {"near": True, "there": False}},
]


@pytest.mark.parametrize("different", CONTRADICTIONS, ids=lambda different: next(iter(different)))
def test_two_results_of_an_episode_are_no_result(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], different: dict[str, Any]
) -> None:
    run = contradicted_run(tmp_path / "run", lambda values: values.update(different))
    key = json.loads(run.log_path.read_text().splitlines()[0])["key"]
    assert run_eval.main(["report", str(run.path)]) == 3
    shown = " ".join(capsys.readouterr().out.split())
    assert "WARNING: 2 lines are left out" in shown
    assert "episodes.jsonl:4: line 1 has another result" in shown
    assert "| 2 " in shown
    assert "0.0 [" in shown
    same = listed_run(tmp_path / "same", {"mine": {"left": [GOOD, BAD, BAD]}}, 3)
    for command in (
        ["merge", str(tmp_path / "new"), str(run.path), str(same.path)],
        ["replay", str(run.path), key],
    ):
        assert run_eval.main(command) == 2
        error = one_line(capsys)
        assert f"lines 1 and 4 give episode {key} two results" in error
        assert "delete the wrong one, or both" in error
    assert not (tmp_path / "new").exists()


def test_a_run_does_not_go_on_with_two_results(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [*COMMAND, "--out", str(tmp_path)]
    assert run_eval.main(command) == 0
    log = tmp_path / "episodes.jsonl"
    values = json.loads(log.read_text()) | {"steps": 1}
    with log.open("a") as file:
        file.write(json.dumps(values) + "\n")
    before = log.read_bytes()
    capsys.readouterr()
    assert run_eval.main(command) == 2
    assert "lines 1 and 2 give episode" in one_line(capsys)
    assert log.read_bytes() == before
    log.write_bytes(before.splitlines(keepends=True)[0])
    assert run_eval.main(command) == 0


@pytest.mark.parametrize(
    "repeated",
    [
        {},
        {"started": 5.0, "retries": 1, "worker": "elsewhere", "gpu": 2},
        {
            "outcome": "error",
            "success": None,
            "reason": "lost",
            "actions_sha256": None,
            "state_sha256": None,
        },
    ],
)
def test_a_repeated_line_and_an_error_contradict_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], repeated: dict[str, Any]
) -> None:
    run = contradicted_run(tmp_path / "run", lambda values: values.update(repeated))
    run_eval.main(["report", str(run.path)])
    assert "left out" not in capsys.readouterr().out
    assert len(run.records()) == 3


def test_an_error_between_two_results_hides_nothing(tmp_path: Path) -> None:
    run = contradicted_run(tmp_path / "run", lambda values: values.update(steps=21))
    lines = run.log_path.read_text().splitlines(keepends=True)
    error = json.loads(lines[0]) | {"outcome": "error", "success": None, "reason": "lost"}
    error |= {"actions_sha256": None, "state_sha256": None}
    run.log_path.write_text("".join([*lines[:3], json.dumps(error) + "\n", lines[3]]))
    with pytest.raises(UsageError, match="lines 1 and 5 give"):
        run.records()
