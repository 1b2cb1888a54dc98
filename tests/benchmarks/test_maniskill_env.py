"""The ManiSkill adapter, compared with ManiSkill's own environment."""

import gc
import math
import weakref
from dataclasses import replace
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from numpy.typing import NDArray

import assay  # noqa: F401 - registers the ids
from benchmarks.maniskill import catalog
from benchmarks.maniskill.build import build_sim
from benchmarks.maniskill.env import ManiSkillEnv
from benchmarks.maniskill.milestones import TOUCHED, position
from benchmarks.maniskill.protocol import ManiSkillProtocol, protocols
from harness.contracts.environment import StepOutcome
from harness.contracts.errors import UsageError

pytestmark = pytest.mark.maniskill
RDT = replace(protocols()["rdt"], camera_size=(64, 64), shader="minimal")
NATIVE = protocols()["native"]


def make(task: str, protocol: ManiSkillProtocol = RDT) -> ManiSkillEnv:
    return ManiSkillEnv("maniskill", catalog.tasks()[task], protocol)


def wild(env: ManiSkillEnv, steps: int, seed: int = 0) -> NDArray[np.float32]:
    space: Any = env.action_space
    stream = np.random.default_rng(seed)
    return stream.uniform(space.low, space.high, (steps, *space.shape)).astype(np.float32)


def planned(env: ManiSkillEnv, episode: int, steps: int = 400) -> list[StepOutcome]:
    """Play the planner's actions and return the outcome of each."""
    outcomes = [env.begin(episode, 7)]
    expert = env.expert()
    assert expert is not None
    while len(outcomes) <= steps and not outcomes[-1].success:
        outcomes.append(env.advance(expert.act()))
    return outcomes


@pytest.mark.slow
def test_rendering_on_demand_equals_rendering_at_every_step() -> None:
    cameras = {"main": "base_camera", "wrist": "hand_camera", "side": "render_camera"}
    env = make("StackCube-v1", replace(RDT, cameras=cameras))
    reference = gymnasium.make(
        "StackCube-v1",
        obs_mode="rgb",
        control_mode="pd_joint_pos",
        render_mode="rgb_array",
        sim_backend="physx_cpu",
        sensor_configs={"width": 64, "height": 64},
        human_render_camera_configs={"width": 64, "height": 64},
    )
    planned(env, 1, steps=90)  # An earlier episode must leave no trace.
    observed, _ = reference.reset(seed=RDT.scene_seed(7, 4), options={"reconfigure": True})
    env.begin(4, 7)
    for step, action in enumerate(wild(env, 24)):
        env.advance(action)
        observed, *_ = reference.step(action)
        their_side: Any = reference.render()
        assert env.state_bytes() == reference.unwrapped.get_state().numpy().tobytes(), step
        if step % 8 in (3, 7):
            mine = env.observe()
            theirs = {
                "main": observed["sensor_data"]["base_camera"]["rgb"],
                "wrist": observed["sensor_data"]["hand_camera"]["rgb"],
                "side": their_side,
            }
            for role, image in mine["image"].items():
                np.testing.assert_array_equal(image, theirs[role][0].numpy(), f"{role} {step}")
            qpos = observed["agent"]["qpos"][0, :-1].numpy()
            np.testing.assert_array_equal(mine["state"], qpos)
    env.close()
    reference.close()


@pytest.mark.slow
@pytest.mark.parametrize("task", ["PushCube-v1", "PlugCharger-v1", "TwoRobotStackCube-v1"])
def test_an_episode_is_the_same_in_a_used_and_in_a_new_simulator(task: str) -> None:
    def states(env: ManiSkillEnv, episode: int) -> list[bytes]:
        env.begin(episode, 7)
        seen = [env.state_bytes()]
        for action in wild(env, 50, episode):
            env.advance(action)
            seen.append(env.state_bytes())
        return seen

    used, fresh = make(task), make(task)
    before = states(used, 0)
    again = states(used, 3)
    assert again == states(fresh, 3)
    assert again[0] != before[0]
    assert states(used, 0) == before
    used.close()
    fresh.close()


@pytest.mark.parametrize("task", catalog.RDT_TASKS)
def test_the_planner_meets_all_milestones_and_succeeds(task: str) -> None:
    env = make(task)
    outcomes = planned(env, episode=0)
    last = outcomes[-1]
    assert last.success
    assert last.progress == 1.0
    assert last.subgoals["success_once"]
    scores = [outcome.progress for outcome in outcomes]
    assert scores == sorted(scores)
    assert {0.0, 1 / 3, 2 / 3, 1.0} == set(scores)
    env.close()


@pytest.mark.parametrize("task", ["StackCube-v1", "PlugCharger-v1"])
def test_the_shortened_conditions_equal_those_in_full(task: str) -> None:
    env = make(task)
    env.begin(0, 7)
    expert, sim, outcome, seen = env.expert(), env._sim, env._outcome(env._sim.get_info()), set()
    assert expert is not None
    stacks = task == "StackCube-v1"
    thing = sim.cubeA if stacks else sim.charger
    while not outcome.success and env.steps < 300:
        outcome = env.advance(expert.act())
        in_full = bool(type(sim.agent).is_grasping(sim.agent, thing))
        found = outcome.subgoals["is_cubeA_grasped" if stacks else "grasped"]
        assert found is in_full is bool(sim.agent.is_grasping(thing))
        aligned = False
        if not stacks:
            info, away = sim.evaluate(), (sim.goal_pose.inv() * sim.charger.pose).p
            aligned = bool((away[0, 1:].abs() <= 5e-3).all() and info["obj_to_goal_angle"] <= 0.2)
            assert outcome.subgoals["aligned"] is aligned
        seen.add((found, aligned))
    assert seen >= {(False, False), (True, False), *(() if stacks else [(True, True)])}
    env.close()


def test_an_environment_keeps_no_earlier_scene_and_gives_back_the_garbage() -> None:
    env = make("PushCube-v1")
    assert gc.get_freeze_count() > 100_000
    scenes = []
    for episode in range(4):
        env.begin(episode, 7)
        scenes.append(weakref.ref(env._sim.scene))
    # ManiSkill's last scene lives until the next but one.
    assert [scene() is None for scene in scenes] == [True, True, False, False]
    env.close()
    assert gc.get_freeze_count() == 0


def test_position_equals_the_simulators_pose() -> None:
    env = make("PushCube-v1")
    env.begin(2, 7)
    sim: Any = env._sim
    start = position(sim.obj)
    assert planned(env, 2)[-1].subgoals["touched"]
    assert math.dist(position(sim.obj), start) > TOUCHED
    for thing in (sim.obj, sim.agent.tcp):
        assert [position(thing)] == thing.pose.p.tolist()
    env.close()


def test_an_early_success_counts_at_the_limit_only_under_the_rule_once() -> None:
    outcomes = {}
    for rule in ("once", "at_end"):
        env = make(
            "PushCube-v1",
            replace(RDT, success=rule, stop_at_success=False, max_steps={"maniskill": 90}),
        )
        env.begin(0, 7)
        expert = env.expert()
        assert expert is not None
        while env.steps < 70:
            outcome = env.advance(expert.act())
            assert not outcome.success
        assert outcome.subgoals["success_once"]
        # Sweep the arm through the cube.
        away = env.idle_action
        away[0] = 1.2
        while env.steps < 90:
            outcome = env.advance(away)
        outcomes[rule] = (outcome.success, outcome.subgoals["success_at_end"])
        env.close()
    assert outcomes["once"][0]
    assert outcomes["at_end"] == (outcomes["once"][1],) * 2


@pytest.mark.slow
def test_sensors_show_the_goal_marker_only_with_show_hidden() -> None:
    sensors = replace(RDT, cameras={"main": "base_camera", "side": "render_camera"})
    images = []
    for shows in (False, True):
        env = make("PickCube-v1", replace(sensors, show_hidden=shows))
        env.begin(2, 7)
        env.observe(["side"])  # This camera shows the marker; the sensor must not.
        images.append(env.observe()["image"])
        env.close()
    hidden, shown = images
    assert (hidden["main"] != shown["main"]).any()
    np.testing.assert_array_equal(hidden["side"], shown["side"])
    green = hidden["side"].astype(int)
    assert ((green[..., 1] > 150) & (green[..., 0] < 100) & (green[..., 2] < 100)).any()


@pytest.mark.slow
def test_an_undrawn_link_changes_images_and_nothing_else() -> None:
    states, images = [], []
    for undrawn in ((), ("camera_link",)):
        env = make("PickCube-v1", replace(protocols()["rdt-small"], undrawn=undrawn))
        for episode in (1, 0):
            env.begin(episode, 7)
        states.append(env.state_bytes())
        images.append(env.observe(["main", "wrist"])["image"])
        env.close()
    assert states[0] == states[1]
    np.testing.assert_array_equal(images[0]["wrist"], images[1]["wrist"])
    changed = (images[0]["main"] != images[1]["main"]).any(axis=-1)
    assert 0 < changed.mean() < 0.01


def test_two_robots_share_one_action_vector() -> None:
    env = make("TwoRobotPickCube-v1")
    assert env.action_space.shape == (16,)
    names = [part.name for part in env.action_layout.parts]
    assert names[0] == "panda_wristcam-0.arm_joints"
    assert names[-1] == "panda_wristcam-1.gripper_joints"
    env.begin(0, 7)
    action = env.idle_action
    action[8] += 0.3  # The second robot's first joint.
    before = env.observe([])["state"]
    for _ in range(10):
        env.advance(action)
    moved = np.abs(env.observe([])["state"] - before) > 0.1
    assert moved.nonzero()[0].tolist() == [9]
    env.close()


MODES = """pd_joint_pos pd_joint_delta_pos pd_joint_target_delta_pos pd_ee_delta_pose pd_ee_pose
pd_joint_vel pd_joint_pos_vel"""


@pytest.mark.parametrize("mode", MODES.split())
def test_the_idle_action_keeps_the_arm_in_place(mode: str) -> None:
    env = make("PickCube-v1", replace(RDT, control_mode=mode))
    env.begin(0, 7)
    before, idle = env._control.positions(), env.idle_action
    for _ in range(10):
        env.advance(idle)
    np.testing.assert_allclose(env._control.positions(), before, atol=0.02)
    env.close()


def test_a_rotation_of_one_turns_by_minus_a_tenth() -> None:
    env = make("PickCube-v1", protocols()["rdt-ee"])
    assert env.action_layout.parts[1].meaning == "delta XYZ Euler angles, 1 = -0.1 rad"
    env.begin(0, 7)
    before = env._sim.agent.tcp.pose.to_transformation_matrix()[0].numpy()
    for _ in range(5):
        env.advance(np.array([0, 0, 0, 0, 0, 1, 1], np.float32))
    after = env._sim.agent.tcp.pose.to_transformation_matrix()[0].numpy()
    turn = after[:3, :3] @ before[:3, :3].T
    assert -0.6 < np.arctan2(turn[1, 0], turn[0, 0]) < -0.15
    env.close()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("task", ["PickCube-v1", "TwoRobotStackCube-v1", "PushT-v1"])
def test_a_task_is_a_gymnasium_environment(task: str) -> None:
    protocol = "native" if task == "PushT-v1" else "rdt"
    env = gymnasium.make(f"maniskill/{task}", protocol=protocol)
    check_env(env.unwrapped, skip_render_check=True)
    env.close()


def test_a_task_that_cannot_be_built_says_why() -> None:
    with pytest.raises(UsageError, match="download_asset PickSingleYCB-v1"):
        build_sim(catalog.tasks()["PickSingleYCB-v1"], RDT)
    with pytest.raises(UsageError, match="download_asset widowxai"):
        build_sim(catalog.tasks()["PickCubeWidowXAI-v1"], NATIVE)
    with pytest.raises(UsageError, match=r"control_mode 'pd_ee_delta_pose'"):
        build_sim(catalog.tasks()["RotateValveLevel0-v1"], protocols()["native-ee"])
    with pytest.raises(UsageError, match="no tool"):
        make("RotateValveLevel0-v1", replace(NATIVE, state="eef"))


def test_a_planner_without_a_path_idles_and_fails() -> None:
    env = make("PegInsertionSide-v1", replace(RDT, first_seed=285, max_steps={"maniskill": 20}))
    outcomes = planned(env, episode=0, steps=20)
    assert len(outcomes) == 21
    assert not outcomes[-1].subgoals["grasped"]
    env.close()


def test_there_is_no_expert_for_other_controllers() -> None:
    for task, protocol in (("PickCube-v1", protocols()["rdt-ee"]), ("TwoRobotPickCube-v1", RDT)):
        env = make(task, protocol)
        env.begin(0, 7)
        assert env.expert() is None
        env.close()
