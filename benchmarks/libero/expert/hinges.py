"""Turns stove knobs and swings microwave doors."""

import math

import numpy as np

from benchmarks.libero.expert import rotations
from benchmarks.libero.expert.fixtures import ALIGNED_TURN, GRIP_SLACK, Door, find_door, find_knob
from benchmarks.libero.expert.rotations import HOME_YAW, UP, Array, yaw_of
from benchmarks.libero.expert.world import CLOSE, OPEN, World, servo
from harness.contracts.environment import Action

# Some stoves stand so near to the robot that an upright hand would fold the elbow to its limit.
# A hand that leans away from the base keeps the wrist far enough out.
_KNOB_TILT = math.radians(30)
# The lower end of the range of yaws from which the wrist can turn a knob over its whole travel of
# 120 degrees, in both directions. One of a parallel gripper's two yaws is always in it.
_LEAST_KNOB_YAW = math.radians(60)
# How far the finger pads go below the top of a knob's ridge, and of a door's handle.
_KNOB_DEPTH = 0.012
_GRIP_DEPTH = 0.02
# How far the hand's set point turns ahead of the part.
_KNOB_LEAD = 0.4
_DOOR_LEAD = 0.3
_SWING_SPEED = 0.6

# Heights above the grip: of the open hand that aligns, and of one that is still far to the side.
_ALIGN_HEIGHT = 0.07
_TRAVEL_HEIGHT = 0.12
_FAR = 0.05
_ALIGNED_OFFSET = 0.012
# Looser limits once the fingers are around the part, which may shift in them.
_AROUND_OFFSET = 0.02
_AROUND_HEIGHT = 0.012
_AROUND_TURN = 0.5
_FINGERS_FREE = 0.06

# The hand pushes a door at its upper edge, so the palm stays above it at every angle.
_PUSH_DEPTH = 0.015
# Where to push, as a share of the width from the hinge: inside the handle, with enough leverage.
_PUSH_SHARE = 0.6
_FINGER_RADIUS = 0.012
_PUSH_LEAD = 0.05
_PUSH_SPEED = 0.8
_PUSH_TOLERANCE = 0.03
# The hand starts this far in front of the door, and passes this far above its upper edge.
_PUSH_STAND_OFF = 0.08
_OVER_DOOR = 0.07


def turn_knob(world: World, fixture: str, direction: float) -> Action:
    """Return the next action that grips a stove's knob from above and turns it.

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
    ahead = np.stack(
        [rotations.rotate_yaw(axis, direction * _KNOB_LEAD) for axis in rotation.T], axis=1
    )
    return servo(world, grip, None, CLOSE, rotation=ahead)


def open_door(world: World, fixture: str) -> Action:
    """Return the next action that grips a microwave's handle from above and swings the door.

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
    """Return the next action that pushes a microwave's door shut from its outer side.

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
    """Return the action that takes the hand off a stove's knob; None if it is free."""
    return _leave_upward(world, *_knob_pose(world, fixture))


def leave_door(world: World, fixture: str) -> Action | None:
    """Return the action that takes the hand off a microwave's handle; None if it is free."""
    return _leave_upward(world, *_door_pose(find_door(world, fixture)))


def _knob_pose(world: World, fixture: str) -> tuple[Array, Array]:
    """Return the hand's pose at a knob: on the knob's axis, so that the hand turns in place."""
    knob = find_knob(world, fixture)
    across = yaw_of(np.cross(UP, knob.along))
    yaw = (across - _LEAST_KNOB_YAW) % math.pi + _LEAST_KNOB_YAW
    grip = knob.axis_point - _KNOB_DEPTH * UP
    return grip, rotations.tilted_rotation(knob.along, _KNOB_TILT, yaw)


def _door_pose(door: Door) -> tuple[Array, Array]:
    """Return the hand's pose at the upper end of a door's handle."""
    yaw = rotations.wrap_yaw(yaw_of(door.along))
    return door.grip - _GRIP_DEPTH * UP, rotations.downward_rotation(yaw)


def _grip_from_above(world: World, grip: Array, rotation: Array, thickness: float) -> Action | None:
    """Return the action that grips a part from above; None if the fingers hold it."""
    offset = world.eef_position - grip
    aside, height = float(np.linalg.norm(offset[:2])), float(offset[2])
    turn = world.turn_to(rotation)
    if aside < _AROUND_OFFSET and height < _AROUND_HEIGHT and turn < _AROUND_TURN:
        if world.finger_opening < thickness + GRIP_SLACK:
            return None
        return servo(world, grip, None, CLOSE, rotation=rotation)
    # Lower down, the fingers are beside the part and guide it, so the tolerance may widen.
    tolerance = _ALIGNED_OFFSET + 0.2 * max(0.0, _ALIGN_HEIGHT - 0.02 - height)
    if aside < tolerance and height < _ALIGN_HEIGHT + 0.02 and turn < ALIGNED_TURN:
        return servo(world, grip, None, OPEN, rotation=rotation)
    above = grip + (_ALIGN_HEIGHT if aside < _FAR else _TRAVEL_HEIGHT) * UP
    return servo(world, above, None, OPEN, rotation=rotation)


def _leave_upward(world: World, grip: Array, rotation: Array) -> Action | None:
    """Return the action that opens the fingers around a part and rises; None if they are clear."""
    offset = world.eef_position - grip
    aside = float(np.linalg.norm(offset[:2]))
    around = aside < _FAR and world.turn_to(rotation) < _AROUND_TURN
    if not around or offset[2] > _ALIGN_HEIGHT:
        return None
    rise = 0.1 * UP if world.finger_opening > _FINGERS_FREE else 0.0 * UP
    return servo(world, world.eef_position + rise, None, OPEN, rotation=rotation)
