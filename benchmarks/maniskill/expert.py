"""ManiSkill's motion planners as experts that return one action at a time.

A planner plans a motion and follows it without feedback. Here it plans the rest of the motion
again after a perturbation moved the robot off the path.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.expert_thread import Emit, ExpertThread
from harness.contracts.environment import Action

_SOLUTIONS = {
    "PickCube-v1": "pick_cube",
    "StackCube-v1": "stack_cube",
    "PegInsertionSide-v1": "peg_insertion_side",
    "PlaceSphere-v1": "place_sphere",
    "PlugCharger-v1": "plug_charger",
    "PushCube-v1": "push_cube",
    "PullCubeTool-v1": "pull_cube_tool",
    "LiftPegUpright-v1": "lift_peg_upright",
    "PullCube-v1": "pull_cube",
    "StackPyramid-v1": "stack_pyramid",
}
"""The module of each task's planner in `mani_skill.examples.motionplanning.panda.solutions`."""


def has_planner(task: str, sim: Any) -> bool:
    """Return whether ManiSkill has a planner for a task; all of them use joint targets."""
    return task in _SOLUTIONS and sim.control_mode == "pd_joint_pos"


def plan_for(
    task: str, sim: Any, idle: Action, executed: Callable[[], Action]
) -> ExpertThread | None:
    """Return the planner for a task, or None if ManiSkill has none.

    Args:
        task: The task.
        sim: Its simulator.
        idle: The action to return if the planner finds no path at all.
        executed: Returns the last executed action. It differs from the planner's action after a
            perturbation.
    """
    if not has_planner(task, sim):
        return None
    from importlib import import_module

    motion = import_module("mani_skill.examples.motionplanning.base_motionplanner.motionplanner")
    motion.print = _print_nothing  # type: ignore[attr-defined]
    solver = motion.BaseMotionPlanningSolver
    if not isinstance(solver.move_to_pose_with_screw, _Replanned):
        solver.move_to_pose_with_screw = _Replanned(solver.move_to_pose_with_screw)
    package = "mani_skill.examples.motionplanning.panda.solutions"
    solve = import_module(f"{package}.{_SOLUTIONS[task]}").solve
    return ExpertThread(lambda emit: solve(_PlannerEnv(sim, emit, executed), seed=None), idle)


class _PlannerEnv:
    """The environment that a planner steps: it emits each action instead of executing it.

    Attributes:
        moving: Whether the planner follows a motion that can be planned again.
    """

    def __init__(self, sim: Any, emit: Emit, executed: Callable[[], Action]) -> None:
        self.unwrapped = sim
        self._emit, self._executed = emit, executed
        self.moving = self._perturbed = False

    def reset(self, seed: int | None = None) -> None:
        """Do nothing: the episode has already begun."""

    def step(self, action: NDArray[Any]) -> tuple[None, float, bool, bool, dict[str, Any]]:
        """Emit an action and wait until it was executed.

        Raises:
            _Perturbed: A perturbation of the robot ended with the step before this one.
        """
        self._emit(action)
        perturbed = not np.allclose(self._executed(), action, atol=1e-3)
        before, self._perturbed = self._perturbed, perturbed
        if before and not perturbed and self.moving:
            raise _Perturbed
        return None, 0.0, False, False, {}


class _Replanned:
    """A solver's method that moves the robot; it plans again after a perturbation."""

    def __init__(self, method: Callable[..., Any]) -> None:
        self._method = method

    def __get__(self, solver: Any, kind: type) -> Any:
        return self if solver is None else partial(self._move, solver)

    def _move(self, solver: Any, *values: Any, **named: Any) -> Any:
        sim = solver.env
        if not isinstance(sim, _PlannerEnv):  # Other code in this process uses the planner.
            return self._method(solver, *values, **named)
        sim.moving = True
        try:
            while True:
                try:
                    return self._method(solver, *values, **named)
                except _Perturbed:
                    continue
        finally:
            sim.moving = False


class _Perturbed(Exception):  # noqa: N818 - not an error: it ends a motion to plan it again
    pass


def _print_nothing(*words: object) -> None:
    """Replace the planners' `print`."""
