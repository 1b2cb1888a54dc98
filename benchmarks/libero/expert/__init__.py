"""A scripted expert for LIBERO that reads the simulator's state and acts without memory.

It shows that a task can be solved, makes demonstrations and serves as an upper reference in
evaluations. It uses positions that no policy can see, but only the actions that a policy has.
"""

from typing import Any

import numpy as np

from benchmarks.libero.expert import articulated, pick_place
from benchmarks.libero.expert.grasp import is_too_flat
from benchmarks.libero.expert.world import OPEN, Predicate, World, hold_still, servo
from harness.contracts.environment import Action

__all__ = ["Expert", "World"]

_PLACEMENTS = ("on", "in")
# Containers are opened before and closed after something is put inside. A stove is turned on
# while its burner is still free, so that the hand has room at the knob.
_ORDER = {"open": 0, "turnon": 1, "turnoff": 1, "on": 2, "in": 2, "close": 3}
# After success the hand rises straight to this height above the robot's base, away from all.
_RETREAT_HEIGHT = 0.30
# With fingers this far apart it has let go of everything.
_FINGERS_OPEN = 0.06


class Expert:
    """Chooses the next action toward the goal of a LIBERO task.

    The action depends on the present state of the simulator alone: no clock, no randomness, no
    memory of earlier calls.

    Args:
        env: The robosuite environment, ``ControlEnv.env``.
    """

    def __init__(self, env: Any) -> None:
        self.world = World(env)

    def act(self) -> Action:
        """Returns a 7-D action in [-1, 1]; after success it retreats and holds still."""
        for predicate in sorted(self.world.goal, key=lambda predicate: _ORDER[predicate[0]]):
            if not self._is_finished(predicate):
                return np.clip(self._pursue(predicate), -1.0, 1.0)
        return self._retreat()

    def _is_finished(self, predicate: Predicate) -> bool:
        """Whether a predicate holds and, for a placement, the hand has let go."""
        if not self.world.holds(predicate):
            return False
        return predicate[0] not in _PLACEMENTS or not self.world.is_grasped(predicate[1])

    def _pursue(self, predicate: Predicate) -> Action:
        """Returns the next action toward one predicate, by the skill that it needs."""
        is_placement = predicate[0] in _PLACEMENTS
        if is_placement and self._is_shut_out(predicate):
            return self._let_in(predicate)
        if is_placement or predicate[0] == "close":
            retreat = articulated.retreat(self.world)
            if retreat is not None:
                return retreat
        if not is_placement or is_too_flat(self.world, predicate[1]):
            return articulated.act(self.world, predicate)
        return pick_place.act(self.world, predicate)

    def _is_shut_out(self, predicate: Predicate) -> bool:
        """Whether the container must first be opened; the hand must be empty to do that."""
        _, name, target = predicate
        if self.world.is_object(target) or self.world.is_grasped(name):
            return False
        if not self.world.is_articulated(target):
            return False
        return not articulated.is_open_enough(self.world, target)

    def _let_in(self, predicate: Predicate) -> Action:
        """Returns the next action that opens a container for an object."""
        _, name, target = predicate
        # An object under the drawer could not be picked up once the drawer is open.
        if articulated.retreat(self.world) is None:
            aside = articulated.make_way(self.world, name, target)
            if aside is not None:
                return aside
        return articulated.act(self.world, ("open", target))

    def _retreat(self) -> Action:
        height = self.world.base_position[2] + _RETREAT_HEIGHT
        position = self.world.eef_position
        if self.world.finger_opening < _FINGERS_OPEN or position[2] > height:
            return hold_still(OPEN)
        return servo(self.world, np.array([*position[:2], height]), None, OPEN)
