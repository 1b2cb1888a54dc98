"""A run plays every planned episode once, also after interruptions."""

import json
import re
import resource
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from assay_points import Broken, PointEnv

from harness.backends.inline import run_inline
from harness.cli import main as run_eval
from harness.cli.film import film
from harness.cli.run import default_folder
from harness.contracts.errors import UsageError
from harness.contracts.record import EpisodeRecord
from harness.contracts.spec import EpisodeSpec
from harness.runs.folder import Run, RunWriter
from harness.runs.plan import BenchmarkRequest, Plan, resolve

pytestmark = pytest.mark.usefixtures("points")


def run(out: Path, *extra: str, policy: str = "homing", episodes: int = 3) -> int:
    arguments = ["run", "--policy", policy, "--benchmark", "points_two"]
    return run_eval.main([*arguments, "--episodes", str(episodes), "--out", str(out), *extra])


SAME = ("--policy", "homing", "--benchmark", "points_two", "--episodes", "3")


def outcomes(out: Path) -> list[dict[str, Any]]:
    return [r.deterministic() for _, r in sorted(Run.existing(out).records().items())]


def test_records_do_not_depend_on_the_order_of_tasks(tmp_path: Path) -> None:
    assert run(tmp_path / "a") == 0
    assert run(tmp_path / "b", "--tasks", "1", "0") == 0
    assert outcomes(tmp_path / "a") == outcomes(tmp_path / "b")
    assert {r["outcome"] for r in outcomes(tmp_path / "a")} == {"success", "failure"}


def test_finished_run_plays_nothing_again(tmp_path: Path, points: type[PointEnv]) -> None:
    run(tmp_path)
    before = (tmp_path / "episodes.jsonl").read_bytes()
    points.built.clear()
    assert run(tmp_path) == 0
    assert (tmp_path / "episodes.jsonl").read_bytes() == before
    assert points.built == []


def test_interrupted_run_plays_only_the_missing_episodes(tmp_path: Path) -> None:
    run(tmp_path / "whole")
    run(tmp_path / "cut")
    log = tmp_path / "cut" / "episodes.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(lines[:2]) + lines[2][:40])
    assert run(tmp_path / "cut") == 0
    assert outcomes(tmp_path / "cut") == outcomes(tmp_path / "whole")
    assert len(log.read_text().splitlines()) == 6


def test_full_disk_stops_the_run_and_keeps_complete_lines(tmp_path: Path) -> None:
    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000))

    run(tmp_path / "whole", episodes=10)
    cut = tmp_path / "cut"
    command = [sys.executable, "run_eval.py", "run", "--policy", "homing"]
    command += ["--benchmark", "points_two", "--episodes", "10", "--out", str(cut)]
    stopped = subprocess.run(
        command, capture_output=True, text=True, check=False, preexec_fn=small_files
    )
    assert stopped.returncode == 3
    kept = (cut / "episodes.jsonl").read_text()
    assert kept.endswith("\n")
    assert 0 < kept.count("\n") < 20
    assert f"File too large; {kept.count(chr(10))} episodes are kept" in " ".join(
        stopped.stderr.split()
    )
    assert run(cut, episodes=10) == 0
    assert outcomes(cut) == outcomes(tmp_path / "whole")


def test_ctrl_c_keeps_the_finished_episodes(
    tmp_path: Path, points: type[PointEnv], capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path / "whole")
    points.faults.append(KeyboardInterrupt())  # type: ignore[arg-type]
    assert run(tmp_path / "cut") == 130
    assert "Run the same command again" in capsys.readouterr().err
    assert run(tmp_path / "cut") == 0
    assert outcomes(tmp_path / "cut") == outcomes(tmp_path / "whole")


def test_simulator_error_is_retried_with_a_new_simulator(
    tmp_path: Path, points: type[PointEnv]
) -> None:
    run(tmp_path / "whole")
    points.built.clear()
    points.faults[:] = [RuntimeError("lost its mesh")] * 2
    assert run(tmp_path / "again") == 0
    assert outcomes(tmp_path / "again") == outcomes(tmp_path / "whole")
    assert max(r.retries for r in Run.existing(tmp_path / "again").records().values()) == 2
    assert points.built == ["left", "left", "left", "right"]


def test_error_while_closing_a_simulator_does_not_stop_the_run(
    tmp_path: Path, points: type[PointEnv], monkeypatch: pytest.MonkeyPatch
) -> None:
    def close(env: PointEnv) -> None:
        raise RuntimeError("lost its window")

    run(tmp_path / "whole")
    monkeypatch.setattr(points, "close", close)
    points.faults[:] = [RuntimeError("lost its mesh")]
    assert run(tmp_path / "again") == 0
    assert outcomes(tmp_path / "again") == outcomes(tmp_path / "whole")


def test_repeated_error_has_no_score_and_sets_the_exit_code(
    tmp_path: Path, points: type[PointEnv], capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path / "whole")
    points.faults[:] = [RuntimeError("lost its mesh")] * 3
    assert run(tmp_path / "bad") == 3
    bad = [r for r in Run.existing(tmp_path / "bad").records().values() if r.outcome == "error"]
    assert [(r.success, r.progress, r.reason) for r in bad] == [
        (None, None, "RuntimeError: lost its mesh")
    ]
    shown = capsys.readouterr().out
    assert "INCOMPLETE: 1 of 6" in shown
    assert "| errors" in shown
    assert run(tmp_path / "bad") == 0
    assert outcomes(tmp_path / "bad") == outcomes(tmp_path / "whole")


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (np.zeros((4, 3), np.float32), "expected (length, 2), got (4, 3)"),
        (np.zeros(2, np.float32), "expected (length, 2), got (2,)"),
        (np.zeros((0, 2), np.float32), "expected (length, 2), got (0, 2)"),
        (np.zeros((4, 2), np.int64), "expected float32, got int64"),
        ("up", "expected an array, got str"),
    ],
)
def test_wrong_form_of_the_first_answer_is_a_mistake_and_never_scored(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    answer: Any,
    problem: str,
) -> None:
    monkeypatch.setattr(Broken, "answer", answer)
    assert run(tmp_path, "--tasks", "0", policy="broken", episodes=1) == 2
    shown = " ".join(capsys.readouterr().err.split())
    assert f"the first answer of broken is wrong: {problem}" in shown
    assert "velocity[2] (m per step)" in shown
    assert not Run.existing(tmp_path).records()


def test_wrong_form_of_a_later_answer_fails_the_episode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = np.zeros((4, 2), np.float32)
    answers = iter([good, good[:, :1]])
    monkeypatch.setattr(Broken, "infer", lambda self, queries: [next(answers)])
    assert run(tmp_path, "--tasks", "0", policy="broken", episodes=1) == 0
    (record,) = Run.existing(tmp_path).records().values()
    reason = "policy_shape: expected (length, 2), got (4, 1)"
    assert (record.outcome, record.steps, record.reason) == ("failure", 4, reason)


def test_actions_that_are_not_finite_fail_the_episode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Broken, "answer", np.full((4, 2), np.nan, np.float32))
    assert run(tmp_path, "--tasks", "0", policy="broken", episodes=1) == 0
    (record,) = Run.existing(tmp_path).records().values()
    reason = "policy_nan: the actions are not finite"
    assert (record.outcome, record.steps, record.reason) == ("failure", 0, reason)


def test_a_tensor_is_taken_as_an_array(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    chunk = torch.ones((4, 2), dtype=torch.bfloat16, requires_grad=True)
    monkeypatch.setattr(Broken, "answer", chunk)
    assert run(tmp_path / "tensor", "--tasks", "0", policy="broken", episodes=1) == 0
    monkeypatch.setattr(Broken, "answer", np.ones((4, 2), np.float32))
    assert run(tmp_path / "array", "--tasks", "0", policy="broken", episodes=1) == 0
    assert outcomes(tmp_path / "tensor") == outcomes(tmp_path / "array")


def test_the_share_of_clipped_actions_is_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chunk = np.zeros((4, 2), np.float32)
    chunk[0, 1] = -1.5
    monkeypatch.setattr(Broken, "answer", chunk)
    run(tmp_path, "--tasks", "0", "--protocol", "forty", policy="broken", episodes=1)
    (record,) = Run.existing(tmp_path).records().values()
    assert record.clipped == 1.0  # This protocol executes one action of each chunk.


def test_an_exception_in_the_policy_stops_the_run_with_its_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, policy="fussy") == 2
    shown = capsys.readouterr()
    assert "Traceback (most recent call last)" in shown.err
    assert 'raise ValueError("not this one")' in shown.err
    (record,) = Run.existing(tmp_path).records().values()
    assert record.outcome == "error"
    assert record.retries == 0
    assert record.reason.startswith("policy_crash: ValueError: not this one (assay_points.py:")
    kept = Run.existing(tmp_path).error_path(record.spec.key).read_text()
    assert 'raise ValueError("not this one")' in kept


def test_keep_going_plays_the_other_episodes(tmp_path: Path) -> None:
    assert run(tmp_path, "--keep-going", policy="fussy") == 3
    records = Run.existing(tmp_path).records().values()
    assert {(r.spec.task, r.outcome == "error") for r in records} == {
        ("left", True),
        ("right", False),
    }


def test_the_traceback_of_a_simulator_is_kept_until_the_episode_is_scored(
    tmp_path: Path, points: type[PointEnv]
) -> None:
    points.faults[:] = [RuntimeError("lost its mesh")] * 3
    assert run(tmp_path) == 3
    (bad,) = [r for r in Run.existing(tmp_path).records().values() if r.outcome == "error"]
    path = Run.existing(tmp_path).error_path(bad.spec.key)
    assert "raise self.faults.pop(0)" in path.read_text()
    assert run(tmp_path) == 0
    assert not path.exists()


def test_policy_without_cameras_renders_no_image(tmp_path: Path, points: type[PointEnv]) -> None:
    run(tmp_path)
    assert points.looks == 0


def test_another_plan_in_the_same_folder_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path)
    assert run(tmp_path, "--seed", "8", "--protocol", "short") == 2
    shown = " ".join(capsys.readouterr().err.split())
    assert "seed: 7 there, 8 here" in shown
    assert "protocol of points_two: points/plain there, points/short here" in shown


@pytest.mark.parametrize(
    ("policies", "folder"),
    [
        (("oracle",), "oracle-points"),
        (("vla:checkpoints/points/e0", "vla:../flow/"), "vla-e0-flow-points"),
        (("vla:points/e0,steps=3",), "vla-e0-steps-3-points"),
        (("python:my_policy.py:Mine", ""), "python-Mine-points"),
    ],
)
def test_default_folder_is_named_after_policies_and_benchmarks(
    policies: tuple[str, ...], folder: str
) -> None:
    plan = Plan(policies, (BenchmarkRequest("points"),), 1)
    assert default_folder([plan]) == Path("results") / folder


def test_two_writers_cannot_share_a_folder(tmp_path: Path) -> None:
    work = resolve(Plan(("homing",), (BenchmarkRequest("points_two"),), 1))
    with (
        RunWriter(tmp_path, work),
        pytest.raises(UsageError, match="another process is writing"),
    ):
        RunWriter(tmp_path, work)


def test_damaged_line_stops_the_run_and_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path)
    log = tmp_path / "episodes.jsonl"
    lines = log.read_text().splitlines()
    lines[1] = lines[1].replace('"episode": 1', '"episode": 2')
    log.write_text("\n".join(lines) + "\n")
    assert run(tmp_path) == 2
    assert "episodes.jsonl:2 is damaged" in " ".join(capsys.readouterr().err.split())


def test_replay_compares_an_episode_with_its_record(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path)
    key = outcomes(tmp_path)[0]["key"]
    assert run_eval.main(["replay", str(tmp_path), key[:8]]) == 0
    assert "identical: " in capsys.readouterr().out
    actions = tmp_path / "actions" / f"{key}.npy"
    np.save(actions, 0.5 * np.load(actions))
    assert run_eval.main(["replay", str(tmp_path), key]) == 4
    assert "DIFFERENT state_sha256" in capsys.readouterr().out


def test_without_videos_the_log_is_not_read_again(tmp_path: Path) -> None:
    work = resolve(Plan(("homing",), (BenchmarkRequest("points_two"),), 1))
    run = Run(tmp_path)
    run.log_path.write_text("no record\n")
    film(run, work, "none")
    with pytest.raises(UsageError, match="is damaged"):
        film(run, work, "failures")


def test_damaged_line_with_invalid_utf8_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path)
    log = tmp_path / "episodes.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"\xff\xfe broken\n" + b"".join(lines[1:]))
    assert run_eval.main(["run", "--out", str(tmp_path), *SAME]) == 2
    assert "episodes.jsonl:1 is damaged" in " ".join(capsys.readouterr().err.split())
    assert run_eval.main(["report", str(tmp_path)]) == 3
    head = capsys.readouterr().out.partition("| policy")[0]
    assert "WARNING: 1 line is left out" in head
    assert "episodes.jsonl:1: " in head


def test_line_has_every_field_of_spec_and_record(tmp_path: Path) -> None:
    run(tmp_path)
    line = json.loads((tmp_path / "episodes.jsonl").read_text().splitlines()[0])
    spec, record = ({f.name for f in fields(kind)} for kind in (EpisodeSpec, EpisodeRecord))
    assert set(line) == {"key"} | spec | (record - {"spec"})


def test_video_that_differs_from_its_record_sets_the_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path) == 0
    for actions in (tmp_path / "actions").iterdir():
        np.save(actions, 0.5 * np.load(actions))
    assert run(tmp_path, "--video", "failures") == 4
    shown = " ".join(capsys.readouterr().err.split())
    assert re.search(r"replay differs: homing (left|right) episode \d: state_sha256", shown)
    assert "5/5 videos" in shown


def test_tables_are_written_before_films(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path) == 0
    shutil.rmtree(tmp_path / "tables")
    shutil.move(tmp_path / "actions", tmp_path / "kept")
    capsys.readouterr()
    assert run(tmp_path, "--video", "failures") == 2
    shown = capsys.readouterr()
    assert "written to" in shown.out
    assert "cannot read the actions" in shown.err
    assert "<video" not in (tmp_path / "tables" / "report.html").read_text()
    shutil.rmtree(tmp_path / "actions")
    shutil.move(tmp_path / "kept", tmp_path / "actions")
    assert run(tmp_path, "--video", "failures") == 0
    assert "<video" in (tmp_path / "tables" / "report.html").read_text()
    assert "5/5 videos" in capsys.readouterr().err


def test_full_disk_at_a_video_is_one_line(tmp_path: Path) -> None:
    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500))

    run(tmp_path, episodes=1)
    key = outcomes(tmp_path)[0]["key"]
    command = [sys.executable, "run_eval.py", "replay", str(tmp_path), key]
    command += ["--video", str(tmp_path / "film.mp4")]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, preexec_fn=small_files
    )
    assert done.returncode == 3, done.stderr
    assert f"error: cannot write {tmp_path / 'film.mp4'}: " in done.stderr
    assert not (tmp_path / "film.mp4").exists()


def test_report_formats_may_be_separated_by_spaces(tmp_path: Path) -> None:
    run(tmp_path)
    out = tmp_path / "report"
    assert run_eval.main(["report", str(tmp_path), "--format", "md, csv", "--out", str(out)]) == 0
    assert {path.suffix for path in out.iterdir()} == {".md", ".csv"}


def test_policy_that_cannot_be_loaded_is_said_with_its_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, policy="unloadable") == 2
    error = " ".join(capsys.readouterr().err.split())
    assert 'raise FileNotFoundError("no weights here")' in error
    assert "error: the policy's code raised FileNotFoundError: no weights here" in error
    assert "errors" not in error


def test_inline_backend_plays_the_specs_in_order() -> None:
    work = resolve(Plan(("homing",), (BenchmarkRequest("points_two"),), 2))
    assert [e.record.spec for e in run_inline(work, work.specs, print)] == list(work.specs)


def test_options_for_ray_are_named_without_workers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, "--batching", "fast", "--max-batch", "4", episodes=1) == 0
    shown = " ".join(capsys.readouterr().err.split())
    assert "notice: --max-batch --batching has no effect without --workers" in shown
