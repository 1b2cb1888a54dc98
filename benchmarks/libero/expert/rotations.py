"""Rotations of a hand with two fingers."""

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Fingers open along world y in the robot's home pose.
HOME_YAW = math.pi / 2
# The wrist starts 45 degrees off its centre, so it has more room on this side. A range that is
# not symmetric also keeps the common grasps at +-90 degrees away from the wrapping point.
_MOST_NEGATIVE_TURN = math.radians(-80)


def wrap_yaw(yaw: float) -> float:
    """Returns the finger-axis yaw, equal modulo pi, that the wrist reaches most easily.

    A parallel gripper is symmetric under half a turn. The choice depends on the yaw alone, never
    on the current hand, so that the target does not flip while the hand moves.
    """
    start = HOME_YAW + _MOST_NEGATIVE_TURN
    return (yaw - start) % math.pi + start


def downward_rotation(yaw: float) -> Array:
    """Returns the hand rotation that points down with the fingers opening along ``yaw``."""
    fingers = np.array([math.cos(yaw), math.sin(yaw), 0.0])
    approach = np.array([0.0, 0.0, -1.0])
    return np.stack([fingers, np.cross(approach, fingers), approach], axis=1)


def rotation_between(current: Array, target: Array) -> Array:
    """Returns the rotation vector (radians, world frame) that turns ``current`` to ``target``."""
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
