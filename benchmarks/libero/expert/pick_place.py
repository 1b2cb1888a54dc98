"""Picks an object up and puts it on or into a target.

Every step makes the same tests in the same order: is the object held, where is the hand, how far
apart are the fingers. There is no phase variable and no clock. So the expert recovers from
disturbances, and a policy that sees only the present state can imitate it.
"""

import math

import numpy as np

from benchmarks.libero.expert.grasp import Grasp, choose_grasp
from benchmarks.libero.expert.placement import Placement, choose_placement
from benchmarks.libero.expert.rotations import Array, wrap_yaw
from benchmarks.libero.expert.world import CLOSE, OPEN, Predicate, World, hold_still, servo
from harness.contracts.environment import Action

# Fingers faster than this are opening or closing; slower fingers only slip.
_FINGER_MOVING = 0.05
_FINGERS_OPEN = 0.07
_FINGERS_WIDE = 0.065
_FINGERS_SHUT = 0.004
# A hand slower than this has arrived, or an obstacle has stopped it.
_STOPPED = 0.02

# How near the hand must be to a grasp before the fingers close.
_GRASP_TOLERANCE = 0.010
# Closing fingers may push the object this far.
_CLOSING_TOLERANCE = 0.025
_YAW_TOLERANCE = 0.12
# A radian of yaw error counts like this many metres of position error: half the hand's width.
_TURN_LENGTH = 0.1
# A hand that comes from a drawer or a knob is tilted and must first turn down.
_TILT_TOLERANCE = 0.25

# The empty hand's finger tips pass this far above obstacles.
_REACH_MARGIN = 0.04
_HAND_RADIUS = 0.10
# A carried object's bottom passes this far above obstacles.
_CARRY_MARGIN = 0.03
_PLACE_TOLERANCE = 0.010
# The hand releases an object at most this far above its place of rest.
_RELEASE_HEIGHT = 0.004
# Inside this radius the hand may come down. Each metre outside keeps it four metres higher, which
# makes a funnel above the target.
_FUNNEL_SLOPE = 4.0
_FUNNEL_RADIUS = 0.007
# Sideways motion stops when the hand is lower than its goal by this much.
_RISE_MARGIN = 0.03
# The fingers hold a thin rim with a few newtons only; a jerk at lift-off would pull it out.
_GENTLE_SPEED = 0.5
# Fingers nearer than this hold a rim.
_THIN = 0.015


def pick_and_place(world: World, predicate: Predicate) -> Action:
    """Return the next action of a pick-and-place.

    Args:
        world: The simulation.
        predicate: ``("on", object, target)`` or ``("in", object, region)``.
    """
    name = predicate[1]
    if not world.is_grasped(name):
        return reach(world, name)
    if world.finger_speed > _FINGER_MOVING:
        return hold_still(OPEN)
    if world.finger_speed < -_FINGER_MOVING:
        return hold_still(CLOSE)  # both pads touch but do not press yet
    return carry(world, name, choose_placement(world, predicate))


def reach(world: World, name: str) -> Action:
    """Return the next action of an empty hand toward grasping an object."""
    grasp = choose_grasp(world, name)
    if _is_around(world, grasp):
        if _may_close(world):
            return servo(world, grasp.position, grasp.yaw, CLOSE)
        if world.finger_opening < _FINGERS_OPEN:
            return hold_still(OPEN)  # rising before the fingers are open would drag the object
    error = float(np.linalg.norm((grasp.position - world.eef_position)[:2]))
    turn = _yaw_error(world, grasp.yaw)
    ceiling = max(
        grasp.top,
        world.obstacle_height(world.eef_position, grasp.position, _HAND_RADIUS),
    )
    hover = ceiling + _REACH_MARGIN - grasp.position[2]
    misfit = max(error - _FUNNEL_RADIUS, 0.0) + _TURN_LENGTH * max(turn - _YAW_TOLERANCE, 0.0)
    if world.finger_opening < _FINGERS_WIDE or world.tilt > _TILT_TOLERANCE:
        misfit = math.inf
    height = grasp.position[2] + min(hover, _FUNNEL_SLOPE * misfit)
    goal = np.array([*grasp.position[:2], height])
    return servo(world, _rise_before_moving(world.eef_position, goal), grasp.yaw, OPEN)


def carry(world: World, name: str, place: Placement) -> Action:
    """Return the next action of a hand that carries an object to a place."""
    anchor = world.center(name) if place.by_center else world.position(name)
    low, high = world.extent(name)
    offset = place.position[:2] - anchor[:2]
    error = float(np.linalg.norm(offset))
    drop = low[2] - place.position[2]
    turned = place.yaw is None or _yaw_error(world, place.yaw) < _YAW_TOLERANCE
    arrived = error < _PLACE_TOLERANCE and turned
    if arrived and (drop < _RELEASE_HEIGHT or world.is_supported(name)):
        return hold_still(OPEN)
    radius = float(np.max(high[:2] - low[:2])) / 2
    ceiling = world.obstacle_height(anchor, place.position, radius, ignore=[name])
    hover = max(ceiling + _CARRY_MARGIN - place.position[2], 0.0)
    misfit = max(error - _FUNNEL_RADIUS, 0.0) if turned else math.inf
    height = min(hover, _FUNNEL_SLOPE * misfit)
    eef = world.eef_position
    goal = eef + np.array([*offset, height - drop])
    # The object turns only at carrying height, where it cannot hit its neighbours.
    yaw = place.yaw if drop > hover - _CARRY_MARGIN else None
    thin = world.finger_opening < _THIN
    gentle = arrived or (thin and drop < hover - _CARRY_MARGIN)
    speed = _GENTLE_SPEED if gentle else 1.0
    return servo(world, _rise_before_moving(eef, goal), yaw, CLOSE, max_speed=speed)


def _rise_before_moving(position: Array, goal: Array) -> Array:
    """Return a goal that rises first: a hand below its goal must not move sideways."""
    deficit = goal[2] - position[2]
    share = float(np.clip(1.0 - deficit / _RISE_MARGIN, 0.0, 1.0))
    return np.array([*(position[:2] + share * (goal - position)[:2]), goal[2]])


def _yaw_error(world: World, yaw: float) -> float:
    turn = abs(wrap_yaw(yaw) - world.finger_yaw)
    return min(turn, math.pi - turn)


def _is_around(world: World, grasp: Grasp) -> bool:
    """Return whether the fingers can close on the object from where they are."""
    offset = world.eef_position - grasp.position
    sideways = float(np.linalg.norm(offset[:2]))
    closing = world.finger_opening < _FINGERS_OPEN
    if sideways > (_CLOSING_TOLERANCE if closing else _GRASP_TOLERANCE):
        return False
    if offset[2] < (_CLOSING_TOLERANCE if closing else _GRASP_TOLERANCE):
        return True
    stopped = world.hand_speed < _STOPPED
    return stopped and world.eef_position[2] < grasp.top - 0.005


def _may_close(world: World) -> bool:
    """Return whether fingers around an object should close, not open for another attempt."""
    opening = world.finger_speed > _FINGER_MOVING
    shut_on_nothing = world.finger_opening < _FINGERS_SHUT
    return not opening and not shut_on_nothing
