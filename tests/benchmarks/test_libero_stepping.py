"""The exact control step of LIBERO, compared bit for bit with robosuite's own loop."""

import hashlib
from collections.abc import Iterator
from typing import Any

import mujoco
import numpy as np
import pytest

from benchmarks.libero import catalog, stepping
from benchmarks.libero.env import LiberoEnv
from benchmarks.libero.protocol import protocols

pytestmark = pytest.mark.libero
STOVE = "turn_on_the_stove"
"""A task of libero_goal."""


def make(suite: str, task: int) -> LiberoEnv:
    return LiberoEnv(suite, catalog.suites()[suite][task], protocols()["openpi"])


@pytest.fixture(scope="module")
def stove() -> Iterator[LiberoEnv]:
    files = catalog.tasks("libero_goal")[STOVE]
    env = LiberoEnv("libero_goal", files, protocols()["openpi"])
    yield env
    env.close()


@pytest.fixture(autouse=True)
def restore(stove: LiberoEnv) -> Iterator[None]:
    yield
    stove._step = stepping.ExactLoop(stove._control).step


def play(env: LiberoEnv, actions: str, episode: int, steps: int, look: int = 0) -> dict[str, Any]:
    """Play an episode; return its end, its number of contacts, and a hash of every step."""
    hashed, contacts = hashlib.sha256(), 0
    expert, stream = env.expert(), np.random.default_rng(episode)
    outcome = env.begin(episode, 7)
    for step in range(steps):
        hashed.update(env.state_bytes() + env.observe(())["state"].tobytes())
        hashed.update(repr(outcome).encode())
        if look and step % look == 0:
            for image in env.observe()["image"].values():
                hashed.update(image.tobytes())
        if actions == "oracle":
            action = expert.act()
        else:
            action = stream.uniform(-1, 1, 7).astype(np.float32)
            # The hand is pushed into the table, so the random actions touch something.
            action[2] = -0.8 if 10 < step < 40 else action[2]
        outcome = env.advance(action)
        contacts = max(contacts, env._control.sim.data._data.ncon)
        if outcome.success:
            break
    hashed.update(env.state_bytes() + repr(outcome).encode())
    grasped = any(held for goal, held in outcome.subgoals.items() if goal.startswith("grasped"))
    return {
        "hash": hashed.hexdigest(),
        "steps": step + 1,
        "contacts": contacts,
        "grasped": grasped,
        "success": outcome.success,
    }


def both(env: LiberoEnv, actions: str, episode: int, steps: int, look: int = 0) -> dict[str, Any]:
    """Play an episode with both loops, assert that all is equal, and return it."""
    env._step = stepping.robosuites_own(env._control)
    expected = play(env, actions, episode, steps, look)
    env._step = stepping.ExactLoop(env._control).step
    found = play(env, actions, episode, steps, look)
    assert found == expected
    return found


def test_an_environment_uses_the_exact_loop(stove: LiberoEnv) -> None:
    assert stepping.unproven(stove._control) == ""
    assert isinstance(make("libero_goal", 0)._step.__self__, stepping.ExactLoop)  # type: ignore[attr-defined]


def test_turning_on_a_stove_is_equal(stove: LiberoEnv) -> None:
    assert both(stove, "oracle", 0, 100)["success"]


@pytest.mark.parametrize("suite", ["libero_spatial", "libero_object", "libero_10"])
def test_a_short_episode_with_contacts_is_equal(suite: str) -> None:
    env = make(suite, 1)
    assert both(env, "random", 3, 30)["contacts"] > 0
    assert both(env, "oracle", 3, 30)["steps"] == 30
    env.close()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("suite", "task", "grasps", "succeeds"),
    [
        ("libero_spatial", 0, True, True),
        ("libero_spatial", 4, True, False),
        ("libero_object", 1, True, True),
        ("libero_goal", 0, False, True),  # A drawer is opened.
        ("libero_goal", 3, True, True),  # A drawer is opened, and a bowl put inside.
        ("libero_10", 2, True, False),  # A stove is turned on, and a pot put on it.
        ("libero_10", 3, True, False),  # A bowl is put into a drawer, which is closed.
        ("libero_90", 20, False, False),
        ("libero_object_swap", 3, False, False),
    ],
)
def test_episodes_are_equal(suite: str, task: int, grasps: bool, succeeds: bool) -> None:
    env = make(suite, task)
    oracle = [both(env, "oracle", episode, 300) for episode in (1, 4)]
    random = both(env, "random", 2, 80)
    assert random["contacts"] > 0
    assert any(played["grasped"] for played in oracle) >= grasps
    assert any(played["success"] for played in oracle) >= succeeds
    env.close()


@pytest.mark.slow
@pytest.mark.rendering
@pytest.mark.parametrize(("suite", "task"), [("libero_spatial", 0), ("libero_goal", 7)])
def test_pictures_are_equal(suite: str, task: int) -> None:
    """A cabinet of libero_spatial is a mirror, and a stove glows when it is on."""
    env = make(suite, task)
    if suite == "libero_spatial":
        assert env._control.sim.model.mat_reflectance.any()
    both(env, "oracle", 0, 70, look=23)
    env.close()


@pytest.mark.parametrize("card", ["openpi", "original"])
def test_the_wait_steps_use_the_exact_loop(stove: LiberoEnv, card: str) -> None:
    """They start with the one substep in which a new controller does not update itself."""
    protocol, kept = protocols()[card], stove.protocol
    stove.protocol, taken, ends = protocol, [], []
    for step in (stepping.robosuites_own(stove._control), stepping.ExactLoop(stove._control).step):
        counted: list[Any] = []

        def count(action: Any, step: Any = step, counted: list[Any] = counted) -> Any:
            counted.append(action)
            return step(action)

        stove._step = count
        stove.begin(3, 7)
        taken.append(len(counted))
        ends.append(stove.state_bytes() + stove.observe(())["state"].tobytes())
    stove.protocol = kept
    assert taken == [protocol.wait_steps] * 2
    assert ends[0] == ends[1]


def test_episodes_follow_each_other_as_in_robosuites_loop(stove: LiberoEnv) -> None:
    """A reset in the middle of an episode leaves nothing of ours behind."""
    ends: list[list[str]] = []
    for step in (stepping.robosuites_own(stove._control), stepping.ExactLoop(stove._control).step):
        stove._step = step
        ends.append([play(stove, "random", episode, 25)["hash"] for episode in (1, 0, 1)])
    assert ends[0] == ends[1]
    assert ends[1][0] == ends[1][2]


def test_a_state_that_explodes_is_reset_as_in_robosuites_loop(stove: LiberoEnv) -> None:
    """MuJoCo resets such a state in the middle of a control step."""
    ends = []
    for step in (stepping.robosuites_own(stove._control), stepping.ExactLoop(stove._control).step):
        stove._step = step
        stove.begin(0, 7)
        data = stove._control.sim.data._data
        data.qvel[-1] = 1e11
        before = data.time
        for _ in range(3):
            stove.advance(stove.idle_action)
        assert data.time < before
        ends.append(stove.state_bytes())
    assert ends[0] == ends[1]


@pytest.mark.parametrize(
    ("target", "name", "value", "reason"),
    [
        ("controller", "impedance_mode", "variable_kp", "impedance_mode is variable_kp"),
        ("controller", "uncoupling", False, "uncoupling is False"),
        ("opt", "integrator", mujoco.mjtIntegrator.mjINT_IMPLICITFAST, "mjINT_IMPLICITFAST"),
        ("opt", "disableflags", mujoco.mjtDisableBit.mjDSBL_WARMSTART, "unusual options"),
        ("robot", "gripper", object(), "gripper is a object"),
        ("env", "hard_reset", True, "another simulator at every reset"),
        ("macros", "ENABLE_NUMBA", False, "Numba is disabled"),
        ("robot", "_ref_joint_vel_indexes", [1, 0, 2, 3, 4, 5, 6], "joints are in another order"),
        ("versions", "mujoco", "3.3.3", "mujoco is 3.3.2, not 3.3.3"),
        ("versions", "robosuite", "1.5.0", "robosuite is 1.4.0, not 1.5.0"),
    ],
)
def test_it_falls_back_with_a_notice(
    stove: LiberoEnv,
    monkeypatch: pytest.MonkeyPatch,
    target: str,
    name: str,
    value: Any,
    reason: str,
) -> None:
    from robosuite import macros

    control = stove._control
    robot = control.robots[0]
    if target == "versions":
        monkeypatch.setitem(stepping.PROVEN, name, value)
    else:
        model = control.sim.model._model
        owners = {"controller": robot.controller, "opt": model.opt, "robot": robot}
        owner = (owners | {"env": control.env, "macros": macros})[target]
        monkeypatch.setattr(owner, name, value)
    with pytest.warns(RuntimeWarning, match=reason):
        step = stepping.fastest(control)
    monkeypatch.undo()
    assert not isinstance(getattr(step, "__self__", None), stepping.ExactLoop)
    stove._step = step
    slow = play(stove, "random", 0, 3)
    stove._step = stepping.ExactLoop(control).step
    assert play(stove, "random", 0, 3) == slow


@pytest.mark.parametrize(
    ("controller", "reason"),
    [
        ("OSC_POSITION", "controller's use_ori is False"),
        ("JOINT_VELOCITY", "controller is a JointVelocityController"),
    ],
)
def test_another_controller_of_robosuite_keeps_robosuites_loop(
    controller: str, reason: str
) -> None:
    from libero.libero.envs.env_wrapper import ControlEnv

    files = catalog.tasks("libero_goal")[STOVE]
    control = ControlEnv(
        bddl_file_name=str(files.bddl),
        controller=controller,
        use_camera_obs=False,
        has_offscreen_renderer=False,
        hard_reset=False,
    )
    with pytest.warns(RuntimeWarning, match=reason):
        step = stepping.fastest(control)
    control.reset()
    sensed, _ = step(np.zeros(control.env.action_dim))
    assert np.isfinite(sensed["robot0_eef_pos"]).all()
    control.close()


def test_an_environment_with_a_step_of_its_own_keeps_it(
    stove: LiberoEnv, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Counting(type(stove._control.env)):  # type: ignore[misc]
        def _post_action(self, action: Any) -> Any:
            return super()._post_action(action)

    monkeypatch.setattr(stove._control.env, "__class__", Counting)
    assert stepping.unproven(stove._control) == "its Counting has its own _post_action"
