"""The command line with the real LIBERO, in subprocesses."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from harness.runs.folder import Run

pytestmark = [pytest.mark.libero, pytest.mark.slow]
ROOT = Path(__file__).parent.parent.parent


def command(out: Path, *extra: str, policy: str = "random", tasks: str = "0 3") -> list[str]:
    return [
        *(sys.executable, "run_eval.py", "run", "--policy", *policy.split()),
        *("--benchmark", "libero_object", "--tasks", *tasks.split(), "--episodes", "2"),
        *("--out", str(out), *extra),
    ]


def evaluate(out: Path, *extra: str, **options: Any) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command(out, *extra, **options), cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done


def outcomes(out: Path) -> list[dict[str, Any]]:
    return [record.deterministic() for _, record in sorted(Run.existing(out).records().items())]


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "whole"
    evaluate(out)
    return out


def test_the_order_of_tasks_does_not_change_the_records(whole_run: Path, tmp_path: Path) -> None:
    evaluate(tmp_path, tasks="3 0")
    assert outcomes(tmp_path) == outcomes(whole_run)


def test_a_killed_run_continues_to_the_same_records(whole_run: Path, tmp_path: Path) -> None:
    process = subprocess.Popen(command(tmp_path), cwd=ROOT, stderr=subprocess.DEVNULL)
    log = tmp_path / "episodes.jsonl"
    deadline = time.monotonic() + 120
    while not (log.exists() and log.read_text().count("\n")) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert 1 <= log.read_text().count("\n") < 4
    evaluate(tmp_path)
    assert outcomes(tmp_path) == outcomes(whole_run)
    assert log.read_text().count("\n") == 4


def test_the_replay_policy_repeats_actions_and_states(whole_run: Path, tmp_path: Path) -> None:
    evaluate(tmp_path, policy=f"replay:{whole_run}")
    compared = ("task", "episode", "actions_sha256", "state_sha256")
    hashes = [
        sorted([record[name] for name in compared] for record in outcomes(out))
        for out in (whole_run, tmp_path)
    ]
    assert hashes[0] == hashes[1]


@pytest.mark.parametrize("backend", ["disabled", "osmesa"])
def test_records_are_the_same_with_every_gl_backend(
    whole_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backend: str
) -> None:
    monkeypatch.setenv("MUJOCO_GL", backend)
    # MuJoCo has set this variable for the backend of the present process.
    monkeypatch.delenv("PYOPENGL_PLATFORM", raising=False)
    evaluate(tmp_path)
    assert outcomes(tmp_path) == outcomes(whole_run)


@pytest.mark.rendering
def test_replay_reports_identical_and_writes_a_video(whole_run: Path, tmp_path: Path) -> None:
    import imageio.v2 as imageio

    key = next(iter(Run.existing(whole_run).records()))
    video = tmp_path / "episode.mp4"
    done = subprocess.run(
        [sys.executable, "run_eval.py", "replay", str(whole_run), key, "--video", str(video)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout.split(":")[0]) == (0, "identical")
    with imageio.get_reader(video) as reader:  # type: ignore[attr-defined]
        frames = reader.count_frames()
        assert reader.get_data(0).shape == (256, 512, 3)
    assert frames == 281


def test_stdout_contains_only_the_table(whole_run: Path) -> None:
    done = evaluate(whole_run)
    assert done.stdout.startswith("# Results\n")
    assert "[info]" not in done.stdout + done.stderr
    facts = json.loads((whole_run / "run.json").read_text())
    assert facts["versions"]["mujoco"] == "3.3.2"
    assert (whole_run / "tables" / "summary.csv").is_file()


@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("unshare") is None, reason="hiding libraries takes root"
)
def test_records_are_the_same_without_any_gl_library(whole_run: Path, tmp_path: Path) -> None:
    hidden = 'for f in /usr/lib/*/lib{GL,EGL,GLX,OpenGL,OSMesa}*.so*; do [ -L "$f" ] || '
    hidden += '[ ! -e "$f" ] || mount --bind /dev/null "$f"; done; '
    script = f"{hidden} env -u MUJOCO_GL -u PYOPENGL_PLATFORM {shlex.join(command(tmp_path))}"
    done = subprocess.run(
        ["unshare", "--mount", "bash", "-c", script],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if "Operation not permitted" in done.stderr:
        pytest.skip("this sandbox forbids mounts")
    assert done.returncode == 0, done.stderr
    assert outcomes(tmp_path) == outcomes(whole_run)
