"""Meta-World: suites, cards, scenes, experts, images and the contract."""

import json
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.metaworld import MetaWorld, catalog
from benchmarks.metaworld.protocol import MetaWorldProtocol, find_protocol, protocols
from harness.contracts.errors import UsageError

pytestmark = pytest.mark.metaworld
pytest.importorskip("metaworld", reason="Meta-World is not installed")

from metaworld.env_dict import ALL_V3_ENVIRONMENTS, MT10_V3  # noqa: E402

from benchmarks.metaworld.env import MetaWorldEnv  # noqa: E402

SMALL = protocols()["small"]


def make(task: str = "drawer-open-v3", card: MetaWorldProtocol = SMALL) -> MetaWorldEnv:
    return MetaWorldEnv("metaworld_mt50", catalog.TASKS[task], card)


def played(env: MetaWorldEnv, episode: int, steps: int, seed: int = 7) -> list[bytes]:
    """Return what happens under fixed random actions."""
    env.begin(episode, seed)
    actions = np.random.default_rng(1).uniform(-1, 1, (steps, 4)).astype(np.float32)
    seen = [env.state_bytes()]
    for action in actions:
        outcome = env.advance(action)
        seen += [env.state_bytes(), repr(outcome).encode(), env.observe([])["state"].tobytes()]
    return seen


def test_suites_are_metaworlds_own() -> None:
    assert list(catalog.TASKS) == list(ALL_V3_ENVIRONMENTS)
    assert catalog.SUITES["metaworld_mt10"] == tuple(MT10_V3)
    sizes = {name: len(tasks) for name, tasks in catalog.SUITES.items()}
    assert list(sizes.values()) == [50, 10, 28, 11, 6, 5]
    assert len({task.instruction for task in catalog.TASKS.values()}) == 50


def test_an_episode_is_a_function_of_its_spec() -> None:
    env = make("peg-insert-side-v3")
    first = played(env, 3, 20)
    played(env, 4, 30)
    assert played(env, 3, 20) == first
    assert played(make("peg-insert-side-v3"), 3, 20) == first
    assert played(env, 4, 20)[0] != first[0]
    assert played(env, 3, 20, seed=8)[0] != first[0]


def test_demonstrations_have_other_scenes() -> None:
    card = MetaWorld().demonstration_protocol(SMALL)
    assert isinstance(card, MetaWorldProtocol)
    assert played(make(card=card), 0, 1)[0] != played(make(), 0, 1)[0]


@pytest.mark.parametrize(
    "task",
    [
        "drawer-open-v3",
        "reach-v3",
        pytest.param("pick-place-v3", marks=pytest.mark.slow),
        pytest.param("assembly-v3", marks=pytest.mark.slow),
    ],
)
def test_the_expert_succeeds(task: str) -> None:
    env = make(task)
    outcome, expert = env.begin(0, 7), env.expert()
    assert (outcome.success, outcome.progress) == (False, 0.0)
    progress = [outcome.progress]
    while not outcome.success and env.steps < env.max_steps:
        action = expert.act()
        assert env.action_space.contains(action)
        outcome = env.advance(action)
        progress.append(outcome.progress)
    assert outcome.success
    assert progress[-1] == 1.0
    assert progress == sorted(progress)


def test_states_are_the_first_numbers_of_metaworlds_observation() -> None:
    env = make(card=protocols()["evo1"])
    env.begin(0, 7)
    observation = env.observe([])
    np.testing.assert_array_equal(observation["state"], env.sensed[:8].astype(np.float32))
    assert observation["image"] == {}
    assert env.state_layout.size == 8


def test_more_steps_than_metaworlds_own_limit_can_be_played() -> None:
    env = make(card=replace(SMALL, max_steps={"metaworld": 510}))
    env.begin(0, 7)
    for _ in range(510):
        env.advance(env.idle_action)
    assert env.steps == env.max_steps


@pytest.mark.rendering
def test_images_are_those_of_gymnasiums_renderer() -> None:
    from gymnasium.envs.mujoco.mujoco_rendering import MujocoRenderer

    card = protocols()["lerobot"]
    env = make("shelf-place-v3", card)
    env.begin(0, 7)
    model, data = env._world.model, env._world.data
    theirs = MujocoRenderer(model, data, width=480, height=480, camera_name="corner2")
    expected = np.flip(theirs.render("rgb_array"), (0, 1))
    np.testing.assert_array_equal(env.observe()["image"]["main"], expected)
    cropped = make("shelf-place-v3", replace(card, crop=2 / 3))
    cropped.begin(0, 7)
    middle = cropped.observe()["image"]["main"]
    np.testing.assert_array_equal(middle, expected[80:400, 80:400])


@pytest.mark.rendering
def test_a_second_episode_has_the_images_of_a_new_environment() -> None:
    env, other = make("assembly-v3"), make("assembly-v3")
    env.begin(0, 7)
    first = env.observe()["image"]["main"]
    env.begin(1, 7)
    other.begin(1, 7)
    image = env.observe()["image"]["main"]
    np.testing.assert_array_equal(image, other.observe()["image"]["main"])
    assert image.shape == (128, 128, 3)
    assert not np.array_equal(image, first)
    env.close()
    env.observe()


def test_instructions_come_from_a_file_and_change_the_protocol(tmp_path: Path) -> None:
    texts = {task: f"do {task}" for task in catalog.TASKS}
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"TASK_DESCRIPTIONS": texts}))
    card = find_protocol("lerobot", {"instructions": str(path)})
    assert card.label != protocols()["lerobot"].label
    assert make(card=card).instruction == "do drawer-open-v3"
    assert make().instruction == "open the drawer"


@pytest.mark.parametrize(
    "content", ["[1]", "{}", "{", "null", '{"TASK_DESCRIPTIONS": 3}', "[" * 100_000]
)
def test_a_wrong_file_of_instructions_is_one_line(tmp_path: Path, content: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(content)
    with pytest.raises(UsageError, match="is not a JSON map of instructions by task"):
        find_protocol("lerobot", {"instructions": str(path)})


def test_an_instruction_that_is_no_short_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(dict.fromkeys(catalog.TASKS, "a" * 501)))
    with pytest.raises(UsageError, match="the instruction of assembly-v3 is not a short text"):
        find_protocol("lerobot", {"instructions": str(path)})


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"camera": "corner9"}, "unknown camera of metaworld/small 'corner9'"),
        ({"camera_position": (1.0,)}, "camera_position of metaworld/small must be empty or three"),
        ({"crop": 0.0}, r"crop must be in \(0, 1\]"),
        ({"camera_size": (0, 5)}, "camera_size"),
    ],
)
def test_a_card_that_cannot_be_played_is_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        replace(SMALL, **changed).check()


def test_the_experts_warnings_are_not_shown() -> None:
    env = make()
    env.begin(0, 7)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env.expert().act()
