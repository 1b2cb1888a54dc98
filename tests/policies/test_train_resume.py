"""A training that was killed, or stopped, continues to the same bits."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from policies.train.__main__ import main
from tests.policies.made_demos import write_demos

ROOT = Path(__file__).parent.parent.parent
STEPS = 40


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_demos(tmp_path_factory.mktemp("demos"), range(12))


def arguments(data: Path, out: Path, *more: str) -> list[str]:
    """Return a command line with all that is random, and parts of batches across rounds."""
    said = ["--data", str(data), "--out", str(out), "--size", "dummy", "--head", "flow"]
    said += ["--steps", str(STEPS), "--batch", "7", "--horizon", "4", "--replan", "4"]
    said += ["--save-every", "5", "--validate-every", "10", "--held-out", "3", "--warmup", "5"]
    return [*said, "--augmentation.spherical.share", "0.5", "--device", "cpu", *more]


def started(data: Path, out: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "policies.train", *arguments(data, out)]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.PIPE)


def after(process: subprocess.Popen[bytes], out: Path) -> None:
    """Wait until the process has kept something to continue from."""
    deadline = time.monotonic() + 120
    while not (out / "training/state.safetensors").exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)


def curve(out: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k != "samples_per_s"} for line in lines]


def weights(out: Path) -> str:
    return hashlib.sha256((out / "model.safetensors").read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def uninterrupted(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole")
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "policies.train", *arguments(data, out)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, env=environment)
    return out


def assert_same(out: Path, uninterrupted: Path) -> None:
    assert curve(out) == curve(uninterrupted)
    assert weights(out) == weights(uninterrupted)
    assert not (out / "training/state.safetensors").exists()


def test_a_run_has_a_loss_for_every_step_and_a_page(uninterrupted: Path) -> None:
    lines = curve(uninterrupted)
    assert [line["step"] for line in lines if "loss" in line] == list(range(1, STEPS + 1))
    assert [line["step"] for line in lines if "validation" in line] == [10, 20, 30, 40]
    card = (uninterrupted / "README.md").read_text()
    last = next(line["validation"] for line in reversed(lines) if "validation" in line)
    assert f"{last:.5f}" in card
    assert "lights/reach-0, lights/reach-1" in card
    assert "python -m policies.train" in card
    assert (uninterrupted / "training.png").read_bytes().startswith(b"\x89PNG")


def test_a_killed_run_continues_to_the_same_bits(
    data: Path, uninterrupted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    out = tmp_path / "killed"
    process = started(data, out)
    after(process, out)
    process.kill()
    process.communicate()
    assert not (out / "model.safetensors").exists()
    again = started(data, out)
    errors = again.communicate()[1].decode()
    assert again.returncode == 0, errors
    assert "continuing after" in errors
    assert_same(out, uninterrupted)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_keeps_the_step_it_was_in(
    data: Path,
    uninterrupted: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: signal.Signals,
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    out = tmp_path / "stopped"
    process = started(data, out)
    after(process, out)
    process.send_signal(number)
    errors = process.communicate()[1].decode()
    assert process.returncode == 130, errors
    assert "run the same command again" in errors
    again = started(data, out)
    assert again.wait() == 0
    again.communicate()
    assert_same(out, uninterrupted)


def test_a_finished_run_is_not_trained_again(
    data: Path, uninterrupted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (uninterrupted / "log.jsonl").stat().st_mtime_ns
    assert main(arguments(data, uninterrupted)) == 0
    assert "is trained already" in capsys.readouterr().err
    assert (uninterrupted / "log.jsonl").stat().st_mtime_ns == before


def test_another_training_does_not_continue_it(
    data: Path, uninterrupted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments(data, uninterrupted), "--seed", "1", "--clip", "2"]) == 2
    assert "another clip, seed; choose another --out" in " ".join(capsys.readouterr().err.split())
