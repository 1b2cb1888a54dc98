"""Which joint positions put the tool where it shall be: damped least squares."""

import mujoco
import numpy as np

from benchmarks.vlabench.panda import TOOL
from benchmarks.vlabench.world import JOINTS, Vector

ITERATIONS = 100
DAMPING = 1e-3
LONGEST_TURN = 0.2
"""Radians that a joint turns in one iteration at most."""
NEAR, AT_REST = 1e-5, 1e-3
"""Metres and radians that are left over, and radians of the elbow's last swing."""
ELBOW, SWING = 2, 0.5
"""The joint that swings the elbow, and which share of its angle is taken back in an iteration."""


class Kinematics:
    """Solves for joints on a copy of the simulation, so that this one stays as it is."""

    def __init__(self, model: mujoco.MjModel) -> None:
        """Make room for the copy."""
        self._model, self._data = model, mujoco.MjData(model)
        self._tool = self._data.site(TOOL)
        self._low, self._high = model.jnt_range[:JOINTS].T

    def solve(self, joints: Vector, position: Vector, rotation: Vector) -> Vector:
        """Return joints near the given ones with which the tool has this pose, or nearly."""
        joints = joints.copy()
        for _ in range(ITERATIONS):
            self._data.qpos[:JOINTS] = joints
            mujoco.mj_kinematics(self._model, self._data)
            error = np.concatenate(
                [position - self._tool.xpos, turn(self._tool.xmat.reshape(3, 3), rotation)]
            )
            # A joint moves the tool about its axis.
            axes = self._data.xaxis[:JOINTS]
            arms = self._tool.xpos - self._data.xanchor[:JOINTS]
            jacobian = np.hstack([np.cross(axes, arms), axes]).T
            damped = jacobian @ jacobian.T + DAMPING * np.eye(6)
            # Seven joints have one freedom too many: with it the elbow is kept above the hand, so
            # that the arm's posture follows from the tool's pose and not from how it came there.
            swing = np.zeros(JOINTS)
            swing[ELBOW] = -SWING * joints[ELBOW]
            change = swing + jacobian.T @ np.linalg.solve(damped, error - jacobian @ swing)
            if np.abs(error).max() < NEAR and np.abs(change).max() < AT_REST:
                break
            change *= min(1.0, LONGEST_TURN / np.abs(change).max())
            joints = np.clip(joints + change, self._low, self._high)
        return joints


def turn(start: Vector, end: Vector) -> Vector:
    """Return the rotation vector that turns one rotation matrix into another."""
    quaternion, vector = np.empty(4), np.empty(3)
    mujoco.mju_mat2Quat(quaternion, (end @ start.T).ravel())
    mujoco.mju_quat2Vel(vector, quaternion, 1.0)
    return vector
