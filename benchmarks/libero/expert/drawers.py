"""Opening and closing the drawers of a cabinet, decided from the state alone."""

import math

import numpy as np

from benchmarks.libero.expert.fixtures import (
    UP,
    Handle,
    find_handle,
    rotation_error,
    tilted_rotation,
    yaw_of,
)
from benchmarks.libero.expert.rotations import wrap_yaw
from benchmarks.libero.expert.world import CLOSE, OPEN, Array, World, servo
from harness.contracts.environment import Action

# The gap behind a bar is 16 mm deep and the next bar is 7 cm above: only in a hand that is level
# do both finger tips fit around the bar.
_LEVEL_TILT = math.radians(88)
# A hand that leans less keeps the wrist off what stands in front of the cabinet, and one that
# leans more keeps the palm off the bars above. This serves both down to the lowest drawer.
_PUSH_TILT = math.radians(28)

# The hand waits this far in front of the bar until it is aligned.
_STAND_OFF = 0.09
# Nearer than this the fingers could reach over or behind the bar.
_IN_FRONT = 0.02
# A hand over an open drawer leaves at this height above the bar, over the drawer's contents.
_OVER_DRAWER = 0.13
_ALIGNED_TURN = 0.15
_ALIGNED_OFFSET = 0.01
# Contact turns the hand and shifts it a little: these are the limits once it is at the bar.
_CONTACT_TURN = 0.3
_CONTACT_OFFSET = 0.02
_CONTACT_DEPTH = 0.015
# The fingers close when the bar is this deep between them.
_GRIP_DEPTH = 0.008
_GRIP_SLACK = 0.006
_PUSH_OFFSET = 0.03

# The set point lies this far beyond the hand while it pulls or pushes.
_LEAD = 0.1
_PUSH_LEAD = 0.04
_REACH_SPEED = 0.5
_DRAG_SPEED = 0.6

# A hand that holds the bar pulls until this little of the travel is left: farther out the drawer
# would cover what stands in front of the cabinet.
_TRAVEL_LEFT = 0.018
# Once left alone the drawer may be pushed back so far in passing: a bowl still fits in.
_PUSHED_BACK = 0.02
# Objects within this distance beside the bar are in the way of a drawer that opens. They are
# pushed a little farther than needed.
_SHADOW_WIDTH = 0.2
_SHADOW_MARGIN = 0.02
# Within this distance in front of the bar a level hand is still hooked on it.
_HOOKED_DEPTH = 0.1
_HOOKED_OFFSET = 0.05
_FINGERS_FREE = 0.05


def open_drawer(world: World, region: str) -> Action:
    """Returns the next action that grips a drawer's bar from the front and pulls.

    Args:
        world: The simulation.
        region: The drawer's region, such as ``cabinet_1_top_region``.
    """
    handle = find_handle(world, region)
    rotation = _level_rotation(handle)
    depth, offset = _offset_from(world, handle)
    turn = rotation_error(world, rotation)
    at_bar = offset < _CONTACT_OFFSET and abs(depth) < _CONTACT_DEPTH and turn < _CONTACT_TURN
    if at_bar and abs(world.finger_opening - handle.thickness) < _GRIP_SLACK:
        goal = handle.center + _LEAD * handle.outward
        return servo(world, goal, None, CLOSE, rotation=rotation, max_speed=_DRAG_SPEED)
    if at_bar and abs(depth) < _GRIP_DEPTH:
        return servo(world, handle.center, None, CLOSE, rotation=rotation)
    # Nearer to the bar the fingers are a guide, so the tolerance may widen.
    tolerance = _ALIGNED_OFFSET + 0.1 * max(0.0, _STAND_OFF - depth)
    if offset < tolerance and depth < _STAND_OFF + 0.03 and turn < _ALIGNED_TURN:
        return servo(world, handle.center, None, OPEN, rotation=rotation, max_speed=_REACH_SPEED)
    return _stand_off(world, handle, rotation, OPEN)


def close_drawer(world: World, region: str) -> Action:
    """Returns the next action that pushes a drawer shut with the closed fingers on its bar.

    Args:
        world: The simulation.
        region: The drawer's region, such as ``cabinet_1_top_region``.
    """
    handle = find_handle(world, region)
    rotation = tilted_rotation(
        handle.outward, _PUSH_TILT, wrap_yaw(yaw_of(handle.outward) + math.pi / 2)
    )
    depth, offset = _offset_from(world, handle)
    turn = rotation_error(world, rotation)
    if depth > 0.0 and offset < _PUSH_OFFSET and turn < _CONTACT_TURN:
        goal = handle.center - _PUSH_LEAD * handle.outward
        return servo(world, goal, None, CLOSE, rotation=rotation, max_speed=_DRAG_SPEED)
    return _stand_off(world, handle, rotation, CLOSE)


def is_pulled_out(world: World, region: str) -> bool:
    """Whether a drawer is open wide enough to put something in.

    While the hand holds the bar this asks for more than when the drawer was left alone, so that
    a hand that brushes the drawer later need not open it again.

    Args:
        world: The simulation.
        region: The drawer's region.
    """
    handle = find_handle(world, region)
    enough = handle.travel - _TRAVEL_LEFT
    if not _is_hooked(world, handle):
        enough -= _PUSHED_BACK
    return handle.opened > enough


def way_out(world: World, name: str, region: str) -> Array | None:
    """Returns where an object must go before a drawer opens, or None when it can stay.

    An opened drawer hangs over what stands close in front of the cabinet, so that no hand gets
    to it from above.

    Args:
        world: The simulation.
        name: The object.
        region: The drawer's region.
    """
    handle = find_handle(world, region)
    low, high = world.extent(name)
    difference = world.position(name) - handle.center
    reach = handle.travel - handle.opened + float((high - low)[:2].max()) / 2
    depth = float(difference @ handle.outward)
    sideways = abs(float(difference @ np.cross(UP, handle.outward)))
    if depth > reach or sideways > _SHADOW_WIDTH:
        return None
    return world.position(name) + (reach + _SHADOW_MARGIN - depth) * handle.outward


def leave_drawer(world: World, region: str) -> Action | None:
    """Returns the action that takes the hand off a drawer's bar, or None when it is free of it."""
    handle = find_handle(world, region)
    if not _is_hooked(world, handle):
        return None
    rotation = _level_rotation(handle)
    goal = world.eef_position
    if world.finger_opening > _FINGERS_FREE:
        goal = goal + _LEAD * handle.outward
    return servo(world, goal, None, OPEN, rotation=rotation)


def _level_rotation(handle: Handle) -> Array:
    """Hand rotation that points at the cabinet with one finger above the other."""
    return tilted_rotation(handle.outward, _LEVEL_TILT, wrap_yaw(yaw_of(handle.outward)))


def _offset_from(world: World, handle: Handle) -> tuple[float, float]:
    """How far the hand is in front of the bar, and how far off the line through its center."""
    difference = world.eef_position - handle.center
    depth = float(difference @ handle.outward)
    return depth, float(np.linalg.norm(difference - depth * handle.outward))


def _is_hooked(world: World, handle: Handle) -> bool:
    depth, offset = _offset_from(world, handle)
    level = rotation_error(world, _level_rotation(handle)) < _CONTACT_TURN
    return level and offset < _HOOKED_OFFSET and -_IN_FRONT < depth < _HOOKED_DEPTH


def _stand_off(world: World, handle: Handle, rotation: Array, gripper: float) -> Action:
    """Goes to the place in front of the bar, around the drawer if the hand is over it."""
    depth, _ = _offset_from(world, handle)
    height = world.eef_position[2] - handle.center[2]
    if depth < _IN_FRONT:
        if height < _OVER_DRAWER - 0.02:
            return servo(world, world.eef_position + 0.1 * UP, None, OPEN)
        goal = handle.center + (_STAND_OFF + 0.03) * handle.outward + _OVER_DRAWER * UP
        return servo(world, goal, None, OPEN)
    goal = handle.center + _STAND_OFF * handle.outward
    if depth < _STAND_OFF - 0.02:
        goal[2] = world.eef_position[2]  # back off before coming down beside the bar
    return servo(world, goal, None, gripper, rotation=rotation)
