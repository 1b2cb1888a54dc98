"""The layouts of actions and states of a two-armed robot; no simulator in it."""

from collections.abc import Mapping, Sequence
from typing import Any

from harness.contracts.vectors import Layout, Part

SIDES = ("left", "right")
_GRIPPER = "0 closed, 1 open"


def arm_joints(embodiment: Mapping[str, Any]) -> list[int]:
    """Return the number of joints of each arm from an embodiment's description."""
    return [len(names) for names in embodiment["arm_joints_name"]]


def layout(control: str, joints: Sequence[int]) -> Layout:
    """Return the layout of both actions and states.

    Args:
        control: ``qpos`` for joint targets, or ``ee`` for gripper poses.
        joints: The number of joints of each arm.
    """
    parts: list[Part] = []
    for side, size in zip(SIDES, joints, strict=True):
        if control == "ee":
            parts.append(Part(f"{side}_position", 3, "m, world, 0.12 behind the fingertips"))
            parts.append(Part(f"{side}_quaternion", 4, "wxyz, world"))
        else:
            parts.append(Part(f"{side}_arm_joints", size, "rad, absolute, driven to"))
        parts.append(Part(f"{side}_gripper", 1, _GRIPPER))
    return Layout(tuple(parts))
