"""The LIBERO adapter, compared with LIBERO's own environment."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from numpy.typing import NDArray

import assay  # noqa: F401 - registers the ids
from benchmarks.libero import Libero, catalog
from benchmarks.libero.env import SENSORS, LiberoEnv, axis_angle
from benchmarks.libero.protocol import LiberoProtocol, protocols
from benchmarks.libero.shuffle import displace_hand
from harness.contracts.environment import play
from harness.contracts.policy import PolicySpec, check_compatible
from harness.contracts.vectors import EEF_AXIS_ANGLE_STATE, EEF_DELTA_ACTION

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
    """Play ACTIONS as other evaluations do: a hard reset, and all cameras at every step."""
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
    [
        pytest.param("libero_spatial", 0, marks=pytest.mark.slow),
        pytest.param("libero_object", 1, marks=pytest.mark.slow),
        ("libero_goal", 7),
        pytest.param("libero_10", 2, marks=pytest.mark.slow),
    ],
)
def test_rendering_on_demand_equals_rendering_at_every_step(suite: str, task: int) -> None:
    reference = upstream_rollout(suite, task, episode=4)
    env = make(suite, task)
    env.begin(0, 7)  # An earlier episode must leave no trace.
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


def test_fixture_positions_do_not_depend_on_earlier_episodes(goal_env: LiberoEnv) -> None:
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
    # Another seed does move them, so the equalities above can fail.
    assert any((moved[name] != position).any() for name, position in before.items())
    fresh.close()


@pytest.mark.slow
def test_an_episode_is_the_same_in_a_used_and_in_a_new_simulator(goal_env: LiberoEnv) -> None:
    def final_state(env: LiberoEnv) -> bytes:
        env.begin(2, 7)
        for action in ACTIONS:
            env.advance(action)
        return env.state_bytes()

    goal_env.begin(0, 7)
    for action in ACTIONS:
        # The gripper ends closed; robosuite's own soft reset would keep it closed.
        goal_env.advance(np.append(action[:6], np.float32(1)))
    used = final_state(goal_env)
    fresh = make()
    assert final_state(fresh) == used
    assert final_state(fresh) == used
    fresh.close()


@pytest.mark.rendering
def test_observing_after_a_chunk_equals_observing_at_every_step(goal_env: LiberoEnv) -> None:
    goal_env.reset(seed=7, options={"episode": 1})
    for action in ACTIONS[:6]:
        stepped = goal_env.step(action)
    goal_env.begin(1, 7)
    outcome, executed = play(goal_env, list(ACTIONS[:6]))
    observation, _, terminated, truncated, _ = goal_env.transition(outcome)
    assert executed == 6
    assert (terminated, truncated) == stepped[2:4]
    for role, image in stepped[0]["image"].items():
        np.testing.assert_array_equal(observation["image"][role], image)


@pytest.mark.slow
@pytest.mark.rendering
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", ["spatial-0", "object_swap-3", "goal-9", "10-0", "90-42"])
def test_a_task_is_a_gymnasium_environment(name: str) -> None:
    env = gymnasium.make(f"libero/{name}-v0")
    check_env(env.unwrapped)
    env.close()


def test_every_task_has_a_gymnasium_id() -> None:
    ids = [name for name in gymnasium.registry if name.startswith("libero/")]
    assert len(ids) == sum(len(tasks) for tasks in catalog.suites().values())


def test_the_step_limit_truncates(goal_env: LiberoEnv) -> None:
    goal_env.begin(0, 7)
    goal_env.steps = goal_env.max_steps - 2
    for truncates in (False, True):
        outcome = goal_env.advance(goal_env.idle_action)
        _, _, terminated, truncated, _ = goal_env.transition(outcome)
        assert (terminated, truncated) == (False, truncates)
    assert goal_env.steps == goal_env.max_steps


def test_the_layouts_are_those_of_openpis_policies(goal_env: LiberoEnv) -> None:
    openpi = PolicySpec(
        "openpi",
        cameras=("main", "wrist"),
        state_layout=EEF_AXIS_ANGLE_STATE,
        action_layout=EEF_DELTA_ACTION,
    )
    check_compatible(openpi, goal_env)


def test_progress_counts_the_grasp_and_then_the_goal() -> None:
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


def test_demonstrations_exchange_the_places_of_all_objects_but_the_basket() -> None:
    suite, files = "libero_object", catalog.suites()["libero_object"][0]
    drawn = replace(SMALL, init_states="drawn", env_seed="run+episode+task")
    env = LiberoEnv(suite, files, drawn)
    sim = env._control.env

    def positions(episode: int) -> dict[str, NDArray[np.float64]]:
        env.begin(episode, 7)
        return {n: sim.sim.data.body_xpos[b][:2].copy() for n, b in sim.obj_body_id.items()}

    first, *others = [positions(episode) for episode in range(6)]
    centers = np.array([position for name, position in first.items() if name != "basket_1"])
    seen = set()
    for found in others:
        assert np.linalg.norm(found["basket_1"] - first["basket_1"]) < 0.05
        for name, position in found.items():
            if name != "basket_1":
                distances = np.linalg.norm(centers - position, axis=1)
                assert distances.min() < 0.08  # Each place is a square of 5 cm.
                seen.add((name, int(distances.argmin())))
    # Without the exchange, each object would have one place in all scenes.
    assert len(seen) > 2 * len(centers)
    repeated = positions(0)
    for name, position in first.items():
        np.testing.assert_array_equal(repeated[name], position)
    env.close()


def test_the_hand_starts_as_varied_in_demonstrations_as_in_the_official_states() -> None:
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


def test_demonstrations_of_different_tasks_share_no_scene_seed() -> None:
    card = Libero().demonstration_protocol(SMALL)
    assert isinstance(card, LiberoProtocol)
    seeds = {card.scene_seed(7, episode, task) for episode in range(100) for task in ("a", "b")}
    assert len(seeds) == 200


@pytest.mark.slow
def test_a_drawn_scene_is_upstreams_after_any_earlier_episode() -> None:
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
