"""Parallel trainings."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from policies.train.__main__ import main
from tests.helpers.demos import write_demos

ROOT = Path(__file__).parents[3]
RECIPE = """
config: {config}
heads: {{ frozen: true }}
policies:
  lights:
    data: [{data}]
"""
CONFIG = """
size: dummy
steps: {steps}
batch: 7
horizon: 4
replan: 4
warmup: 1
held-out: 3
"""
ONLY = ("lights/backbone", "lights/flow", "lights/fast", "lights/blind")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_demos(tmp_path_factory.mktemp("demos"), range(12))


def arguments(data: Path, folder: Path, *, steps: int = 6) -> list[str]:
    """Return a command line that trains a recipe into a folder."""
    folder.mkdir(exist_ok=True)
    (folder / "config.yaml").write_text(CONFIG.format(steps=steps))
    recipe = folder / "recipe.yaml"
    recipe.write_text(RECIPE.format(config=folder / "config.yaml", data=data))
    options = ["--recipe", str(recipe), "--out", str(folder), "--device", "cpu"]
    return [*options, "--only", *ONLY]


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    """Restore this process's number of threads."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def weights(folder: Path) -> dict[str, bytes]:
    return {
        path.parent.name: path.read_bytes() for path in folder.glob("lights/*/model.safetensors")
    }


@pytest.mark.slow
def test_parallel_trainings_give_the_same_weights(data: Path, tmp_path: Path) -> None:
    # Another number of threads adds in another order.
    torch.set_num_threads(1)
    assert main([*arguments(data, tmp_path / "one"), "--workers", "1"]) == 0
    parallel = subprocess.run(
        # In a new process: this one has computed with threads, which a fork does not copy.
        [
            sys.executable,
            "-m",
            "policies.train",
            *arguments(data, tmp_path / "many"),
            "--workers=3",
        ],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert parallel.returncode == 0, parallel.stderr
    trained = weights(tmp_path / "many")
    assert sorted(trained) == ["backbone", "blind", "fast", "flow"]
    assert trained == weights(tmp_path / "one")
    # Nothing is left to train.
    assert main([*arguments(data, tmp_path / "many"), "--workers", "2"]) == 0


def test_a_failed_training_stops_the_others(
    data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    command = arguments(data, tmp_path)
    (tmp_path / "config.yaml").write_text(CONFIG.format(steps=6).replace("7", "7000"))
    assert main([*command, "--workers", "2"]) == 2
    message = " ".join(capfd.readouterr().err.split())
    assert "fewer than a batch" in message
    assert "lights/backbone failed, see above" in message


@pytest.mark.slow
def test_sigterm_stops_all_trainings(data: Path, tmp_path: Path) -> None:
    command = [*arguments(data, tmp_path, steps=100_000), "--workers", "2", "--save-every", "5"]
    process = subprocess.Popen([sys.executable, "-m", "policies.train", *command], cwd=ROOT)
    state = tmp_path / "lights/backbone/training/state.safetensors"
    deadline = time.monotonic() + 120
    while not state.exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 130
    saved = state.stat().st_mtime_ns
    time.sleep(1)
    assert state.stat().st_mtime_ns == saved
