"""Inverse kinematics by damped least squares."""

import mujoco
import numpy as np

from benchmarks.vlabench.layouts import JOINTS
from benchmarks.vlabench.panda import TOOL
from benchmarks.vlabench.world import Vector

_ITERATIONS = 100
_DAMPING = 1e-3
_MAX_TURN = 0.2
"""The largest rotation of a joint in one iteration, in radians."""
_POSE_TOLERANCE, _JOINT_TOLERANCE = 1e-5, 1e-3
"""The remaining pose error (m, rad) and joint change (rad) at which the iteration stops."""
_ELBOW, _SWING = 2, 0.5
"""The joint that swings the elbow, and the share of its angle that an iteration removes."""


class Kinematics:
    """Solves for joint positions on a copy of the simulation's data."""

    def __init__(self, model: mujoco.MjModel) -> None:
        """Make the copy."""
        self._model, self._data = model, mujoco.MjData(model)
        self._tool = self._data.site(TOOL)
        self._low, self._high = model.jnt_range[:JOINTS].T

    def solve(self, joints: Vector, position: Vector, rotation: Vector) -> Vector:
        """Return joint positions for a tool pose, starting the search from `joints`.

        An unreachable pose gives the positions at which the search ended.
        """
        joints = joints.copy()
        for _ in range(_ITERATIONS):
            self._data.qpos[:JOINTS] = joints
            mujoco.mj_kinematics(self._model, self._data)
            error = np.concatenate(
                [
                    position - self._tool.xpos,
                    rotation_between(self._tool.xmat.reshape(3, 3), rotation),
                ]
            )
            # Each joint rotates the tool about the joint's axis.
            axes = self._data.xaxis[:JOINTS]
            arms = self._tool.xpos - self._data.xanchor[:JOINTS]
            jacobian = np.hstack([np.cross(axes, arms), axes]).T
            damped = jacobian @ jacobian.T + _DAMPING * np.eye(6)
            # Seven joints leave one degree of freedom. It keeps the elbow above the hand, so that
            # the posture depends on the tool's pose and not on the path to it.
            swing = np.zeros(JOINTS)
            swing[_ELBOW] = -_SWING * joints[_ELBOW]
            change = swing + jacobian.T @ np.linalg.solve(damped, error - jacobian @ swing)
            if np.abs(error).max() < _POSE_TOLERANCE and np.abs(change).max() < _JOINT_TOLERANCE:
                break
            change *= min(1.0, _MAX_TURN / np.abs(change).max())
            joints = np.clip(joints + change, self._low, self._high)
        return joints


def rotation_between(start: Vector, end: Vector) -> Vector:
    """Return the rotation vector from one rotation matrix to another."""
    quaternion, vector = np.empty(4), np.empty(3)
    mujoco.mju_mat2Quat(quaternion, (end @ start.T).ravel())
    mujoco.mju_quat2Vel(vector, quaternion, 1.0)
    return vector
