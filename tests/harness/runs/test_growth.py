"""A run grows: further plans join those of its folder."""

import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from assay_points import PointEnv

from harness.cli import main as run_eval
from harness.runs.folder import Run

pytestmark = pytest.mark.usefixtures("points")


def run(out: Path, *policies: str, episodes: str = "2", more: tuple[str, ...] = ()) -> int:
    command = ["run", "--policy", *policies, "--benchmark", "points_two", "--episodes", episodes]
    return run_eval.main([*command, "--out", str(out), *more])


def facts(out: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((out / "run.json").read_text())
    return content


def played(out: Path) -> list[tuple[str, str, int]]:
    specs = [record.spec for record in Run.existing(out).log()]
    return [(spec.player, spec.task, spec.episode) for spec in specs]


def wanted(out: Path) -> dict[tuple[str, str], list[int]]:
    cells = Run.existing(out).wanted()
    return {(player, task): episodes for (player, _, _, task), episodes in cells.items()}


def policy_file(folder: Path, body: str) -> str:
    path = folder / "mine.py"
    path.write_text(
        "import numpy as np\n\n\ndef move(observation):\n"
        f"    return np.clip(-observation['state'], -1, 1)[None].repeat(4, 0) {body}\n"
    )
    return f"python:{path}:move"


def test_more_episodes_continue_the_run(tmp_path: Path) -> None:
    assert run(tmp_path, "homing") == 0
    assert run(tmp_path, "homing", episodes="4") == 0
    assert len(played(tmp_path)) == len(set(played(tmp_path))) == 8
    (plan,) = facts(tmp_path)["plans"]
    assert plan["episodes"] == 4
    before = (tmp_path / "run.json").read_bytes()
    assert run(tmp_path, "homing", episodes="3") == 0
    assert (tmp_path / "run.json").read_bytes() == before


def test_another_policy_joins_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, "homing", episodes="3") == 0
    assert run(tmp_path, "zero") == 0
    assert wanted(tmp_path) == {
        ("homing", "left"): [0, 1, 2],
        ("homing", "right"): [0, 1, 2],
        ("zero", "left"): [0, 1],
        ("zero", "right"): [0, 1],
    }
    capsys.readouterr()
    assert run_eval.main(["report", str(tmp_path)]) == 0
    rows = [line.split("|") for line in capsys.readouterr().out.splitlines()]
    counts = {(row[1].strip(), row[4].strip()): row[5].strip() for row in rows if len(row) == 10}
    assert counts["homing", "left"] == "3"
    assert counts["zero", "left"] == "2"
    assert list(facts(tmp_path)["policies"]) == ["homing", "zero"]


def test_tasks_benchmarks_ablations_and_ranges_join_the_run(tmp_path: Path) -> None:
    assert run(tmp_path, "homing", episodes="1", more=("--tasks", "left")) == 0
    assert run(tmp_path, "homing", episodes="1", more=("--tasks", "right")) == 0
    assert run(tmp_path, "homing", episodes="3:5", more=("--tasks", "left")) == 0
    ablated = ("--tasks", "left", "--ablate", "no-image")
    assert run(tmp_path, "homing", episodes="1", more=ablated) == 0
    other = ["run", "--policy", "still", "--benchmark", "points_filmed/left", "--protocol", "short"]
    assert run_eval.main([*other, "--episodes", "1", "--out", str(tmp_path)]) == 0
    assert wanted(tmp_path) == {
        ("homing", "right"): [0],
        ("homing", "left"): [0, 3, 4],
        ("homing (no-image)", "left"): [0],
        ("still", "left"): [0],
    }
    assert len(played(tmp_path)) == 6
    assert run_eval.main(["report", str(tmp_path)]) == 0
    assert facts(tmp_path)["task_order"] == {
        "points_two": ["left", "right"],
        "points_filmed": ["left", "right"],
    }


def test_same_protocol_with_other_rules_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path, "homing")
    content = (tmp_path / "run.json").read_text()
    (tmp_path / "run.json").write_text(content.replace('"replan": 4', '"replan": 3'))
    assert run(tmp_path, "homing", "zero") == 2
    shown = " ".join(capsys.readouterr().err.split())
    assert "replan of points/plain: 3 there, 4 here" in shown


def test_a_run_that_stops_when_decided_does_not_grow(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stop = ("--stop-when-decided",)
    assert run(tmp_path, "homing", "slow", episodes="1", more=stop) == 0
    assert run(tmp_path, "homing", "slow", episodes="1", more=stop) == 0
    assert run(tmp_path, "homing", "slow", episodes="2", more=stop) == 2
    assert "its rounds would change" in " ".join(capsys.readouterr().err.split())
    assert run(tmp_path, "homing", "slow", episodes="1") == 2
    assert "stop_when_decided: True there, False here" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("more", [(), ("--stop-when-decided",)])
def test_policy_that_only_crashed_is_replaced_by_its_mended_version(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], more: tuple[str, ...]
) -> None:
    out = tmp_path / "run"
    assert run(out, policy_file(tmp_path, "+ undefined"), "zero", more=more) == 2
    (broken,) = [name for name in facts(out)["policies"] if name != "zero"]
    created = facts(out)["created"]
    capsys.readouterr()
    assert run(out, policy_file(tmp_path, ""), "zero", more=more) == 0
    error = " ".join(capsys.readouterr().err.split())
    assert f"notice: {broken} is no longer part of the run: it has no scored episode" in error
    assert broken not in facts(out)["policies"]
    assert {player for player, _ in wanted(out)} == {*facts(out)["policies"]}
    assert facts(out)["created"] == created
    assert (out / "code" / broken / "mine.py").read_text().endswith("+ undefined\n")
    assert run_eval.main(["report", str(out)]) == 0


def test_policy_with_scores_stays_in_the_run(tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert run(out, policy_file(tmp_path, "")) == 0
    assert run(out, policy_file(tmp_path, "* 1")) == 0
    assert len(facts(out)["policies"]) == 2
    assert len(played(out)) == 8


def test_missing_episodes_of_earlier_commands_are_said_and_can_be_played(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], points: type[PointEnv]
) -> None:
    points.faults[:] = [RuntimeError("lost its mesh")] * 3
    assert run(tmp_path, "homing") == 3
    capsys.readouterr()
    assert run(tmp_path, "zero") == 0
    shown = " ".join(capsys.readouterr().err.split())
    assert "the run lacks 1 episodes of earlier commands" in shown
    plan = ["run", "--plan", str(tmp_path / "run.json"), "--out", str(tmp_path)]
    assert run_eval.main(plan) == 0
    assert run_eval.main(["report", str(tmp_path)]) == 0
    assert len(facts(tmp_path)["plans"]) == 2


def test_run_json_keeps_what_repeats_the_run(tmp_path: Path) -> None:
    out = tmp_path / "run"
    reference = policy_file(tmp_path, "")
    assert run(out, reference) == 0
    (identity,) = facts(out)["policies"]
    assert facts(out)["policies"][identity]["reference"] == reference
    assert facts(out)["policies"][identity]["code"] == ["mine.py"]
    kept = (out / "code" / identity / "mine.py").read_bytes()
    assert kept == (tmp_path / "mine.py").read_bytes()
    command = facts(out)["command"]
    assert command.split()[1:4] == ["run", "--policy", reference]
    (session,) = Run.existing(out).sessions()
    assert session["command"] == command
    assert session["versions"] == {"assay": facts(out)["versions"]["assay"], "points": "1"}
    again = tmp_path / "again"
    assert run_eval.main(["run", "--plan", str(out / "run.json"), "--out", str(again)]) == 0
    assert facts(again)["plans"] == facts(out)["plans"]
    results = [[r.deterministic() for r in Run.existing(path).log()] for path in (out, again)]
    assert results[0] == results[1]


def test_run_json_with_another_policy_is_not_repeated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert run(out, policy_file(tmp_path, "")) == 0
    (identity,) = facts(out)["policies"]
    policy_file(tmp_path, "* 1")
    plan = ["run", "--plan", str(out / "run.json"), "--out", str(tmp_path / "again")]
    assert run_eval.main(plan) == 2
    error = " ".join(capsys.readouterr().err.split())
    assert f"the run's policy {identity} cannot be repeated" in error


def test_large_source_is_not_copied(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    reference = policy_file(tmp_path, "")
    with (tmp_path / "mine.py").open("a") as file:
        file.write("#" * 2**20)
    assert run(out, reference) == 0
    assert "was not kept with the run: it has more than 1 MiB" in " ".join(
        capsys.readouterr().err.split()
    )
    assert not (out / "code").exists()


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"plans": {}}'])
def test_damaged_run_json_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    run(tmp_path, "homing")
    (tmp_path / "run.json").write_text(content)
    for command in (["report", str(tmp_path)], ["run", "--plan", str(tmp_path / "run.json")]):
        capsys.readouterr()
        assert run_eval.main(command) == 2
        assert "run.json" in capsys.readouterr().err
    assert run(tmp_path, "homing") == 2


@pytest.mark.parametrize(("file", "largest"), [("run.json", 100), ("log", 8000), ("code", 8000)])
def test_full_disk_at_any_file_is_one_line(tmp_path: Path, file: str, largest: int) -> None:
    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))

    out = tmp_path / "run"
    reference = policy_file(tmp_path, f"# {'long ' * 2000 * (file == 'code')}")
    if file == "log":
        assert run(out, "homing", episodes="1") == 0
        (out / "sessions.jsonl").write_text("\n" * largest)
    command = [sys.executable, "run_eval.py", "run", "--policy", reference]
    command += ["--benchmark", "points_two", "--out", str(out)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, preexec_fn=small_files
    )
    assert done.returncode == 3, done.stderr
    assert "Traceback" not in done.stderr
    assert f"cannot write to {out}: File too large" in "".join(done.stderr.split("\n"))
    assert run(out, reference) == 0
    (copy,) = (path for path in out.glob("code/*/*") if path.name == "mine.py")
    assert copy.read_bytes() == (tmp_path / "mine.py").read_bytes()
    assert Run.existing(out).sessions()[-1]["workers"] == 1
