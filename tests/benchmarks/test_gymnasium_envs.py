"""Environments that are only known by their Gymnasium id."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from benchmarks.gymnasium_envs.protocol import instruction, protocols
from harness.backends.inline import run_inline
from harness.cli.main import main
from harness.contracts.errors import UsageError
from harness.contracts.registry import find_benchmark
from harness.runs.plan import BenchmarkRequest, Plan, Work, resolve
from tests.helpers.plays import inline

CARD = """
name: mine
summary: A small world.
max_steps: {value: {"gym:": 12}, source: ours}
state: {value: [goal, position], source: ours}
images: {value: {main: render, wrist: camera}, source: ours}
instruction: {value: walk to the goal, source: ours}
success: {value: [arrived], source: ours}
arguments: {value: {size: 6}, source: ours}
"""


class World(gymnasium.Env[Any, Any]):
    """Walks on a line to a goal; it ends at the edge."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012

    def __init__(self, size: int = 4, render_mode: str | None = None) -> None:
        self.size, self.render_mode = size, render_mode
        self.action_space = spaces.Box(-1.0, 1.0, (1, 1), np.float64)
        self.observation_space = spaces.Dict(
            position=spaces.Box(-9, 9, (1,), np.float64),
            goal=spaces.Box(-9, 9, (1,), np.float64),
            camera=spaces.Box(0, 255, (5, 7, 3), np.uint8),
        )

    def _seen(self) -> dict[str, Any]:
        camera = np.full((5, 7, 3), 9, np.uint8)
        return {"position": np.array([self.x]), "goal": np.array([self.goal]), "camera": camera}

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.x, self.goal = 0.0, float(self.np_random.uniform(1, 3))
        return self._seen(), {}

    def step(self, action: Any) -> Any:
        assert action.shape == (1, 1)
        assert action.dtype == np.float64
        self.x += float(action[0, 0])
        info = {"arrived": abs(self.x - self.goal) < 0.5}
        return self._seen(), 0.0, self.x < -2, False, info

    def render(self) -> Any:
        return np.full((self.size, 8, 3), 3, np.uint8)


@pytest.fixture(autouse=True)
def module(monkeypatch: pytest.MonkeyPatch) -> None:
    """Register the world as a user's package does when it is imported."""
    gymnasium.registry.pop("small/World-v0", None)
    gymnasium.register("small/World-v0", World)
    monkeypatch.setitem(sys.modules, "small_world", ModuleType("small_world"))


@pytest.fixture
def card(tmp_path: Path) -> str:
    path = tmp_path / "mine.yaml"
    path.write_text(CARD)
    return str(path)


def work(policy: str, name: str, card: str = "", episodes: int = 3) -> Work:
    return resolve(Plan((policy,), (BenchmarkRequest(name, protocol=card),), episodes))


def play(name: str, card: str = "") -> None:
    plan = work("zero", name, card)
    list(run_inline(plan, plan.specs, print))


def test_a_card_describes_the_environment(card: str) -> None:
    plan = work("zero", "gym:small_world:small/World-v0", card)
    (setup,) = plan.setups
    env = setup.family.make(setup.benchmark, *setup.tasks, setup.protocol)
    env.begin(0, 7)
    seen = env.observe()
    assert env.observation_space.contains(seen)
    assert seen["image"]["main"].shape == (6, 8, 3)
    assert (seen["image"]["wrist"] == 9).all()
    assert 1 < seen["state"][0] < 3
    assert seen["state"][1] == 0
    assert seen["instruction"] == "walk to the goal"
    assert str(env.state_layout).startswith("goal[1]")
    assert env.max_steps == 12


def test_success_failure_and_termination(card: str, tmp_path: Path) -> None:
    code = "import numpy as np\ndef go(o): return np.full((4, 1), {}, np.float32)"
    found = {}
    for name, action in (("ahead", 0.5), ("back", -1.0), ("still", 0.0)):
        (tmp_path / f"{name}.py").write_text(code.format(action))
        plan = work(f"python:{tmp_path}/{name}.py:go", "gym:small/World-v0", card, 2)
        records = [e.record for e in run_inline(plan, plan.specs, print)]
        found[name] = {(record.outcome, record.steps) for record in records}
        assert inline(plan) == [record.deterministic() for record in records]
    assert {outcome for outcome, _ in found["ahead"]} == {"success"}
    assert found["back"] == {("failure", 3)}
    assert found["still"] == {("failure", 12)}


@pytest.mark.parametrize("name", ["Pendulum-v1", "MountainCarContinuous-v0", "InvertedPendulum-v5"])
def test_gymnasiums_own_environments_give_the_same_bytes_in_any_order(name: str) -> None:
    plan = work("random", f"gym:{name}", episodes=3)
    records = {e.record.spec.key: e.record for e in run_inline(plan, plan.specs[::-1], print)}
    assert [records[spec.key].deterministic() for spec in plan.specs] == inline(plan)
    assert len({record.state_sha256 for record in records.values()}) == 3


def test_a_plan_takes_the_registered_limit() -> None:
    family = find_benchmark("gym:Pendulum-v1")
    assert family.step_limit("gym:Pendulum-v1", "Pendulum-v1", protocols()["default"]) == 200
    assert instruction("ns/FetchPickAndPlace-v4") == "fetch pick and place"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gym:Nope-v3", "has no environment 'Nope-v3' here.*write gym:PACKAGE:Nope-v3"),
        ("gym:no_such_module:Nope-v3", "No module named 'no_such_module'"),
        ("gym:CartPole-v1", "the actions of CartPole-v1 are Discrete"),
    ],
)
def test_what_cannot_be_played_is_one_line(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        play(name)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[goal, position]", "[gaol]", "has no vector 'gaol'; it has"),
        ("wrist: camera", "wrist: camra", "has no image 'camra'"),
        ("size: 6", "sise: 6", "cannot build small/World-v0 .*under 'arguments'"),
    ],
)
def test_a_wrong_card_is_one_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(CARD.replace(old, new))
    with pytest.raises(UsageError, match=message):
        play("gym:small/World-v0", str(path))


def test_an_id_in_an_error_is_shown_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--policy", "zero", "--benchmark", "gym:Nope-v3"]) == 2
    assert "gym:PACKAGE:Nope-v3" in "".join(capsys.readouterr().err.split())
