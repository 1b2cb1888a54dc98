"""Turning stove knobs and swinging microwave doors, decided from the state alone."""

import math

import numpy as np

from benchmarks.libero.expert.fixtures import (
    UP,
    Door,
    find_door,
    find_knob,
    rotate_yaw,
    rotation_error,
    tilted_rotation,
    yaw_of,
)
from benchmarks.libero.expert.rotations import HOME_YAW, downward_rotation, wrap_yaw
from benchmarks.libero.expert.world import CLOSE, OPEN, Array, World, servo
from harness.contracts.environment import Action

# Some stoves stand so near to the robot that an upright hand folds the elbow to its limit.
# Leaning away from the base brings the wrist far enough out.
_KNOB_TILT = math.radians(30)
# Of the two yaws of a parallel gripper this range holds the one from which the wrist can turn a
# knob over its whole travel of 120 degrees, in both directions.
_LEAST_KNOB_YAW = math.radians(60)
# The finger pads go this far below the top of a ridge, and of a door's handle.
_KNOB_DEPTH = 0.012
_GRIP_DEPTH = 0.02
# How far ahead of the part the hand's set point turns.
_KNOB_LEAD = 0.4
_DOOR_LEAD = 0.3
_SWING_SPEED = 0.6

# Heights above the grip at which the open hand aligns, and passes while still far to the side.
_ALIGN_HEIGHT = 0.07
_TRAVEL_HEIGHT = 0.12
_FAR = 0.05
_ALIGNED_OFFSET = 0.012
_ALIGNED_TURN = 0.15
# Looser limits once the fingers are around the part, which may shift in them.
_AROUND_OFFSET = 0.02
_AROUND_HEIGHT = 0.012
_AROUND_TURN = 0.5
_GRIP_SLACK = 0.006
_FINGERS_FREE = 0.06

# A door is pushed at its upper edge: the palm stays above it whatever the door's angle is.
_PUSH_DEPTH = 0.015
# Share of the door's width from the hinge: inside the handle, outside the weak lever arm.
_PUSH_SHARE = 0.6
_FINGER_RADIUS = 0.012
_PUSH_LEAD = 0.05
_PUSH_SPEED = 0.8
_PUSH_TOLERANCE = 0.03
# The hand starts this far in front of the door, and passes this far above its upper edge.
_PUSH_STAND_OFF = 0.08
_OVER_DOOR = 0.07


def turn_knob(world: World, fixture: str, direction: float) -> Action:
    """Returns the next action that grips a stove's knob from above and turns it.

    Args:
        world: The simulation.
        fixture: The stove.
        direction: 1.0 to turn it on, -1.0 to turn it off.
    """
    knob = find_knob(world, fixture)
    grip, rotation = _knob_pose(world, fixture)
    approach = _grip_from_above(world, grip, rotation, knob.thickness)
    if approach is not None:
        return approach
    ahead = np.stack([rotate_yaw(axis, direction * _KNOB_LEAD) for axis in rotation.T], axis=1)
    return servo(world, grip, None, CLOSE, rotation=ahead)


def open_door(world: World, fixture: str) -> Action:
    """Returns the next action that grips a microwave's handle from above and swings the door.

    Args:
        world: The simulation.
        fixture: The microwave.
    """
    door = find_door(world, fixture)
    grip, rotation = _door_pose(door)
    approach = _grip_from_above(world, grip, rotation, door.grip_thickness)
    if approach is not None:
        return approach
    arm = float(np.linalg.norm((grip - door.hinge)[:2]))
    goal = grip + math.sin(_DOOR_LEAD) * arm * door.outward
    return servo(world, goal, None, CLOSE, rotation=rotation, max_speed=_SWING_SPEED)


def close_door(world: World, fixture: str) -> Action:
    """Returns the next action that pushes a microwave's door shut from its outer side.

    Args:
        world: The simulation.
        fixture: The microwave.
    """
    door = find_door(world, fixture)
    contact = (
        door.hinge
        + _PUSH_SHARE * door.width * door.along
        + (door.half_thickness + _FINGER_RADIUS) * door.outward
        - _PUSH_DEPTH * UP
    )
    offset = world.eef_position - contact
    depth, sideways, height = offset @ door.outward, abs(offset @ door.along), offset[2]
    if depth > -_FINGER_RADIUS and max(sideways, abs(height)) < _PUSH_TOLERANCE:
        goal = contact - _PUSH_LEAD * door.outward
        return servo(world, goal, HOME_YAW, CLOSE, max_speed=_PUSH_SPEED)
    start = contact + _PUSH_STAND_OFF * door.outward
    if depth < _PUSH_STAND_OFF / 2:
        if height < _OVER_DOOR - 0.02:
            return servo(world, world.eef_position + 0.1 * UP, HOME_YAW, CLOSE)
        start += _OVER_DOOR * UP
    return servo(world, start, HOME_YAW, CLOSE)


def leave_knob(world: World, fixture: str) -> Action | None:
    """Returns the action that takes the hand off a stove's knob, or None when it is free."""
    return _leave_upward(world, *_knob_pose(world, fixture))


def leave_door(world: World, fixture: str) -> Action | None:
    """Returns the action that takes the hand off a microwave's handle, or None when it is free."""
    return _leave_upward(world, *_door_pose(find_door(world, fixture)))


def _knob_pose(world: World, fixture: str) -> tuple[Array, Array]:
    """Where the hand grips a knob: on its axis, so that it turns in place."""
    knob = find_knob(world, fixture)
    across = yaw_of(np.cross(UP, knob.along))
    yaw = (across - _LEAST_KNOB_YAW) % math.pi + _LEAST_KNOB_YAW
    grip = knob.axis_point - _KNOB_DEPTH * UP
    return grip, tilted_rotation(knob.along, _KNOB_TILT, yaw)


def _door_pose(door: Door) -> tuple[Array, Array]:
    """Where the hand grips the upper end of a door's handle."""
    return door.grip - _GRIP_DEPTH * UP, downward_rotation(wrap_yaw(yaw_of(door.along)))


def _grip_from_above(world: World, grip: Array, rotation: Array, thickness: float) -> Action | None:
    """Goes over a part, comes down with open fingers and closes them; None once they hold it."""
    offset = world.eef_position - grip
    aside, height = float(np.linalg.norm(offset[:2])), float(offset[2])
    turn = rotation_error(world, rotation)
    if aside < _AROUND_OFFSET and height < _AROUND_HEIGHT and turn < _AROUND_TURN:
        if world.finger_opening < thickness + _GRIP_SLACK:
            return None
        return servo(world, grip, None, CLOSE, rotation=rotation)
    # Lower down the fingers are beside the part and guide it, so the tolerance may widen.
    tolerance = _ALIGNED_OFFSET + 0.2 * max(0.0, _ALIGN_HEIGHT - 0.02 - height)
    if aside < tolerance and height < _ALIGN_HEIGHT + 0.02 and turn < _ALIGNED_TURN:
        return servo(world, grip, None, OPEN, rotation=rotation)
    above = grip + (_ALIGN_HEIGHT if aside < _FAR else _TRAVEL_HEIGHT) * UP
    return servo(world, above, None, OPEN, rotation=rotation)


def _leave_upward(world: World, grip: Array, rotation: Array) -> Action | None:
    """Opens the fingers around a part, then rises until they are clear of it."""
    offset = world.eef_position - grip
    aside = float(np.linalg.norm(offset[:2]))
    around = aside < _FAR and rotation_error(world, rotation) < _AROUND_TURN
    if not around or offset[2] > _ALIGN_HEIGHT:
        return None
    rise = 0.1 * UP if world.finger_opening > _FINGERS_FREE else 0.0 * UP
    return servo(world, world.eef_position + rise, None, OPEN, rotation=rotation)
