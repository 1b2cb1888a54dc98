"""ManiSkill's motion planners as experts that are asked for one action at a time."""

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.environment import Action

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


def plan_for(task: str, sim: Any, idle: Action) -> "PlannedExpert | None":
    """Return the planner for a task, or None: planners move the Panda by joint targets only.

    `idle` is what it does if it finds no way to begin.
    """
    if task not in SOLUTIONS or sim.control_mode != "pd_joint_pos":
        return None
    from importlib import import_module

    motion = import_module("mani_skill.examples.motionplanning.base_motionplanner.motionplanner")
    motion.print = _say_nothing  # type: ignore[attr-defined]
    place = "mani_skill.examples.motionplanning.panda.solutions"
    return PlannedExpert(import_module(f"{place}.{SOLUTIONS[task]}").solve, sim, idle)


class PlannedExpert:
    """Runs a planner, which wants to step an environment itself, in a thread that takes turns.

    The planner runs while an action is asked for, and waits inside its step otherwise, so that
    the two threads never touch the simulator at once. When it has given up or is done, its last
    action is repeated.
    """

    def __init__(self, solve: Callable[..., Any], sim: Any, idle: Action) -> None:
        """Prepare to run a planner on the simulator's present episode."""
        self._actions: SimpleQueue[NDArray[Any] | BaseException | None] = SimpleQueue()
        self._turn = _Turn(sim, self._actions)
        self._thread = threading.Thread(target=self._run, args=(solve,), daemon=True)
        self._last = idle
        self._over = False

    def act(self) -> Action:
        """Return the planner's next action."""
        if not self._over:
            if self._thread.ident is None:
                self._thread.start()
            else:
                self._turn.go.release()
            answer = self._actions.get()
            if isinstance(answer, BaseException):
                self._over = True
                raise answer
            self._over = answer is None
            if answer is not None:
                self._last = np.asarray(answer, np.float32)
        return self._last

    def close(self) -> None:
        """Make the planner's thread end."""
        if self._thread.is_alive():
            self._turn.closed = True
            self._turn.go.release()
            self._thread.join()

    def _run(self, solve: Callable[..., Any]) -> None:
        try:
            solve(self._turn, seed=None)
        except _Closed:
            return
        except Exception as error:  # noqa: BLE001 - raised where the action was asked for
            self._actions.put(error)
            return
        self._actions.put(None)


class _Closed(Exception):  # noqa: N818 - no error: it unwinds a planner that nobody waits for
    pass


class _Turn:
    """What the planner takes for its environment."""

    def __init__(self, sim: Any, actions: "SimpleQueue[Any]") -> None:
        self.unwrapped = sim
        self.go = threading.Semaphore(0)
        self.closed = False
        self._actions = actions

    def reset(self, seed: int | None = None) -> None:
        """Do nothing: the episode has begun."""

    def step(self, action: NDArray[Any]) -> tuple[None, float, bool, bool, dict[str, Any]]:
        """Hand an action over and wait until it was executed."""
        self._actions.put(action)
        self.go.acquire()
        if self.closed:
            raise _Closed
        return None, 0.0, False, False, {}


def _say_nothing(*words: object) -> None:
    """Stand in for the planners' `print`."""
