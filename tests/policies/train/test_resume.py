"""A killed or stopped training resumes to the same bits."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from policies.train.__main__ import main
from policies.train.state import exclusive
from tests.helpers.demos import write_demos

ROOT = Path(__file__).parents[3]
STEPS = 40


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_demos(tmp_path_factory.mktemp("demos"), range(12))


def arguments(data: Path, out: Path, *more: str) -> list[str]:
    """Return a command line with all kinds of randomness, and batches across epochs."""
    options = ["--data", str(data), "--out", str(out), "--size", "dummy", "--head", "flow"]
    options += ["--steps", str(STEPS), "--batch", "7", "--horizon", "4", "--replan", "4"]
    options += ["--save-every", "4", "--validate-every", "10", "--held-out", "3", "--warmup", "5"]
    return [*options, "--augmentation.spherical.share", "0.5", "--device", "cpu", *more]


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Another number of threads adds in another order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Watch:
    """Waits until a training has saved a newer state."""

    def __init__(self, out: Path) -> None:
        self._state = out / "training/state.safetensors"
        self._before = self._state.stat().st_mtime_ns if self._state.exists() else 0
        self._deadline = time.monotonic() + 120

    def wait(self, ended: Callable[[], bool]) -> None:
        while not self._state.exists() or self._state.stat().st_mtime_ns == self._before:
            assert not ended()
            assert time.monotonic() < self._deadline
            time.sleep(0.002)


def killed(data: Path, out: Path) -> None:
    """Train in another process, and kill it in the middle."""
    command = [sys.executable, "-m", "policies.train", *arguments(data, out)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, cwd=ROOT, env=environment)
    Watch(out).wait(lambda: process.poll() is not None)
    process.kill()
    process.wait()


def interrupted(data: Path, out: Path, number: int) -> int:
    """Train here, and send this process a signal in the middle."""
    watch, ended = Watch(out), threading.Event()

    def send() -> None:
        watch.wait(ended.is_set)
        os.kill(os.getpid(), number)

    sender = threading.Thread(target=send)
    # Without a handler, a late signal would end the tests.
    before = signal.signal(number, lambda *_: None)
    try:
        sender.start()
        return main(arguments(data, out))
    finally:
        ended.set()
        sender.join()
        signal.signal(number, before)


def curve(out: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k != "samples_per_s"} for line in lines]


def weights(out: Path) -> str:
    return hashlib.sha256((out / "model.safetensors").read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def uninterrupted(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole")
    assert main(arguments(data, out)) == 0
    return out


def test_a_training_writes_a_complete_log_and_a_page(uninterrupted: Path) -> None:
    lines = curve(uninterrupted)
    assert [line["step"] for line in lines if "loss" in line] == list(range(1, STEPS + 1))
    assert [line["step"] for line in lines if "validation" in line] == [10, 20, 30, 40]
    page = (uninterrupted / "README.md").read_text()
    last = next(line["validation"] for line in reversed(lines) if "validation" in line)
    assert f"{last:.5f}" in page
    assert "- lights: reach-0, reach-1." in page
    assert "python -m policies.train" in page
    assert (uninterrupted / "training.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_killed_and_stopped_trainings_resume_to_the_same_bits(
    data: Path, uninterrupted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "killed"
    killed(data, out)
    for number in (signal.SIGTERM, signal.SIGINT):
        assert interrupted(data, out, number) == 130
        message = capsys.readouterr().err
        assert "continuing after" in message
        assert "run the same command again" in message
    assert not (out / "model.safetensors").exists()
    assert main(arguments(data, out)) == 0
    assert curve(out) == curve(uninterrupted)
    assert weights(out) == weights(uninterrupted)
    assert not (out / "training/state.safetensors").exists()


def test_a_finished_training_is_not_repeated(
    data: Path, uninterrupted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (uninterrupted / "log.jsonl").stat().st_mtime_ns
    assert main(arguments(data, uninterrupted)) == 0
    assert "is trained already" in capsys.readouterr().err
    assert (uninterrupted / "log.jsonl").stat().st_mtime_ns == before


def test_other_settings_do_not_resume_it(
    data: Path, uninterrupted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments(data, uninterrupted), "--seed", "1", "--clip", "2"]) == 2
    assert "another clip, seed; choose another --out" in " ".join(capsys.readouterr().err.split())


def test_only_one_process_trains_into_a_folder(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with exclusive(tmp_path / "out"):
        assert main(arguments(data, tmp_path / "out")) == 2
    assert "another process is training into" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "out/log.jsonl").exists()
