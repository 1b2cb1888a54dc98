"""Several trainings at the same time."""

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

ROOT = Path(__file__).parent.parent.parent
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
ONLY = ("lights/trunk", "lights/flow", "lights/fast", "lights/blind")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_demos(tmp_path_factory.mktemp("demos"), range(12))


def arguments(data: Path, folder: Path, *, steps: int = 6) -> list[str]:
    """Return a command line that trains a recipe's policies into a folder."""
    folder.mkdir(exist_ok=True)
    (folder / "config.yaml").write_text(CONFIG.format(steps=steps))
    recipe = folder / "recipe.yaml"
    recipe.write_text(RECIPE.format(config=folder / "config.yaml", data=data))
    said = ["--recipe", str(recipe), "--out", str(folder), "--device", "cpu"]
    return [*said, "--only", *ONLY]


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    """Leave this process's number of threads as it was."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def weights(folder: Path) -> dict[str, bytes]:
    return {
        path.parent.name: path.read_bytes() for path in folder.glob("lights/*/model.safetensors")
    }


def test_side_by_side_gives_the_weights_of_one_after_another(data: Path, tmp_path: Path) -> None:
    # Another number of threads adds up in another order.
    torch.set_num_threads(1)
    assert main([*arguments(data, tmp_path / "one"), "--workers", "1"]) == 0
    alone = subprocess.run(
        # A process of its own: this one has computed with threads, which no fork takes along.
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
    assert alone.returncode == 0, alone.stderr
    found = weights(tmp_path / "many")
    assert sorted(found) == ["blind", "fast", "flow", "trunk"]
    assert found == weights(tmp_path / "one")
    # The same again has nothing to do.
    assert main([*arguments(data, tmp_path / "many"), "--workers", "2"]) == 0


def test_who_fails_stops_the_others(
    data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    said = arguments(data, tmp_path)
    (tmp_path / "config.yaml").write_text(CONFIG.format(steps=6).replace("7", "7000"))
    assert main([*said, "--workers", "2"]) == 2
    told = " ".join(capfd.readouterr().err.split())
    assert "fewer than a batch" in told
    assert "lights/trunk failed, see above" in told


def test_a_request_to_stop_reaches_all(data: Path, tmp_path: Path) -> None:
    said = [*arguments(data, tmp_path, steps=100_000), "--workers", "2", "--save-every", "5"]
    process = subprocess.Popen([sys.executable, "-m", "policies.train", *said], cwd=ROOT)
    state = tmp_path / "lights/trunk/training/state.safetensors"
    deadline = time.monotonic() + 120
    while not state.exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 130
    kept = state.stat().st_mtime_ns
    time.sleep(1)
    assert state.stat().st_mtime_ns == kept
