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
    said += ["--save-every", "4", "--validate-every", "10", "--held-out", "3", "--warmup", "5"]
    return [*said, "--augmentation.spherical.share", "0.5", "--device", "cpu", *more]


def started(data: Path, out: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "policies.train", *arguments(data, out)]
    # Another number of threads adds up in another order.
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, stderr=pipe, stdout=pipe, env=environment)


def running(data: Path, out: Path) -> subprocess.Popen[bytes]:
    """Start it, and wait until it has kept more than there was to continue from."""
    state = out / "training/state.safetensors"
    before = state.stat().st_mtime_ns if state.exists() else 0
    process = started(data, out)
    deadline = time.monotonic() + 120
    while not state.exists() or state.stat().st_mtime_ns == before:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.002)
    return process


def curve(out: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k != "samples_per_s"} for line in lines]


def weights(out: Path) -> str:
    return hashlib.sha256((out / "model.safetensors").read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def uninterrupted(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole")
    process = started(data, out)
    errors = process.communicate()[1].decode()
    assert process.returncode == 0, errors
    return out


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


def test_what_is_killed_and_stopped_continues_to_the_same_bits(
    data: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    out = tmp_path / "killed"
    process = running(data, out)
    process.kill()
    process.communicate()
    for number in (signal.SIGTERM, signal.SIGINT):
        process = running(data, out)
        process.send_signal(number)
        errors = process.communicate()[1].decode()
        assert process.returncode == 130, errors
        assert "continuing after" in errors
        assert "run the same command again" in errors
    assert not (out / "model.safetensors").exists()
    process = started(data, out)
    errors = process.communicate()[1].decode()
    assert process.returncode == 0, errors
    assert curve(out) == curve(uninterrupted)
    assert weights(out) == weights(uninterrupted)
    assert not (out / "training/state.safetensors").exists()


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
