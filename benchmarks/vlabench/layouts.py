"""The layouts of actions and states, by the names that protocols use; no simulator in it."""

from harness.contracts.vectors import Layout, Part

JOINTS = 7
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
ACTIONS = {
    "ee_absolute": Layout(
        (
            Part("eef_position", 3, "target in m, from the robot's base, world axes"),
            Part("eef_orientation", 3, "target, extrinsic xyz Euler angles in rad, world"),
            Part("gripper", 1, ">= 0.1 opens, else closes"),
        )
    ),
    "ee_delta": Layout(
        (
            Part("eef_translation", 3, "delta in m from the present pose, world axes"),
            Part("eef_rotation", 3, "delta of the extrinsic xyz Euler angles in rad"),
            Part("gripper", 1, ">= 0.1 opens, else closes"),
        )
    ),
    "joint": Layout(
        (
            Part("joint_position", JOINTS, "target in rad"),
            Part("finger_position", 2, "target in m from the middle, 0 closed, 0.04 open"),
        )
    ),
}
"""The action layouts by name."""
