"""Pushes plates and bowls along the table."""

import numpy as np

from benchmarks.libero.expert.rotations import HOME_YAW, UP, Array
from benchmarks.libero.expert.world import CLOSE, Predicate, World, servo
from harness.contracts.environment import Action

# Height of the finger pads above the dish's underside when the tips touch its floor.
_TOUCH_HEIGHT = 0.018
# The set point lies this far below the floor: the tips press on it and do not slip.
_PRESS = 0.008
# The tips go down this far from the dish's center, on the side of the goal. A dish that is pulled
# from its front follows; a dish that is pushed from behind turns away.
_FORWARD = 0.02
# The tips pass this far above the rim.
_RIM_MARGIN = 0.06
# The set point lies this far ahead of the hand, which sets the speed.
_LEAD = 0.03
# Within this share of the dish's radius, the tips are inside its rim.
_INSIDE = 0.75
# Below this height above the touching height, the hand counts as lowered.
_LOWERED = 0.008
_ABOVE_TOLERANCE = 0.012
_FINGERS_SHUT = 0.01


def push(world: World, predicate: Predicate) -> Action:
    """Return the next action that pushes a plate along the table into a region.

    Args:
        world: The simulation.
        predicate: ``("on", plate, region)``.
    """
    _, name, region = predicate
    return push_toward(world, name, world.position(region))


def push_toward(world: World, name: str, goal: Array) -> Action:
    """Return the next action that pushes a dish along the table toward a point.

    The closed fingers press on the floor of the dish and push against the inside of its rim,
    because there may be no room for a hand behind the dish.

    Args:
        world: The simulation.
        name: A plate or a bowl.
        goal: The goal of its center; only x and y count.
    """
    low, high = world.extent(name)
    center = (low + high) / 2
    center[2] = low[2] + _TOUCH_HEIGHT
    path = goal - center
    path[2] = 0.0
    direction = path / max(float(np.linalg.norm(path)), 1e-6)

    from_center = world.eef_position - center
    ahead, height = float(from_center @ direction), float(from_center[2])
    radius = float((high - low)[:2].min()) / 2
    inside = ahead > 0.0 and np.linalg.norm(from_center[:2]) < _INSIDE * radius
    if inside and height < _LOWERED:
        target = center + (ahead + _LEAD) * direction - _PRESS * UP
        return servo(world, target, HOME_YAW, CLOSE)
    touch = center + _FORWARD * direction
    aside = np.linalg.norm((world.eef_position - touch)[:2])
    if aside < _ABOVE_TOLERANCE and world.finger_opening < _FINGERS_SHUT:
        return servo(world, touch - _PRESS * UP, HOME_YAW, CLOSE)
    above = touch.copy()
    above[2] = high[2] + _RIM_MARGIN
    if world.eef_position[2] < high[2] + _RIM_MARGIN / 2:
        above[:2] = world.eef_position[:2]  # rise over the rim first
    return servo(world, above, HOME_YAW, CLOSE)


def leave_dish(world: World, name: str) -> Action | None:
    """Return the action that lifts the hand out of a dish; None if it is not inside."""
    low, high = world.extent(name)
    position = world.eef_position
    within = np.all((low < position) & (position < high + _RIM_MARGIN / 2 * UP))
    return servo(world, position + 0.1 * UP, HOME_YAW, CLOSE) if within else None
