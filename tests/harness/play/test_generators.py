"""A policy's draws from the global random generators do not reach the simulator."""

import random
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch
from assay_points import Homing, PointEnv

from benchmarks.stub_module import stub_module
from harness.cli import main as run_eval
from harness.contracts.environment import Action
from harness.contracts.spec import keyed_stream
from harness.play.generators import Generators
from harness.runs.folder import Run
from policies.seeded import seeded


def drawn() -> tuple[float, ...]:
    return random.random(), random.gauss(0, 1), np.random.rand(), np.random.randn()


@pytest.mark.parametrize("before", [0, 1])
def test_seeding_and_drawing_leave_no_trace(before: int) -> None:
    generators = Generators()
    for _ in range(3):
        random.seed(1)
        np.random.seed(1)
        for _ in range(before):  # The next normal number is then known already.
            np.random.randn(), random.gauss(0, 1)
        states = random.getstate(), np.random.get_state()
        expected = drawn()
        random.setstate(states[0])
        np.random.set_state(states[1])
        with generators:
            random.seed(0)
            np.random.seed(0)
            drawn()
        assert drawn() == expected


def test_a_simulators_own_draws_go_on() -> None:
    generators, found = Generators(), []
    np.random.seed(3)
    for _ in range(4):
        with generators:
            pass
        found.append(np.random.rand())
    np.random.seed(3)
    assert found == [np.random.rand() for _ in range(4)]


def draw_and_fail() -> None:
    np.random.rand()
    raise ValueError("not mine")


def test_state_is_restored_after_an_exception() -> None:
    np.random.seed(5)
    expected = np.random.rand()
    np.random.seed(5)
    with pytest.raises(ValueError, match="not mine"), Generators():
        draw_and_fail()
    assert np.random.rand() == expected


def test_another_kind_of_generator_is_kept_too() -> None:
    twister = np.random.get_bit_generator()
    np.random.set_bit_generator(np.random.PCG64(1))
    try:
        expected = np.random.rand()
        np.random.set_bit_generator(np.random.PCG64(1))
        with Generators():
            np.random.rand()
        assert np.random.rand() == expected
    finally:
        np.random.set_bit_generator(twister)


def test_pytorch_is_kept_too() -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    with Generators():
        torch.manual_seed(0)
        torch.rand(1)
    assert torch.equal(torch.rand(2), expected)


class Gpus:
    """Stands for `torch.cuda` with two GPUs; the generators are real ones, of the CPU."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.generators = [torch.Generator().manual_seed(number) for number in range(2)]
        self.in_use = True
        for name in ("is_initialized", "get_rng_state_all", "set_rng_state_all", "seed_all"):
            monkeypatch.setattr(torch.cuda, name, getattr(self, name))

    def is_initialized(self) -> bool:
        return self.in_use

    def get_rng_state_all(self) -> list[torch.Tensor]:
        assert self.in_use, "reading the states would start CUDA"
        return [generator.get_state() for generator in self.generators]

    def set_rng_state_all(self, states: list[torch.Tensor]) -> None:
        assert self.in_use
        for generator, state in zip(self.generators, states, strict=True):
            generator.set_state(state)

    def seed_all(self) -> None:
        for generator in self.generators:
            generator.seed()

    def draw(self) -> list[float]:
        return [torch.rand(1, generator=generator).item() for generator in self.generators]


def test_the_generators_of_gpus_are_kept_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a GPU: the calls are PyTorch's, the generators are those of the CPU."""
    expected = Gpus(monkeypatch).draw()
    gpus = Gpus(monkeypatch)
    with Generators():
        gpus.draw()
    assert gpus.draw() == expected


def test_gpus_that_nothing_uses_are_not_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    gpus = Gpus(monkeypatch)
    gpus.in_use = False
    before = [generator.get_state() for generator in gpus.generators]
    with Generators():
        pass
    assert all(map(torch.equal, before, [g.get_state() for g in gpus.generators]))


def test_gpus_that_a_policy_starts_do_not_keep_its_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for _ in range(2):
        gpus = Gpus(monkeypatch)
        gpus.in_use = False
        with Generators():
            gpus.in_use = True
            for generator in gpus.generators:
                generator.manual_seed(0)
        found.append(gpus.draw())
    assert found[0] != found[1]


def test_pytorch_that_a_policy_imports_does_not_keep_its_seed() -> None:
    program = """
        from harness.play.generators import Generators
        with Generators():
            import torch
            torch.manual_seed(0)
        print(torch.rand(1).item())
        """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    found = [subprocess.run(command, capture_output=True, text=True, check=True) for _ in range(2)]
    assert found[0].stdout != found[1].stdout


@pytest.mark.usefixtures("points")
def test_a_simulator_with_global_noise_does_not_notice_the_policy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A simulator that draws from the global generator, with a policy that seeds it or not."""
    begin, advance, infer = PointEnv._begin, PointEnv._advance, Homing.infer

    def seeded_begin(self: PointEnv, episode: int, seed: int) -> object:
        np.random.seed(episode)
        return begin(self, episode, seed)

    def noisy_advance(self: PointEnv, action: Action) -> object:
        return advance(self, action + 0.1 * np.random.randn(2).astype(np.float32))

    def seeding_infer(self: Homing, queries: object) -> object:
        np.random.seed(0)
        random.seed(0)
        return infer(self, queries)

    monkeypatch.setattr(PointEnv, "_begin", seeded_begin)
    monkeypatch.setattr(PointEnv, "_advance", noisy_advance)
    states = []
    for name in ("plain", "seeding"):
        command = ["run", "--policy", "homing", "--benchmark", "points_two", "--episodes", "2"]
        assert run_eval.main([*command, "--out", str(tmp_path / name)]) == 0
        records = Run.existing(tmp_path / name).records().values()
        states.append([record.state_sha256 for record in records])
        monkeypatch.setattr(Homing, "infer", seeding_infer)
    assert states[0] == states[1]


MAKERS = {
    "plain": "class P:\n    def __init__(self): pass\n",
    "constructor": "class P:\n    def __init__(self): seed()\n",
    "file": "seed()\nclass P:\n    def __init__(self): pass\n",
}
POLICY = """
import random
import numpy as np
import torch

def seed():
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)

{maker}
    def __call__(self, observation):
        return np.zeros((6, 2), np.float32)
"""


@pytest.mark.usefixtures("points")
def test_a_simulator_does_not_notice_how_a_policy_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A simulator that draws from the global generators, but does not seed them."""
    advance = PointEnv._advance

    def noisy_advance(self: PointEnv, action: Action) -> object:
        noise = np.random.randn(2) + random.gauss(0, 1) + torch.randn(1).item()
        return advance(self, action + 0.1 * noise.astype(np.float32))

    monkeypatch.setattr(PointEnv, "_advance", noisy_advance)
    states = {}
    for name, maker in MAKERS.items():
        file = tmp_path / f"{name}.py"
        file.write_text(POLICY.format(maker=maker))
        random.seed(7)
        np.random.seed(7)
        torch.manual_seed(7)
        command = ["run", "--policy", f"python:{file}:P", "--benchmark", "points_two"]
        command += ["--protocol", "short", "--episodes", "2", "--out", str(tmp_path / name)]
        assert run_eval.main(command) == 0
        records = Run.existing(tmp_path / name).records().values()
        states[name] = [record.state_sha256 for record in records]
    assert states["constructor"] == states["plain"]
    assert states["file"] == states["plain"]


def test_a_stand_in_for_pytorch_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """RoboTwin's environment has one; its attributes are classes without effect."""
    monkeypatch.delitem(sys.modules, "torch")
    monkeypatch.setattr("benchmarks.stub_module.find_spec", lambda name: None)
    stub_module("torch")
    random.seed(1)
    with Generators(), seeded(keyed_stream(np.array([1, 2], np.uint64))):
        random.random()
    kept = random.random()
    random.seed(1)
    assert random.random() == kept
