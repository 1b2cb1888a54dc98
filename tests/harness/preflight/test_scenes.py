"""Scenes: their states, the expert's actions from there on, and another Python."""

from pathlib import Path

import numpy as np
import pytest
from assay_points import SeenEnv

from harness.contracts.policy import PolicySpec
from harness.contracts.registry import families, find_benchmark
from harness.contracts.setup import BenchmarkSetup
from harness.preflight.preflight import PreflightRequest, check_policy
from harness.preflight.scenes import STRIDE, SceneReader, SceneStates
from harness.venvs.build import build
from tests.harness.preflight.test_preflight import Silent
from tests.helpers.wheels import write_wheels

POLICY = PolicySpec("p", ("main",))


def setup_of(benchmark: str) -> BenchmarkSetup:
    family = find_benchmark(benchmark)
    tasks = tuple(task.name for task in family.tasks(benchmark))
    return BenchmarkSetup(family, benchmark, tasks, family.protocols()["plain"])


def scene(episode: int, states: int = 3) -> SceneStates:
    reader = SceneReader()
    try:
        return reader.scene(setup_of("points_seen"), POLICY, "red", episode, 7, states)
    finally:
        reader.close()


def test_the_experts_actions_follow_from_each_state() -> None:
    found = scene(0)
    assert found.expert == "succeeded"
    assert [moment.step for moment in found.moments] == [0, STRIDE, *range(2 * STRIDE, 17, STRIDE)][
        : len(found.moments)
    ]
    env = SeenEnv("red", 30)
    for moment in found.moments:
        env.begin(0, 7)
        for action in found.moments[0].expert[: moment.step]:
            env.advance(action)
        assert np.array_equal(env.observe()["state"], moment.observation["state"])
        assert np.array_equal(env.expert().act(), moment.expert[0])


def test_one_state_is_the_first() -> None:
    (moment,) = scene(0, states=1).moments
    assert moment.step == 0
    assert len(moment.expert) > 1


def test_a_failing_expert_leaves_the_first_state(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_plan(self: SeenEnv) -> None:
        raise RuntimeError("no path")

    monkeypatch.setattr(SeenEnv, "expert", no_plan)
    found = scene(0)
    assert (found.expert, len(found.moments), len(found.moments[0].expert)) == ("failed", 1, 0)


def test_a_plain_scene_is_the_same() -> None:
    found = scene(1)
    back = SceneStates.from_plain(found.to_plain())
    assert (back.spec, back.limit, back.expert) == (found.spec, found.limit, found.expert)
    for one, other in zip(found.moments, back.moments, strict=True):
        assert np.array_equal(one.expert, other.expert)
        assert np.array_equal(one.observation["image"]["main"], other.observation["image"]["main"])
        assert one.observation["instruction"] == other.observation["instruction"]


@pytest.fixture
def envs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Build the environment of the benchmark `points_apart`."""
    write_wheels(tmp_path / "wheels")
    monkeypatch.setenv("ASSAY_ENVS", str(tmp_path / "envs"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    venv = families()["points_apart"].venv
    assert venv is not None
    assert build(venv, print)
    return tmp_path


@pytest.mark.slow
def test_scenes_of_another_environment(envs: Path) -> None:
    def states(benchmark: str) -> dict[str, str]:
        found = check_policy(PreflightRequest("homing", benchmark, scenes=4), Silent())
        return {r.topic: r.text for r in found.remarks if r.topic in ("scenes", "action layout")}

    assert states("points_apart") == states("points_two")
