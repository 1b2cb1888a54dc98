"""RoboTwin's experts, as experts that return one action at a time.

A task's `play_once` plans each movement from the current state and executes it in physics steps.
Here it runs on the episode's scene, and each movement becomes joint targets, as a policy gives.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.expert_thread import Emit, ExpertThread

_STRIDE = 15
"""Physics steps between two actions, as in RoboTwin's demonstrations."""
_STILL = 50
"""Physics steps of an action in which only grippers move."""

_Targets = NDArray[np.float64]


def expert_for(task: Any) -> ExpertThread:
    """Return the expert for a task's current episode."""
    return ExpertThread(lambda emit: _Playing(task, emit).play(), targets(task).astype(np.float32))


def targets(task: Any) -> _Targets:
    """Return the targets of arms and grippers, RoboTwin's `joint_action.vector`."""
    robot = task.robot
    return np.array(robot.get_left_arm_jointState() + robot.get_right_arm_jointState(), float)


class _Playing:
    """Runs a task's `play_once` and emits its movements as actions."""

    def __init__(self, task: Any, emit: Emit) -> None:
        self._task, self._emit = task, emit
        self._arm = len(task.robot.left_arm_joints)

    def play(self) -> None:
        task = self._task
        task.take_dense_action = self._execute
        task.together_move_to_pose = self._move_together
        task.play_once()

    def _execute(self, control_seq: dict[str, Any], save_freq: int | None = -1) -> bool:
        """Replace the loop that steps the physics along planned movements."""
        del save_freq
        for target in _waypoints(targets(self._task), control_seq, self._arm):
            self._emit(target.astype(np.float32))
        return True

    def _move_together(
        self,
        left_target_pose: Any,
        right_target_pose: Any,
        left_constraint_pose: Any = None,
        right_constraint_pose: Any = None,
        **ignored: Any,
    ) -> None:
        """Replace the loop that moves both arms."""
        del ignored
        task = self._task
        plans = {
            "left_arm": task.left_move_to_pose(left_target_pose, left_constraint_pose),
            "right_arm": task.right_move_to_pose(right_target_pose, right_constraint_pose),
        }
        self._execute(plans | {"left_gripper": None, "right_gripper": None})


def _waypoints(start: _Targets, plans: dict[str, Any], arm: int) -> Iterator[_Targets]:
    """Yield the joint targets along planned movements.

    Movements of arms are sampled every `_STRIDE` physics steps, those of grippers alone every
    `_STILL` steps.
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
    now, stride = start.copy(), _STRIDE if moving else _STILL
    for step in [*range(stride - 1, steps - 1, stride), steps - 1]:
        for place, path in paths:
            now[place] = path[min(step, len(path) - 1)]
        yield now.copy()
