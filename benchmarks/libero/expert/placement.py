"""Chooses where to put an object so that a predicate becomes true and stays true."""

import math
from dataclasses import dataclass

import numpy as np

from benchmarks.libero.expert.rotations import Array
from benchmarks.libero.expert.world import Predicate, World

# A region whose sides differ by this ratio is a slot; the object must turn to enter it.
_SLOT_RATIO = 1.5
# Objects that share a region stand this far apart.
_GAP = 0.01
# Share of a region's half size that an object's position may be off its middle.
_USABLE_SHARE = 0.8


@dataclass(frozen=True)
class Placement:
    """The pose at which the hand releases an object.

    Attributes:
        position: x and y of the object, and the height of its bottom. Contact may stop the object
            higher up.
        yaw: Finger-axis yaw of the hand; None if any yaw will do.
        by_center: Whether x and y are those of the object's middle instead of its body frame.
    """

    position: Array
    yaw: float | None = None
    by_center: bool = False


def choose_placement(world: World, predicate: Predicate) -> Placement:
    """Return where to let go of the object of an ``on`` or ``in`` predicate."""
    relation, _, target = predicate
    position = world.position(target)
    if world.is_object(target):
        position[2] = world.extent(target)[0][2]
        return Placement(position)
    half = np.abs(world.rotation(target) @ world.region_half_size(target))
    position[0] += _slot_offset(world, predicate, half[0])
    if relation == "on":
        return Placement(position)
    # Release at the rim: a deeper hand would touch the walls.
    position[2] += half[2]
    is_slot = max(half[:2]) > _SLOT_RATIO * min(half[:2])
    yaw = (0.0 if half[0] < half[1] else math.pi / 2) if is_slot else None
    return Placement(position, yaw, by_center=True)


def _slot_offset(world: World, predicate: Predicate, half: float) -> float:
    """Return the offset along x that keeps objects in one region apart, in the goal's order."""
    relation, name, target = predicate
    sharing = [other[1] for other in world.goal if other[0] == relation and other[2:] == (target,)]
    if len(sharing) < 2:
        return 0.0
    low, high = world.extent(name)
    width = float(high[0] - low[0])
    room = half - width / 2 if relation == "in" else _USABLE_SHARE * half
    step = max(min((width + _GAP) / 2, room), 0.0)
    rank = sharing.index(name) / (len(sharing) - 1)
    return step * (2 * rank - 1)
