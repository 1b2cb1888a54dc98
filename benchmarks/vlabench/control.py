"""The formats of actions and states, by the names that protocols use."""

from abc import ABC, abstractmethod

import numpy as np
from gymnasium import spaces
from numpy.typing import ArrayLike
from scipy.spatial.transform import Rotation

from benchmarks.vlabench.kinematics import Kinematics
from benchmarks.vlabench.panda import BASE, CLOSED, OPEN
from benchmarks.vlabench.world import JOINTS, Vector, World, from_base
from harness.contracts.environment import Action
from harness.contracts.vectors import Layout, Part

_OPEN_FROM = 0.1
"""The smallest gripper value at which upstream's clients open the gripper."""
_CLOSED_BIT = Part("gripper_closed", 1, "0 or 1: both fingers within 0.035 m of the middle")
STATES = {
    "openpi": Layout(
        (
            Part("eef_position", 3, "m, from the robot's base, world axes"),
            Part("eef_orientation", 3, "extrinsic xyz Euler angles in rad, world"),
            _CLOSED_BIT,
        )
    ),
    "ee_state": Layout(
        (
            Part("eef_position", 3, "m, world"),
            Part("eef_orientation", 4, "wxyz quaternion, world"),
            _CLOSED_BIT,
        )
    ),
}
"""The state layouts by name."""


def read_state(kind: str, world: World) -> Vector:
    """Return the state vector in one of these layouts."""
    position, matrix = world.tool
    rotation = Rotation.from_matrix(matrix)
    if kind == "openpi":
        pose = [from_base(position), rotation.as_euler("xyz")]
    else:
        pose = [position, rotation.as_quat()[[3, 0, 1, 2]]]
    return np.concatenate([*pose, [world.is_closed]])


class Control(ABC):
    """Converts actions to servo commands, and the expert's target poses to actions."""

    perturbations: tuple[Action, Action] | None = None
    layout: Layout
    space: spaces.Box

    @abstractmethod
    def command(self, world: World, solver: Kinematics, action: Action) -> Vector:
        """Return the target positions of seven joints and two fingers."""

    @abstractmethod
    def action(
        self, world: World, solver: Kinematics, position: Vector, angles: Vector, opens: bool
    ) -> Action:
        """Return the action that moves the tool to this position and these Euler angles."""


_PUSH = np.array([0.04, 0.04, 0.04, 0, 0, 0, 0], np.float32)


class AbsolutePose(Control):
    """Absolute tool poses, as in upstream's openpi client."""

    layout = Layout(
        (
            Part("eef_position", 3, "target in m, from the robot's base, world axes"),
            Part("eef_orientation", 3, "target, extrinsic xyz Euler angles in rad, world"),
            Part("gripper", 1, ">= 0.1 opens, else closes"),
        )
    )
    space = spaces.Box(
        np.array([-1, -1, -1, -np.pi, -np.pi, -np.pi, 0], np.float32),
        np.array([1, 1, 1, np.pi, np.pi, np.pi, 1], np.float32),
    )
    perturbations = -_PUSH, _PUSH

    def command(self, world: World, solver: Kinematics, action: Action) -> Vector:
        """Solve for the joints that reach the pose."""
        return _reach(world, solver, action[:3] + np.array(BASE), action[3:6], action[6])

    def action(
        self, world: World, solver: Kinematics, position: Vector, angles: Vector, opens: bool
    ) -> Action:
        """Return the pose."""
        return np.array([*from_base(position), *angles, opens], np.float32)


class PoseChange(Control):
    """Changes of the tool's position and Euler angles, as in upstream's OpenVLA client."""

    layout = Layout(
        (
            Part("eef_translation", 3, "delta in m from the present pose, world axes"),
            Part("eef_rotation", 3, "delta of the extrinsic xyz Euler angles in rad"),
            Part("gripper", 1, ">= 0.1 opens, else closes"),
        )
    )
    space = spaces.Box(
        np.array([-0.1, -0.1, -0.1, -0.5, -0.5, -0.5, 0], np.float32),
        np.array([0.1, 0.1, 0.1, 0.5, 0.5, 0.5, 1], np.float32),
    )

    def command(self, world: World, solver: Kinematics, action: Action) -> Vector:
        """Add the change to the current pose and solve for the joints."""
        position, matrix = world.tool
        angles = Rotation.from_matrix(matrix).as_euler("xyz")
        return _reach(world, solver, position + action[:3], angles + action[3:6], action[6])

    def action(
        self, world: World, solver: Kinematics, position: Vector, angles: Vector, opens: bool
    ) -> Action:
        """Return the difference to the pose."""
        here, matrix = world.tool
        turns = angles - Rotation.from_matrix(matrix).as_euler("xyz")
        turns = (turns + np.pi) % (2 * np.pi) - np.pi
        return np.array([*(position - here), *turns, opens], np.float32)


class JointTargets(Control):
    """Positions of joints and fingers, the actions of upstream's environment."""

    layout = Layout(
        (
            Part("joint_position", JOINTS, "target in rad"),
            Part("finger_position", 2, "target in m from the middle, 0 closed, 0.04 open"),
        )
    )
    space = spaces.Box(
        np.array([-2.9, -1.77, -2.9, -3.08, -2.9, -0.02, -2.9, 0, 0], np.float32),
        np.array([2.9, 1.77, 2.9, -0.06, 2.9, 3.76, 2.9, 0.04, 0.04], np.float32),
    )

    def command(self, world: World, solver: Kinematics, action: Action) -> Vector:
        """Return the positions; in MuJoCo the second finger opens towards negative values."""
        return action.astype(np.float64) * np.array([1] * (JOINTS + 1) + [-1])

    def action(
        self, world: World, solver: Kinematics, position: Vector, angles: Vector, opens: bool
    ) -> Action:
        """Solve for the joints that reach the pose."""
        rotation = Rotation.from_euler("xyz", angles).as_matrix()
        joints = solver.solve(world.joints, position, rotation)
        return np.array([*joints, *[OPEN if opens else CLOSED] * 2], np.float32)


CONTROLS: dict[str, type[Control]] = {
    "ee_absolute": AbsolutePose,
    "ee_delta": PoseChange,
    "joint": JointTargets,
}
"""The action formats by name."""


def _reach(
    world: World, solver: Kinematics, position: Vector, angles: ArrayLike, gripper: float
) -> Vector:
    rotation = Rotation.from_euler("xyz", angles).as_matrix()
    joints = solver.solve(world.joints, position, rotation)
    opening = OPEN if gripper >= _OPEN_FROM else CLOSED
    return np.array([*joints, opening, -opening])
