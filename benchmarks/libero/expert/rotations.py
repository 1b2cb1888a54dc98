"""Rotations of a two-finger hand."""

import math

import mujoco
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

UP = np.array([0.0, 0.0, 1.0])
# Fingers open along world y in the robot's home pose.
HOME_YAW = math.pi / 2
# The wrist starts 45 degrees off its centre, so it can turn farther to this side. An asymmetric
# range also keeps the common grasps at +-90 degrees away from the point where yaws wrap.
_MOST_NEGATIVE_TURN = math.radians(-80)


def wrap_yaw(yaw: float) -> float:
    """Return the equivalent finger-axis yaw (modulo pi) that the wrist reaches most easily.

    A parallel gripper is symmetric under half a turn. The choice does not depend on the hand's
    present pose, so the target does not flip while the hand moves.
    """
    start = HOME_YAW + _MOST_NEGATIVE_TURN
    return (yaw - start) % math.pi + start


def downward_rotation(yaw: float) -> Array:
    """Return the hand rotation that points down with the fingers opening along ``yaw``."""
    fingers = np.array([math.cos(yaw), math.sin(yaw), 0.0])
    approach = np.array([0.0, 0.0, -1.0])
    return np.stack([fingers, np.cross(approach, fingers), approach], axis=1)


def rotation_between(current: Array, target: Array) -> Array:
    """Return the rotation vector (radians, world frame) that turns ``current`` to ``target``."""
    difference = target @ current.T
    angle = math.acos(float(np.clip((np.trace(difference) - 1) / 2, -1.0, 1.0)))
    axis = np.array(
        [
            difference[2, 1] - difference[1, 2],
            difference[0, 2] - difference[2, 0],
            difference[1, 0] - difference[0, 1],
        ]
    )
    length = float(np.linalg.norm(axis))
    if length < 1e-9:
        return np.zeros(3)
    return axis * (angle / length)


def tilted_rotation(outward: Array, tilt: float, finger_yaw: float) -> Array:
    """Return the rotation of a hand that leans back along ``outward``.

    Args:
        outward: Horizontal unit vector from which the hand comes.
        tilt: Angle from pointing down (0) to pointing along ``-outward`` (pi / 2).
        finger_yaw: Yaw of the finger axis before the hand is tilted.
    """
    quaternion, matrix = np.zeros(4), np.zeros(9)
    mujoco.mju_axisAngle2Quat(quaternion, np.cross(UP, outward), tilt)
    mujoco.mju_quat2Mat(matrix, quaternion)
    return matrix.reshape(3, 3) @ downward_rotation(finger_yaw)


def rotate_yaw(vector: Array, angle: float) -> Array:
    """Return a vector turned about the vertical axis."""
    cosine, sine = math.cos(angle), math.sin(angle)
    return np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]]) @ vector


def yaw_of(direction: Array) -> float:
    """Return the yaw of a horizontal direction."""
    return math.atan2(direction[1], direction[0])
