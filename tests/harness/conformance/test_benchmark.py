"""Each broken promise of a benchmark is found."""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from assay_points import PointEnv, Points

from harness.cli.main import main
from harness.conformance.benchmark import Checked, check_task
from harness.contracts.environment import BenchmarkEnv, EnvSpec, StepOutcome
from harness.contracts.setup import BenchmarkSetup
from harness.contracts.vectors import Layout, Part


class Leftover(PointEnv):
    """Begins where the episode before it ended."""

    drift = 0.0

    def _begin(self, episode: int, seed: int) -> StepOutcome:
        outcome = super()._begin(episode, seed)
        self.position += self.drift
        self.drift += 1e-9
        return outcome


class Disturbed(PointEnv):
    """Moves when it is looked at."""

    def _observe(self, cameras: Sequence[str]) -> Any:
        if cameras:
            self.position = self.position + 1e-9
        return super()._observe(cameras)


class Noisy(PointEnv):
    """Draws another image at each look."""

    def _observe(self, cameras: Sequence[str]) -> Any:
        seen = super()._observe(cameras)
        image = np.full((8, 8, 3), type(self).looks % 250, np.uint8)
        return {**seen, "image": dict.fromkeys(cameras, image)}


class Eager(PointEnv):
    """Draws although nobody asks."""

    def _observe(self, cameras: Sequence[str]) -> Any:
        return super()._observe(self.cameras)


class Generous(PointEnv):
    """Gives a progress of 2, and begins with a success."""

    def _begin(self, episode: int, seed: int) -> StepOutcome:
        super()._begin(episode, seed)
        return StepOutcome(True, 2.0)


class Partial(PointEnv):
    """Succeeds at half of the progress."""

    def _advance(self, action: Any) -> StepOutcome:
        super()._advance(action)
        return StepOutcome(True, 0.5)


class Wide(PointEnv):
    """Observes float64."""

    def _observe(self, cameras: Sequence[str]) -> Any:
        seen = super()._observe(cameras)
        return {**seen, "state": seen["state"].astype(np.float64)}


class Grey(PointEnv):
    """Draws images of another size than its space says."""

    def _observe(self, cameras: Sequence[str]) -> Any:
        image = np.zeros((4, 4, 3), np.uint8)
        return {**super()._observe(cameras), "image": dict.fromkeys(cameras, image)}


class Constant(PointEnv):
    """Has one scene."""

    def _begin(self, episode: int, seed: int) -> StepOutcome:
        return super()._begin(0, 0)


class Restless(PointEnv):
    """Has an idle action outside its space."""

    def __init__(self, task: str, max_steps: int) -> None:
        super().__init__(task, max_steps)
        self.idle_action = np.full(2, 5, np.float32)


class Local(PointEnv):
    """Depends on the process."""

    def _begin(self, episode: int, seed: int) -> StepOutcome:
        outcome = super()._begin(episode, seed)
        self.position += 1e-9 * os.getpid()
        return outcome


class Broken(Points):
    """Makes one of the environments above."""

    def __init__(self, env: Callable[[str, int], BenchmarkEnv]) -> None:
        self._env = env

    def make(self, benchmark: str, task: str, protocol: Any) -> BenchmarkEnv:
        return self._env(task, protocol.limit(benchmark))


def found(family: Points, **changes: Any) -> dict[tuple[str, str], str]:
    setup = BenchmarkSetup(family, "points_two", ("left",), family.protocols()["plain"])
    checked = replace(Checked(""), **changes)
    remarks = check_task(setup, "left", checked, lambda line: None)
    texts: dict[tuple[str, str], str] = {}
    for remark in remarks:
        key = remark.level, remark.topic
        texts[key] = f"{texts.get(key, '')} {remark.text}"
    return texts


@pytest.mark.parametrize(
    ("env", "topic", "text"),
    [
        (Leftover, "pure", "an episode begins differently after another one"),
        (Disturbed, "looking", "goes on differently if images are drawn"),
        (Noisy, "steps", "two looks at one state give two images of main"),
        (Eager, "steps", "observe([]) draws images"),
        (Partial, "steps", "a success has a progress of 0.5; it must be 1"),
        (Wide, "steps", "the state is float64 (2,), its layout has 2"),
        (Grey, "steps", "image not in the observation space"),
        (Restless, "statements", "the idle action is not in the action space"),
    ],
)
def test_a_broken_promise_is_a_problem(env: type[PointEnv], topic: str, text: str) -> None:
    assert text in found(Broken(env))[("problem", topic)]


def test_every_fault_of_a_step_is_named() -> None:
    setup = BenchmarkSetup(Broken(Generous), "points_two", ("left",), Points().protocols()["plain"])
    remarks = check_task(setup, "left", Checked(""), lambda line: None)
    texts = {remark.text for remark in remarks if remark.level == "problem"}
    assert {"an episode begins with a success", "a progress of 2 is outside [0, 1]"} <= texts


def test_one_scene_is_a_warning() -> None:
    remarks = found(Broken(Constant))
    assert "begin in the same state" in remarks[("warning", "scenes")]
    assert "gives the same scene" in remarks[("warning", "seed")]


def test_another_process_is_compared() -> None:
    assert "same bytes" in found(Points(), reference="points_two")[("ok", "process")]
    remarks = found(Broken(Local), reference="points_two")
    assert "other bytes" in remarks[("problem", "process")]
    assert "fails" in found(Points(), reference="points_tow")[("problem", "process")]


def test_statements_that_differ_are_named() -> None:
    class Wrong(Points):
        def env_spec(self, benchmark: str, task: str, protocol: Any) -> EnvSpec:
            state = Layout((Part("position", 2, "cm"),))
            return EnvSpec(
                {"wrist": (8, 8)}, state, super().env_spec(benchmark, task, protocol).action_layout
            )

        def episodes(self, benchmark: str, task: str) -> int | None:
            return 3

    setup = BenchmarkSetup(Wrong(), "points_two", ("left",), Points().protocols()["plain"])
    remarks = check_task(setup, "left", Checked(""), lambda line: None)
    texts = [remark.text for remark in remarks if remark.topic == "statements"]
    assert texts == [
        "the family and the environment state different numbers of episodes",
        "env_spec states other cameras",
        "env_spec states other the state",
    ]


def test_the_command_prints_what_holds(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check-benchmark", "points_two/left"]) == 0
    printed = capsys.readouterr().out
    assert "ok       left  pure" in printed
    assert printed.endswith("0 problems, 1 warnings\n")
