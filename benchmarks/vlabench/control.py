"""The formats of actions and states, by the names that protocols use."""

from abc import ABC, abstractmethod

import numpy as np
from gymnasium import spaces
from numpy.typing import ArrayLike
from scipy.spatial.transform import Rotation

from benchmarks.vlabench.kinematics import Kinematics
from benchmarks.vlabench.layouts import JOINTS
from benchmarks.vlabench.panda import BASE, CLOSED, OPEN
from benchmarks.vlabench.world import Vector, World, from_base
from harness.contracts.environment import Action

_OPEN_FROM = 0.1
"""The smallest gripper value at which upstream's clients open the gripper."""


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
"""The action formats by name; `layouts.ACTIONS` says what their numbers mean."""


def _reach(
    world: World, solver: Kinematics, position: Vector, angles: ArrayLike, gripper: float
) -> Vector:
    rotation = Rotation.from_euler("xyz", angles).as_matrix()
    joints = solver.solve(world.joints, position, rotation)
    opening = OPEN if gripper >= _OPEN_FROM else CLOSED
    return np.array([*joints, opening, -opening])
