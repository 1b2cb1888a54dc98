"""What the families say of their environments before they are built, and what they build."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from benchmarks.maniskill import catalog
from benchmarks.robotwin.needs import VENV
from benchmarks.robotwin.protocol import full_protocols
from harness.contracts.environment import BenchmarkEnv, EnvSpec
from harness.contracts.registry import families, find_benchmark

LIBERO_TASKS = (("libero_object", 3), ("libero_spatial", 0), ("libero_10", 5), ("libero_90", 40))
LITE_TASKS = (("vlabench_lite", "select_painting"), ("vlabench_lite_track3", "select_toy"))
PANDA_TASKS = ("PullCubeTool-v1", "LiftPegUpright-v1", "StackPyramid-v1", "RollBall-v1")
PLACE_SPHERE = "PlaceSphere-v1"
CHECK_ROBOTWIN = """
import json
from benchmarks.robotwin import RoboTwinBlocks
family = RoboTwinBlocks()
found = {}
for card, protocol in family.protocols().items():
    env = family.make("robotwin_blocks", "handover_block", protocol)
    spaces = env.observation_space["image"].spaces
    found[card] = [
        {role: list(spaces[role].shape[:2]) for role in env.cameras},
        str(env.state_layout), env.observation_space["state"].shape[0],
        str(env.action_layout), env.action_space.shape[0], env.max_steps,
    ]
print("found", json.dumps(found))
"""


def spec_of(env: BenchmarkEnv) -> EnvSpec:
    """Return what a built environment offers, and require that its spaces say the same."""
    observed: Any = env.observation_space
    images = observed["image"].spaces
    assert set(images) == set(env.cameras)
    assert observed["state"].shape == (env.state_layout.size,)
    assert env.action_space.shape == (env.action_layout.size,)
    sizes = {role: images[role].shape[:2] for role in env.cameras}
    return EnvSpec(sizes, env.state_layout, env.action_layout)


def check(benchmark: str, task: str, cards: Mapping[str, Any] | None = None) -> None:
    """Build a task under each card and compare."""
    family = find_benchmark(benchmark)
    for protocol in (cards or family.protocols()).values():
        said = family.env_spec(benchmark, task, protocol)
        env = family.make(benchmark, task, protocol)
        assert said == spec_of(env), protocol.name
        assert said is not None
        assert list(said.cameras) == list(env.cameras)
        assert family.step_limit(benchmark, task, protocol) == env.max_steps
        env.close()


@pytest.mark.libero
@pytest.mark.slow
@pytest.mark.parametrize(("benchmark", "index"), LIBERO_TASKS)
def test_libero_says_what_it_builds(benchmark: str, index: int) -> None:
    family = find_benchmark(benchmark)
    cards = family.protocols()
    some = cards if benchmark == "libero_object" else {"openpi": cards["openpi"]}
    check(benchmark, family.tasks(benchmark)[index].name, some)


@pytest.mark.vlabench
@pytest.mark.parametrize(("benchmark", "task"), LITE_TASKS)
def test_vlabench_lite_says_what_it_builds(benchmark: str, task: str) -> None:
    cards = find_benchmark(benchmark).protocols()
    check(benchmark, task, {name: card for name, card in cards.items() if not card.track})  # type: ignore[attr-defined]


@pytest.mark.maniskill
def test_maniskill_says_what_it_builds() -> None:
    check("maniskill_rdt", "PickCube-v1")


@pytest.mark.maniskill
@pytest.mark.slow
@pytest.mark.parametrize("task", [*catalog.RDT_TASKS[:1], *catalog.RDT_TASKS[2:], *PANDA_TASKS])
def test_maniskill_says_what_it_builds_for_every_task_of_the_papers(task: str) -> None:
    check("maniskill", task)


@pytest.mark.maniskill
@pytest.mark.slow
def test_maniskill_says_nothing_of_another_robot() -> None:
    family = find_benchmark("maniskill")
    for task in ("PushT-v1", "TwoRobotPickCube-v1"):
        for protocol in family.protocols().values():
            assert family.env_spec("maniskill", task, protocol) is None
    env = family.make("maniskill", "PushT-v1", family.protocols()["native"])
    assert env.action_layout.size == 7
    env.close()


@pytest.mark.robotwin
@pytest.mark.slow
def test_robotwin_says_what_it_builds() -> None:
    if VENV.problem():
        pytest.skip("RoboTwin's virtual environment is not built")
    code = [str(VENV.interpreter), "-c", CHECK_ROBOTWIN]
    root = Path(__file__).parent.parent.parent
    done = subprocess.run(code, capture_output=True, text=True, check=True, cwd=root)
    line = next(line for line in done.stdout.splitlines() if line.startswith("found "))
    found = json.loads(line.removeprefix("found "))
    family = find_benchmark("robotwin_blocks")
    assert set(found) == set(family.protocols())
    for card, protocol in family.protocols().items():
        said = family.env_spec("robotwin_blocks", "handover_block", protocol)
        assert said is not None
        cameras = {role: list(size) for role, size in said.cameras.items()}
        state, action = said.state_layout, said.action_layout
        steps = family.step_limit("robotwin_blocks", "handover_block", protocol)
        assert found[card] == [cameras, str(state), state.size, str(action), action.size, steps]


def test_robotwins_own_robot_is_known_from_the_users_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    family = families()["robotwin"]
    card = full_protocols("")["demo_clean"]
    monkeypatch.delenv("ROBOTWIN_ASSETS", raising=False)
    assert family.env_spec("robotwin", "lift_pot", card) is None
    robot = tmp_path / "assets" / "embodiments" / card.robot
    robot.mkdir(parents=True)
    (tmp_path / "assets" / "objects").mkdir()
    (robot / "curobo_left_tmp.yml").write_text("")
    (robot / "config.yml").write_text("arm_joints_name: [[a, b], [c, d, e]]")
    monkeypatch.setenv("ROBOTWIN_ASSETS", str(tmp_path))
    monkeypatch.setattr(type(VENV), "home", tmp_path / "nowhere")
    said = family.env_spec("robotwin", "lift_pot", card)
    assert said is not None
    assert [part.size for part in said.action_layout.parts] == [2, 1, 3, 1]
    (robot / "config.yml").write_text("arm_joints_name: [")
    assert family.env_spec("robotwin", "lift_pot", card) is None


def all_tasks() -> Iterator[tuple[Any, str, str, Any]]:
    bundled = [each for each in families().values() if "benchmarks." in type(each).__module__]
    for family in bundled:
        for benchmark in family.benchmarks():
            for task in family.tasks(benchmark):
                for protocol in family.protocols().values():
                    yield family, benchmark, task.name, protocol


def test_every_task_but_other_robots_is_known_under_every_card() -> None:
    unknown = set()
    for family, benchmark, task, protocol in all_tasks():
        if family.env_spec(benchmark, task, protocol) is None:
            unknown.add((benchmark, task))
    known_maniskill = {task for task in catalog.tasks() if ("maniskill", task) not in unknown}
    assert {*catalog.RDT_TASKS, *PANDA_TASKS, PLACE_SPHERE, "PokeCube-v1"} <= known_maniskill
    assert {benchmark for benchmark, _ in unknown} <= {"maniskill", "robotwin"}


def test_saying_it_imports_no_simulator() -> None:
    code = (
        "import sys; from tests.benchmarks.test_env_spec import all_tasks\n"
        "for family, *rest in all_tasks(): family.env_spec(*rest)\n"
        "names = ('sapien', 'mani_skill', 'torch', 'mujoco', 'robosuite', 'libero.libero')\n"
        "print([name for name in names if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
