"""RoboTwin's action and state vectors: joint targets or gripper poses of two arms."""

from pathlib import Path
from typing import Any

import numpy as np
import yaml
from gymnasium import spaces

from benchmarks.robotwin.expert import targets
from benchmarks.robotwin.layouts import arm_joints, layout
from harness.contracts.environment import Action

_TABLE_LOW, _TABLE_HIGH = (-0.6, -0.5, 0.75), (0.6, 0.4, 1.3)
"""The bounds for random poses; poses outside them are not clipped."""


class Control:
    """The action and state vectors of one robot."""

    def __init__(self, robot: Path, kind: str) -> None:
        """Read the numbers of joints from an embodiment's folder; `kind` is ``qpos`` or ``ee``."""
        joints = arm_joints(yaml.safe_load((robot / "config.yml").read_text()))
        self._poses = kind == "ee"
        low: list[float] = []
        high: list[float] = []
        for size in joints:
            low += [*_TABLE_LOW, -1, -1, -1, -1, 0] if self._poses else [*[-np.pi] * size, 0]
            high += [*_TABLE_HIGH, 1, 1, 1, 1, 1] if self._poses else [*[np.pi] * size, 1]
        self.layout = layout(kind, joints)
        self.space = spaces.Box(np.array(low, np.float32), np.array(high, np.float32))

    def state(self, task: Any) -> Action:
        """Return the state. As an action, it holds the current pose."""
        if not self._poses:
            return targets(task).astype(np.float32)
        robot = task.robot
        left, right = robot.get_left_ee_pose(), robot.get_right_ee_pose()
        grippers = robot.get_left_gripper_val(), robot.get_right_gripper_val()
        return np.array([*left, grippers[0], *right, grippers[1]], np.float32)
