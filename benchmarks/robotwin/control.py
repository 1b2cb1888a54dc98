"""What RoboTwin's actions and states mean: joint targets or poses, for any two arms."""

from pathlib import Path
from typing import Any

import numpy as np
import yaml
from gymnasium import spaces

from benchmarks.robotwin.expert import targets
from harness.contracts.environment import Action
from harness.contracts.vectors import Layout, Part

GRIPPER = "0 closed, 1 open"
TABLE_LOW, TABLE_HIGH = (-0.6, -0.5, 0.75), (0.6, 0.4, 1.3)
"""What is above the table: for who draws poses at random; nothing is clipped."""


class Control:
    """The vectors of one robot under one kind of control."""

    def __init__(self, robot: Path, kind: str) -> None:
        """Read how many joints the arms of an embodiment's folder have; `kind` is qpos or ee."""
        config = yaml.safe_load((robot / "config.yml").read_text())
        sizes = [len(names) for names in config["arm_joints_name"]]
        self._poses = kind == "ee"
        parts: list[Part] = []
        low: list[float] = []
        high: list[float] = []
        for side, size in zip(("left", "right"), sizes, strict=True):
            if self._poses:
                parts.append(Part(f"{side}_position", 3, "m, world, 0.12 behind the fingertips"))
                parts.append(Part(f"{side}_quaternion", 4, "wxyz, world"))
                low += [*TABLE_LOW, -1, -1, -1, -1]
                high += [*TABLE_HIGH, 1, 1, 1, 1]
            else:
                parts.append(Part(f"{side}_arm_joints", size, "rad, absolute, driven to"))
                low += [-np.pi] * size
                high += [np.pi] * size
            parts.append(Part(f"{side}_gripper", 1, GRIPPER))
            low.append(0)
            high.append(1)
        self.layout = self.state_layout = Layout(tuple(parts))
        self.space = spaces.Box(np.array(low, np.float32), np.array(high, np.float32))

    def state(self, task: Any) -> Action:
        """Return the state, which is also the action that stays there."""
        if not self._poses:
            return targets(task).astype(np.float32)
        robot = task.robot
        left, right = robot.get_left_ee_pose(), robot.get_right_ee_pose()
        grippers = robot.get_left_gripper_val(), robot.get_right_gripper_val()
        return np.array([*left, grippers[0], *right, grippers[1]], np.float32)
