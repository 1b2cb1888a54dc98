"""Opens and closes the drawers of a cabinet."""

import math

import numpy as np

from benchmarks.libero.expert.fixtures import ALIGNED_TURN, GRIP_SLACK, Handle, find_handle
from benchmarks.libero.expert.rotations import UP, Array, tilted_rotation, wrap_yaw, yaw_of
from benchmarks.libero.expert.world import CLOSE, OPEN, World, servo
from harness.contracts.environment import Action

# The gap behind a bar is 16 mm deep and the next bar is 7 cm above. Only a level hand gets both
# finger tips around the bar.
_LEVEL_TILT = math.radians(88)
# A steeper hand keeps the wrist off objects in front of the cabinet; a flatter hand keeps the palm
# off the bars above. This tilt does both, down to the lowest drawer.
_PUSH_TILT = math.radians(28)

# The hand aligns this far in front of the bar.
_STAND_OFF = 0.09
# Nearer than this, the fingers could reach over or behind the bar.
_IN_FRONT = 0.02
# A hand over an open drawer leaves at this height above the bar, above the drawer's contents.
_OVER_DRAWER = 0.13
_ALIGNED_OFFSET = 0.01
# Contact turns and shifts the hand a little. These limits apply when it is at the bar.
_CONTACT_TURN = 0.3
_CONTACT_OFFSET = 0.02
_CONTACT_DEPTH = 0.015
# The fingers close when the bar is this deep between them.
_GRIP_DEPTH = 0.008
_PUSH_OFFSET = 0.03

# The set point lies this far beyond the hand while it pulls or pushes.
_LEAD = 0.1
_PUSH_LEAD = 0.04
_REACH_SPEED = 0.5
_DRAG_SPEED = 0.6

# A hand that holds the bar pulls until this much of the travel is left. Farther out, the drawer
# would cover objects in front of the cabinet.
_TRAVEL_LEFT = 0.018
# The hand may later push the drawer back this far in passing; a bowl still fits in.
_PUSHED_BACK = 0.02
# Objects within this distance beside the bar block a drawer that opens. The hand pushes them a
# little farther than needed.
_SHADOW_WIDTH = 0.2
_SHADOW_MARGIN = 0.02
# Within this distance in front of the bar, a level hand is still hooked on it.
_HOOKED_DEPTH = 0.1
_HOOKED_OFFSET = 0.05
_FINGERS_FREE = 0.05


def open_drawer(world: World, region: str) -> Action:
    """Return the next action that grips a drawer's bar from the front and pulls.

    Args:
        world: The simulation.
        region: The drawer's region, such as ``cabinet_1_top_region``.
    """
    handle = find_handle(world, region)
    rotation = _level_rotation(handle)
    depth, offset = _offset_from(world, handle)
    turn = world.turn_to(rotation)
    at_bar = offset < _CONTACT_OFFSET and abs(depth) < _CONTACT_DEPTH and turn < _CONTACT_TURN
    if at_bar and abs(world.finger_opening - handle.thickness) < GRIP_SLACK:
        goal = handle.center + _LEAD * handle.outward
        return servo(world, goal, None, CLOSE, rotation=rotation, max_speed=_DRAG_SPEED)
    if at_bar and abs(depth) < _GRIP_DEPTH:
        return servo(world, handle.center, None, CLOSE, rotation=rotation)
    # Near the bar the fingers guide the hand, so the tolerance may widen.
    tolerance = _ALIGNED_OFFSET + 0.1 * max(0.0, _STAND_OFF - depth)
    if offset < tolerance and depth < _STAND_OFF + 0.03 and turn < ALIGNED_TURN:
        return servo(world, handle.center, None, OPEN, rotation=rotation, max_speed=_REACH_SPEED)
    return _stand_off(world, handle, rotation, OPEN)


def close_drawer(world: World, region: str) -> Action:
    """Return the next action that pushes a drawer shut with the closed fingers on its bar.

    Args:
        world: The simulation.
        region: The drawer's region, such as ``cabinet_1_top_region``.
    """
    handle = find_handle(world, region)
    rotation = tilted_rotation(
        handle.outward, _PUSH_TILT, wrap_yaw(yaw_of(handle.outward) + math.pi / 2)
    )
    depth, offset = _offset_from(world, handle)
    turn = world.turn_to(rotation)
    if depth > 0.0 and offset < _PUSH_OFFSET and turn < _CONTACT_TURN:
        goal = handle.center - _PUSH_LEAD * handle.outward
        return servo(world, goal, None, CLOSE, rotation=rotation, max_speed=_DRAG_SPEED)
    return _stand_off(world, handle, rotation, CLOSE)


def is_pulled_out(world: World, region: str) -> bool:
    """Return whether a drawer is open wide enough to put something in.

    While the hand holds the bar, the limit is stricter. So a hand that brushes the drawer later
    need not open it again.

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
    """Return where an object must go before a drawer opens; None if it can stay.

    An open drawer covers objects close to the cabinet, so the hand could not reach them from
    above.

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
    """Return the action that takes the hand off a drawer's bar; None if it is free."""
    handle = find_handle(world, region)
    if not _is_hooked(world, handle):
        return None
    rotation = _level_rotation(handle)
    goal = world.eef_position
    if world.finger_opening > _FINGERS_FREE:
        goal = goal + _LEAD * handle.outward
    return servo(world, goal, None, OPEN, rotation=rotation)


def _level_rotation(handle: Handle) -> Array:
    """Return the rotation of a hand that points at the cabinet, one finger above the other."""
    return tilted_rotation(handle.outward, _LEVEL_TILT, wrap_yaw(yaw_of(handle.outward)))


def _offset_from(world: World, handle: Handle) -> tuple[float, float]:
    """Return the hand's distance in front of the bar, and sideways from the bar's path."""
    difference = world.eef_position - handle.center
    depth = float(difference @ handle.outward)
    return depth, float(np.linalg.norm(difference - depth * handle.outward))


def _is_hooked(world: World, handle: Handle) -> bool:
    depth, offset = _offset_from(world, handle)
    level = world.turn_to(_level_rotation(handle)) < _CONTACT_TURN
    return level and offset < _HOOKED_OFFSET and -_IN_FRONT < depth < _HOOKED_DEPTH


def _stand_off(world: World, handle: Handle, rotation: Array, gripper: float) -> Action:
    """Return the action toward the bar's front, around the drawer if the hand is above it."""
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
