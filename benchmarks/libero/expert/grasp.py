"""Chooses a grasp from above from the scene's geometry.

The grasp is chosen again at every step. It depends on objects and fixtures that stand still until
the fingers touch them, so the choice is stable. When the hand is down around an object, the
nearest grasp is kept, because the object may then move under the fingers.
"""

import itertools
import math
from dataclasses import dataclass

import numpy as np

from benchmarks.libero.expert.rotations import HOME_YAW, Array, wrap_yaw
from benchmarks.libero.expert.world import World

# The pads reach 8 cm apart; this leaves 4 mm on each side for the approach.
_WIDEST_PINCH = 0.072
# The palm sits 2.6 cm above the point between the finger tips and must not touch the object.
_DEPTH_BELOW_TOP = 0.024
# Finger depth at a rim: shallow, to keep the fingers off the bottom and off sloping walls.
_RIM_DEPTH = 0.020
# Finger depth at a lid's knob: it is low, and the finger tips must not hit the lid.
_KNOB_DEPTH = 0.010
# The fingers end 1.2 cm below that point; this keeps them off the table.
_HEIGHT_ABOVE_BOTTOM = 0.014
_ANGLES = 16
# Vertices within this distance of the top belong to the rim, the lid or the knob.
_TOP_BAND = 0.010
# A wide object lower than this has no wall that the fingers can pinch.
_LOWEST_RIM = 0.030
# How far inside the rim's outer edge the hand may stand. With the second value the outer finger
# needs less room, for bowls beside a wall; the closing fingers then shift the bowl.
_WALL_INSETS = (0.004, 0.010)
# Closer than this to a solid, a candidate hand pose is penalised.
_CLEARANCE = 0.02
# Farther from its base the arm is nearly straight and follows small commands badly.
_EASY_REACH = 0.72
# Nearer than this, the hand would push the solid.
_COLLISION = 0.003
# Weights of the score.
_CLEARANCE_COST = 2.0
_COLLISION_COST = 20.0
_TURN_COST = 0.004
_INSET_COST = 1.0
_WIDTH_COST = 0.3
_REACH_COST = 0.3
_KEEP_BONUS = 1.0
_KEEP_RADIUS = 0.03


# Points that sample the open hand, in its frame: along the fingers' axis, across it, and up.
_PALM = list(itertools.product(np.linspace(-0.1, 0.1, 7), (-0.02, 0.02), (0.031,)))
# The back of the hand is also sampled higher up, because the hand comes down through that space.
_BACK = list(itertools.product((-0.1, -0.05, 0, 0.05, 0.1), (-0.035, 0.035), (0.08, 0.13, 0.18)))
_FINGER_TIPS = list(itertools.product((-0.052, 0.052), (-0.008, 0.008), (-0.008,)))
_FINGER_ROOTS = list(itertools.product((-0.062, 0.062), (-0.009, 0.009), (0.022,)))
_WRIST = list(itertools.product((-0.055, 0.055), (-0.055, 0.05, 0.14), (0.14, 0.20)))
_HAND_POINTS = np.array(_WRIST + _BACK + _PALM + _FINGER_TIPS + _FINGER_ROOTS)


@dataclass(frozen=True)
class _Candidate:
    position: Array
    yaw: float
    cost: float


@dataclass(frozen=True)
class Grasp:
    """A pose of the downward hand around an object.

    Attributes:
        position: Point between the finger tips.
        yaw: Direction along which the fingers open.
        top: Height of the object's top.
    """

    position: Array
    yaw: float
    top: float


def choose_grasp(world: World, name: str) -> Grasp:
    """Return the best grasp of an object in the present scene."""
    vertices = world.vertices(name)
    candidates = _candidates(vertices, world.rotation(name))
    positions = np.array([candidate.position for candidate in candidates])
    yaws = np.array([candidate.yaw for candidate in candidates])
    costs = np.array([candidate.cost for candidate in candidates])

    hands = np.stack([_hand_points(p, yaw) for p, yaw in zip(positions, yaws, strict=True)])
    clearances = world.obstacle_distance(hands, ignore=[name]).min(axis=1)
    costs += _CLEARANCE_COST * np.maximum(_CLEARANCE - clearances, 0.0)
    costs += _COLLISION_COST * np.maximum(_COLLISION - clearances, 0.0)
    costs += _TURN_COST * np.abs(yaws - HOME_YAW)
    reaches = np.linalg.norm((positions - world.base_position)[:, :2], axis=1)
    costs += _REACH_COST * np.maximum(reaches - _EASY_REACH, 0.0)
    costs -= _KEEP_BONUS * _is_kept(world, positions, yaws)

    best = int(np.argmin(costs))
    return Grasp(positions[best], float(yaws[best]), float(vertices[:, 2].max()))


def is_too_flat(world: World, name: str) -> bool:
    """Return whether an object is so wide and low that it can only be pushed, such as a plate."""
    vertices = world.vertices(name)
    low = float(np.ptp(vertices[:, 2])) < _LOWEST_RIM
    return low and not _pinches(vertices, world.rotation(name))


def _candidates(vertices: Array, rotation: Array) -> list[_Candidate]:
    """Return grasps across the whole object, else across its lid or knob, else of its rim."""
    across_object = _pinches(vertices, rotation)
    if across_object:
        return across_object
    top = vertices[:, 2].max()
    top_part = vertices[vertices[:, 2] > top - _TOP_BAND]
    return _pinches(top_part, rotation, top - _KNOB_DEPTH) or _rim_grasps(top_part)


def _pinches(vertices: Array, rotation: Array, height: float | None = None) -> list[_Candidate]:
    """Return grasps with one finger on each side of all the vertices."""
    if height is None:
        bottom, top = vertices[:, 2].min(), vertices[:, 2].max()
        height = max(top - _DEPTH_BELOW_TOP, bottom + _HEIGHT_ABOVE_BOTTOM)
    candidates = []
    for angle in np.arange(_ANGLES) * (math.pi / _ANGLES):
        yaw = wrap_yaw(_upright_yaw(rotation) + angle)
        along = np.array([math.cos(yaw), math.sin(yaw)])
        across = np.array([-along[1], along[0]])
        spread, depth = vertices[:, :2] @ along, vertices[:, :2] @ across
        width = float(np.ptp(spread))
        if width > _WIDEST_PINCH:
            continue
        middle = (spread.min() + spread.max()) / 2, (depth.min() + depth.max()) / 2
        position = np.array([*(middle[0] * along + middle[1] * across), height])
        candidates.append(_Candidate(position, yaw, _WIDTH_COST * width))
    return candidates


def _rim_grasps(rim: Array) -> list[_Candidate]:
    """Return grasps of the wall of a hollow object, with one finger inside."""
    center = (rim[:, :2].min(axis=0) + rim[:, :2].max(axis=0)) / 2
    height = rim[:, 2].max() - _RIM_DEPTH
    candidates = []
    for angle in np.arange(_ANGLES) * (2 * math.pi / _ANGLES):
        outward = np.array([math.cos(angle), math.sin(angle)])
        radius = ((rim[:, :2] - center) @ outward).max()
        for inset in _WALL_INSETS:
            position = np.array([*(center + (radius - inset) * outward), height])
            candidates.append(_Candidate(position, wrap_yaw(angle), _INSET_COST * inset))
    return candidates


def _upright_yaw(rotation: Array) -> float:
    """Return the yaw of the object's most horizontal axis; grasps relative to it do not jump."""
    axis = rotation[:, int(np.argmin(np.abs(rotation[2])))]
    return math.atan2(axis[1], axis[0])


def _hand_points(position: Array, yaw: float) -> Array:
    """Return world positions that sample the surface of the open hand."""
    along = np.array([math.cos(yaw), math.sin(yaw), 0.0])
    across = np.array([-along[1], along[0], 0.0])
    up = np.array([0.0, 0.0, 1.0])
    return position + _HAND_POINTS @ np.stack([along, across, up])


def _is_kept(world: World, positions: Array, yaws: Array) -> Array:
    """Return 1 for grasps that the hand is already around, else 0."""
    near = np.linalg.norm(positions - world.eef_position, axis=1) < _KEEP_RADIUS
    turn = np.abs(yaws - world.finger_yaw)
    aligned = np.minimum(turn, math.pi - turn) < math.pi / _ANGLES
    return (near & aligned).astype(float)
