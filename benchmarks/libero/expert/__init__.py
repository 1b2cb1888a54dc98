"""A scripted expert for LIBERO that reads the simulator's state and has no memory.

It shows that a task can be solved, records demonstrations, and is an upper reference in
evaluations. It reads positions that no policy sees, but uses only a policy's actions.
"""

from typing import Any

import numpy as np

from benchmarks.libero.expert import articulated, pick_place
from benchmarks.libero.expert.grasp import is_too_flat
from benchmarks.libero.expert.world import OPEN, Predicate, World, hold_still, servo
from harness.contracts.environment import Action

_PLACEMENTS = ("on", "in")
# A container is opened before an object is put inside, and closed afterwards. A stove is turned on
# while its burner is still free, so that the hand has room at the knob.
_ORDER = {"open": 0, "turnon": 1, "turnoff": 1, "on": 2, "in": 2, "close": 3}
# After success the hand rises to this height above the robot's base, away from all objects.
_RETREAT_HEIGHT = 0.30
# Fingers this far apart, in metres, hold nothing.
_FINGERS_OPEN = 0.06


class LiberoExpert:
    """Chooses the next action toward the goal of a LIBERO task.

    The action depends only on the simulator's present state: no clock, no randomness, no memory of
    earlier calls.

    Args:
        env: The robosuite environment, ``ControlEnv.env``.
    """

    def __init__(self, env: Any) -> None:
        self.world = World(env)

    def act(self) -> Action:
        """Return a 7-D action in [-1, 1]; after success the hand retreats and holds still."""
        for predicate in sorted(self.world.goal, key=lambda predicate: _ORDER[predicate[0]]):
            if not self._is_finished(predicate):
                return np.clip(self._pursue(predicate), -1.0, 1.0)
        return self._retreat()

    def _is_finished(self, predicate: Predicate) -> bool:
        """Return whether a predicate holds and, for a placement, the hand is off the object."""
        if not self.world.holds(predicate):
            return False
        return predicate[0] not in _PLACEMENTS or not self.world.is_grasped(predicate[1])

    def _pursue(self, predicate: Predicate) -> Action:
        """Return the next action toward one predicate."""
        is_placement = predicate[0] in _PLACEMENTS
        if is_placement and self._is_shut_out(predicate):
            return self._let_in(predicate)
        if is_placement or predicate[0] == "close":
            retreat = articulated.retreat(self.world)
            if retreat is not None:
                return retreat
        if not is_placement or is_too_flat(self.world, predicate[1]):
            return articulated.operate(self.world, predicate)
        return pick_place.pick_and_place(self.world, predicate)

    def _is_shut_out(self, predicate: Predicate) -> bool:
        """Return whether the hand is empty and must first open the target container."""
        _, name, target = predicate
        if self.world.is_object(target) or self.world.is_grasped(name):
            return False
        if not self.world.is_articulated(target):
            return False
        return not articulated.is_open_enough(self.world, target)

    def _let_in(self, predicate: Predicate) -> Action:
        """Return the next action that opens a container for an object."""
        _, name, target = predicate
        # The hand could not pick up an object that the open drawer covers.
        if articulated.retreat(self.world) is None:
            aside = articulated.make_way(self.world, name, target)
            if aside is not None:
                return aside
        return articulated.operate(self.world, ("open", target))

    def _retreat(self) -> Action:
        height = self.world.base_position[2] + _RETREAT_HEIGHT
        position = self.world.eef_position
        if self.world.finger_opening < _FINGERS_OPEN or position[2] > height:
            return hold_still(OPEN)
        return servo(self.world, np.array([*position[:2], height]), None, OPEN)
