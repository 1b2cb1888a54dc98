"""ManiSkill's motion planners as experts that are asked for one action at a time.

A planner plans a movement and follows it blindly. Here it plans the rest anew once somebody pushed
the robot off the way.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.turns import Give, TurnTaker
from harness.contracts.environment import Action

SOLUTIONS = {
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


def plans(task: str, sim: Any) -> bool:
    """Return whether there is a planner for a task: planners move the Panda by joint targets."""
    return task in SOLUTIONS and sim.control_mode == "pd_joint_pos"


def plan_for(task: str, sim: Any, idle: Action, executed: Callable[[], Action]) -> TurnTaker | None:
    """Return the planner for a task, or None where there is none.

    Args:
        task: The task.
        sim: Its simulator.
        idle: What the planner does if it finds no way to begin.
        executed: Returns the last action, which is another than the planner's if it was pushed.
    """
    if not plans(task, sim):
        return None
    from importlib import import_module

    motion = import_module("mani_skill.examples.motionplanning.base_motionplanner.motionplanner")
    motion.print = _say_nothing  # type: ignore[attr-defined]
    solver = motion.BaseMotionPlanningSolver
    if not isinstance(solver.move_to_pose_with_screw, _Movement):
        solver.move_to_pose_with_screw = _Movement(solver.move_to_pose_with_screw)
    place = "mani_skill.examples.motionplanning.panda.solutions"
    solve = import_module(f"{place}.{SOLUTIONS[task]}").solve
    return TurnTaker(lambda give: solve(_Sim(sim, give, executed), seed=None), idle)


class _Sim:
    """What the planner takes for its environment.

    Attributes:
        moving: Whether it follows a movement, which can be planned anew.
    """

    def __init__(self, sim: Any, give: Give, executed: Callable[[], Action]) -> None:
        self.unwrapped = sim
        self._give, self._executed = give, executed
        self.moving = self._pushed = False

    def reset(self, seed: int | None = None) -> None:
        """Do nothing: the episode has begun."""

    def step(self, action: NDArray[Any]) -> tuple[None, float, bool, bool, dict[str, Any]]:
        """Hand an action over and wait until it was executed.

        Raises:
            _Pushed: The robot was pushed in the steps before this one.
        """
        self._give(action)
        pushed = not np.allclose(self._executed(), action, atol=1e-3)
        before, self._pushed = self._pushed, pushed
        if before and not pushed and self.moving:
            raise _Pushed
        return None, 0.0, False, False, {}


class _Movement:
    """A solver's way of moving somewhere, which is planned anew after a push."""

    def __init__(self, given: Callable[..., Any]) -> None:
        self._given = given

    def __get__(self, solver: Any, kind: type) -> Any:
        return self if solver is None else partial(self._move, solver)

    def _move(self, solver: Any, *values: Any, **named: Any) -> Any:
        sim = solver.env
        if not isinstance(sim, _Sim):  # Somebody else's planner in this process.
            return self._given(solver, *values, **named)
        sim.moving = True
        try:
            while True:
                try:
                    return self._given(solver, *values, **named)
                except _Pushed:
                    continue
        finally:
            sim.moving = False


class _Pushed(Exception):  # noqa: N818 - no error: it unwinds a movement that leads nowhere now
    pass


def _say_nothing(*words: object) -> None:
    """Stand in for the planners' `print`."""
