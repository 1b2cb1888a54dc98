"""A policy's draws from the global random generators do not reach the simulator."""

import random
from pathlib import Path

import numpy as np
import pytest
from assay_points import Homing, PointEnv

from harness.cli import main as run_eval
from harness.contracts.environment import Action
from harness.play.generators import Generators
from harness.runs.folder import Run


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
