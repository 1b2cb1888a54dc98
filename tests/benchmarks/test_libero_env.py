"""LIBERO's simulator through the adapter, against LIBERO's own environment."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from numpy.typing import NDArray

import benchmarks  # noqa: F401 - registers the ids
from benchmarks.libero import Libero, catalog
from benchmarks.libero.env import SENSORS, LiberoEnv, axis_angle
from benchmarks.libero.protocol import LiberoProtocol, protocols
from benchmarks.libero.shuffle import displace_hand
from harness.contracts.environment import ChunkEnv

pytestmark = pytest.mark.libero
SMALL = replace(protocols()["openpi"], camera_size=(64, 64))
ACTIONS = np.random.default_rng(0).uniform(-1, 1, (24, 7)).astype(np.float32)


def make(suite: str = "libero_goal", task: int = 0) -> LiberoEnv:
    return LiberoEnv(suite, catalog.suites()[suite][task], SMALL)


@pytest.fixture(scope="module")
def goal_env() -> Iterator[LiberoEnv]:
    env = make()
    yield env
    env.close()


def upstream_rollout(suite: str, task: int, episode: int) -> list[dict[str, Any]]:
    """Play ACTIONS as every other evaluation does: all cameras at every step, a hard reset."""
    from libero.libero.envs import OffScreenRenderEnv  # type: ignore[import-untyped]

    files = catalog.suites()[suite][task]
    env = OffScreenRenderEnv(bddl_file_name=str(files.bddl), camera_heights=64, camera_widths=64)
    env.seed(7)
    env.reset()
    observation = env.set_init_state(files.states[episode])
    for _ in range(SMALL.wait_steps):
        observation, *_ = env.step(list(SMALL.wait_action))
    seen = []
    for action in ACTIONS:
        seen.append(observation | {"sim": env.get_sim_state()})
        observation, *_ = env.step(action)
    env.close()
    return seen


@pytest.mark.rendering
@pytest.mark.parametrize(
    ("suite", "task"),
    [("libero_spatial", 0), ("libero_object", 1), ("libero_goal", 7), ("libero_10", 2)],
)
def test_looking_on_demand_is_bitwise_the_same_as_rendering_every_step(
    suite: str, task: int
) -> None:
    reference = upstream_rollout(suite, task, episode=4)
    env = make(suite, task)
    env.begin(0, 7)  # An episode before must leave no trace.
    env.advance(ACTIONS[5])
    env.begin(4, 7)
    for step, action in enumerate(ACTIONS):
        theirs = reference[step]
        assert env.state_bytes() == theirs["sim"].tobytes(), step
        position, quaternion, fingers = (theirs[name] for name in SENSORS)
        state = np.concatenate([position, axis_angle(quaternion), fingers]).astype(np.float32)
        if step % 8 in (0, 3):
            observation = env.observe()
            assert observation["state"].tobytes() == state.tobytes(), step
            for role, camera in (("main", "agentview"), ("wrist", "robot0_eye_in_hand")):
                expected = theirs[f"{camera}_image"][::-1, ::-1]
                np.testing.assert_array_equal(observation["image"][role], expected, str(step))
        env.advance(action)
    env.close()


def test_fixtures_stand_in_the_same_place_whatever_came_before(goal_env: LiberoEnv) -> None:
    goal_env.begin(3, 7)
    before = goal_env.fixture_positions()
    assert any("cabinet" in name for name in before)
    assert any("stove" in name for name in before)
    assert any("rack" in name for name in before)
    for episode in (0, 17, 3, 8):
        goal_env.begin(episode, 7 + episode)
        goal_env.advance(ACTIONS[0])
    goal_env.begin(3, 8)
    moved = goal_env.fixture_positions()
    goal_env.begin(3, 7)
    after = goal_env.fixture_positions()
    fresh = make()
    fresh.begin(3, 7)
    for name, position in before.items():
        np.testing.assert_array_equal(after[name], position)
        np.testing.assert_array_equal(fresh.fixture_positions()[name], position)
    # The seed does move them: the equalities above are no matter of course.
    assert any((moved[name] != position).any() for name, position in before.items())
    fresh.close()


def test_an_episode_is_the_same_in_a_used_and_in_a_fresh_simulator(goal_env: LiberoEnv) -> None:
    def final_state(env: LiberoEnv) -> bytes:
        env.begin(2, 7)
        for action in ACTIONS:
            env.advance(action)
        return env.state_bytes()

    goal_env.begin(0, 7)
    for action in ACTIONS:
        # The gripper ends closed, which a soft reset of robosuite's own would not undo.
        goal_env.advance(np.append(action[:6], np.float32(1)))
    used = final_state(goal_env)
    fresh = make()
    assert final_state(fresh) == used
    assert final_state(fresh) == used
    fresh.close()


@pytest.mark.rendering
def test_a_chunk_advances_through_and_observes_once(goal_env: LiberoEnv) -> None:
    stepped = []
    goal_env.reset(seed=7, options={"episode": 1})
    for action in ACTIONS[:6]:
        stepped.append(goal_env.step(action))
    chunked = ChunkEnv(goal_env, length=6)
    chunked.reset(seed=7, options={"episode": 1})
    observation, _, terminated, truncated, info = chunked.step(ACTIONS[:6])
    assert info["executed"] == 6
    assert (terminated, truncated) == stepped[-1][2:4]
    for role, image in stepped[-1][0]["image"].items():
        np.testing.assert_array_equal(observation["image"][role], image)


@pytest.mark.rendering
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", ["spatial-0", "object_swap-3", "goal-9", "10-0", "90-42"])
def test_a_task_is_a_gymnasium_environment(name: str) -> None:
    env = gymnasium.make(f"libero/{name}-v0")
    check_env(env.unwrapped)
    env.close()


def test_every_task_has_an_id() -> None:
    ids = [name for name in gymnasium.registry if name.startswith("libero/")]
    assert len(ids) == sum(len(tasks) for tasks in catalog.suites().values())


def test_the_step_limit_truncates(goal_env: LiberoEnv) -> None:
    goal_env.begin(0, 7)
    goal_env.steps = goal_env.max_steps - 1
    outcome = goal_env.advance(goal_env.idle_action)
    assert not outcome.success
    assert goal_env.steps == goal_env.max_steps


def test_progress_counts_a_grasp_and_then_the_goal() -> None:
    env = make("libero_object", 0)
    outcome = env.begin(0, 7)
    assert outcome.progress == 0.0
    expert = env.expert()
    seen = {outcome.progress}
    while not outcome.success and env.steps < env.max_steps:
        outcome = env.advance(expert.act())
        seen.add(outcome.progress)
    assert outcome.success
    assert seen == {0.0, 0.5, 1.0}
    assert outcome.subgoals == {
        "grasped(alphabet_soup_1)": True,
        "in(alphabet_soup_1, basket_1_contain_region)": True,
    }
    env.close()


def test_things_exchange_their_places_in_demonstrations_but_never_the_basket() -> None:
    suite, files = "libero_object", catalog.suites()["libero_object"][0]
    drawn = replace(SMALL, init_states="drawn", env_seed="run+episode+task")
    env = LiberoEnv(suite, files, drawn)
    sim = env._control.env

    def places(episode: int) -> dict[str, NDArray[np.float64]]:
        env.begin(episode, 7)
        return {n: sim.sim.data.body_xpos[b][:2].copy() for n, b in sim.obj_body_id.items()}

    first, *others = [places(episode) for episode in range(6)]
    spots = np.array([place for name, place in first.items() if name != "basket_1"])
    came = set()
    for found in others:
        assert np.linalg.norm(found["basket_1"] - first["basket_1"]) < 0.05
        for name, place in found.items():
            if name != "basket_1":
                distances = np.linalg.norm(spots - place, axis=1)
                assert distances.min() < 0.08  # Each spot is a square of 5 cm.
                came.add((name, int(distances.argmin())))
    # Five scenes as they are defined would give each thing one spot.
    assert len(came) > 2 * len(spots)
    repeated = places(0)
    for name, place in first.items():
        np.testing.assert_array_equal(repeated[name], place)
    env.close()


def test_the_hand_begins_in_demonstrations_as_differently_as_in_the_official_states() -> None:
    suite, files = "libero_object", catalog.suites()["libero_object"][0]
    official = np.array(files.states)[:, 1:8]
    env = LiberoEnv(suite, files, replace(SMALL, init_states="drawn", env_seed="run+episode"))
    joints = env._control.robots[0]._ref_joint_pos_indexes

    def start(episode: int) -> NDArray[np.float64]:
        env.begin(episode, 7)
        found: NDArray[np.float64] = env._control.sim.data.qpos[joints].copy()
        return found

    starts = np.array([start(episode) for episode in range(12)])
    np.testing.assert_array_equal(start(0), starts[0])
    assert starts.std(axis=0).mean() == pytest.approx(official.std(axis=0).mean(), rel=0.3)
    assert np.abs(starts.mean(axis=0) - official.mean(axis=0)).max() < 0.03
    env.close()


def test_a_demonstration_of_one_task_tells_nothing_of_another_s() -> None:
    card = Libero().rehearsal(SMALL)
    assert isinstance(card, LiberoProtocol)
    seeds = {card.scene_seed(7, episode, task) for episode in range(100) for task in ("a", "b")}
    assert len(seeds) == 200


def test_a_drawn_scene_is_upstreams_whatever_came_before() -> None:
    from libero.libero.envs import OffScreenRenderEnv

    stove = next(
        files for files in catalog.suites()["libero_spatial"] if "on_the_stove" in files.bddl.name
    )
    env = LiberoEnv("libero_spatial", stove, replace(SMALL, init_states="drawn"))
    for episode in (1, 0):
        env.begin(episode, 7)
    drawn = env.state_bytes()
    bowl = env._control.sim.data.body_xpos[env._control.env.obj_body_id["akita_black_bowl_1"]]
    burner = env._control.sim.data.get_site_xpos("flat_stove_1_burner")
    assert np.linalg.norm(bowl - burner) < 0.1
    upstream = OffScreenRenderEnv(bddl_file_name=str(stove.bddl), camera_heights=8, camera_widths=8)
    upstream.seed(7)
    upstream.reset()
    displace_hand(upstream.env, 7)
    for _ in range(SMALL.wait_steps):
        upstream.step(list(SMALL.wait_action))
    assert upstream.get_sim_state().tobytes() == drawn
    upstream.close()
    env.close()
