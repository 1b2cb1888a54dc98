"""RoboTwin's own experts as experts that are asked for one action at a time.

A task's `play_once` plans each movement from where the robot is and carries it out in small steps
of the physics. Here it runs on the episode's own scene, and its movements are handed over as the
joint targets that a policy could give.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.expert_thread import Emit, ExpertThread

STRIDE = 15
"""Physics steps between two actions: how often RoboTwin records its demonstrations."""
STILL = 50
"""Physics steps that an action takes whose arms do not move."""

Targets = NDArray[np.float64]


def expert_for(task: Any) -> ExpertThread:
    """Return the expert of a task's present episode."""
    return ExpertThread(lambda give: _Playing(task, give).play(), targets(task).astype(np.float32))


def targets(task: Any) -> Targets:
    """Return where both arms and grippers are driven to: RoboTwin's `joint_action.vector`."""
    robot = task.robot
    return np.array(robot.get_left_arm_jointState() + robot.get_right_arm_jointState(), float)


class _Playing:
    """Carries out a task's `play_once` through a policy's actions."""

    def __init__(self, task: Any, give: Emit) -> None:
        self._task, self._give = task, give
        self._arm = len(task.robot.left_arm_joints)

    def play(self) -> None:
        task = self._task
        task.take_dense_action = self._carry_out
        task.together_move_to_pose = self._move_together
        task.play_once()

    def _carry_out(self, control_seq: dict[str, Any], save_freq: int | None = -1) -> bool:
        """Stand in for the loop that steps the physics along planned movements."""
        del save_freq
        for target in waypoints(targets(self._task), control_seq, self._arm):
            self._give(target.astype(np.float32))
        return True

    def _move_together(
        self,
        left_target_pose: Any,
        right_target_pose: Any,
        left_constraint_pose: Any = None,
        right_constraint_pose: Any = None,
        **ignored: Any,
    ) -> None:
        """Stand in for the loop that moves both arms."""
        del ignored
        task = self._task
        plans = {
            "left_arm": task.left_move_to_pose(left_target_pose, left_constraint_pose),
            "right_arm": task.right_move_to_pose(right_target_pose, right_constraint_pose),
        }
        self._carry_out(plans | {"left_gripper": None, "right_gripper": None})


def waypoints(start: Targets, plans: dict[str, Any], arm: int) -> Iterator[Targets]:
    """Yield the joint targets along planned movements, starting from these targets.

    Arms are sampled at every few steps of the physics; grippers that move alone at as many as an
    action takes then.
    """
    places = {
        "left_arm": slice(0, arm),
        "left_gripper": slice(arm, arm + 1),
        "right_arm": slice(arm + 1, -1),
        "right_gripper": slice(-1, None),
    }
    paths = [
        (places[part], plan["position"] if part.endswith("arm") else plan["result"])
        for part, plan in plans.items()
        if plan is not None
    ]
    if not paths:
        return
    steps = max(len(path) for _, path in paths)
    moving = any(plans[part] is not None for part in ("left_arm", "right_arm"))
    now, stride = start.copy(), STRIDE if moving else STILL
    for step in [*range(stride - 1, steps - 1, stride), steps - 1]:
        for place, path in paths:
            now[place] = path[min(step, len(path) - 1)]
        yield now.copy()
