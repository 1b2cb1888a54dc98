"""A task's milestones: named conditions on the way to success, and the process score.

A task's milestones are the conditions that lead to success, in the order in which a robot usually
meets them. The process score is the share of milestones that were ever met; success counts as one
of them. After success the score is 1. docs/maniskill.md lists the milestones.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

Facts = dict[str, bool]
"""Named conditions of the present state."""
Position = list[float]

_ALIGNED_ANGLE = 0.2
"""Radians; the limit of PlugCharger's own success check."""
_REACHED = 0.07
"""Metres between the hand's centre and the cube (4 cm) that it is about to push."""
TOUCHED = 0.02
"""Metres. A cube that moved this far was touched."""


class Milestones:
    """Tracks one task's conditions through an episode."""

    def __init__(self, task: str, sim: Any) -> None:
        """Choose the task's milestones; `sim` is its simulator."""
        self._sim = sim
        self._look, self._path = _KNOWN.get(task, (_nothing, ()))
        self._met: set[str] = set()
        self._start: Position | None = None

    def begin(self) -> None:
        """Start an episode: no milestone is met."""
        self._met = set()
        self._start = position(self._sim.obj) if self._look is _pushed else None

    def look(self, info: Mapping[str, Any], success: bool) -> tuple[Facts, float]:
        """Return the conditions of the present state, and the process score so far."""
        facts = {
            name: flag(value)
            for name, value in info.items()
            if torch.is_tensor(value) and value.dtype == torch.bool and name != "success"
        }
        facts |= self._look(self._sim, info, self._start)
        self._met.update(name for name in self._path if facts[name])
        return facts, self._score(success)

    def _score(self, success: bool) -> float:
        if not self._path:
            return math.nan
        return 1.0 if success else len(self._met) / (len(self._path) + 1)


def flag(value: Any) -> bool:
    """Return ManiSkill's tensor or array of one condition as a bool."""
    if not torch.is_tensor(value):
        value = np.asarray(value)
    return bool(value.reshape(-1).tolist()[0])


def position(thing: Any) -> Position:
    """Return the position of an object or a link.

    ManiSkill's own `pose` builds tensors at every access and takes ten times as long.
    """
    one = thing._objs[0]
    # A link is a component of the entity that has its pose.
    place: Position = getattr(one, "entity", one).pose.p.tolist()
    return place


def _nothing(sim: Any, info: Mapping[str, Any], start: Any) -> Facts:
    del sim, info, start
    return {}


def _pushed(sim: Any, info: Mapping[str, Any], start: Any) -> Facts:
    """Return whether the hand is at the cube, and whether the cube was moved."""
    del info
    cube, hand = position(sim.obj), position(sim.agent.tcp)
    return {
        "reached": math.dist(hand, cube) < _REACHED,
        "touched": math.dist(cube, start) > TOUCHED,
    }


def _peg(sim: Any, info: Mapping[str, Any], start: Any) -> Facts:
    """Return whether the peg is held, and whether its head is in line with the hole."""
    del start
    head = info["peg_head_pos_at_hole"]
    # From outside, the head approaches along the hole's x axis.
    within = (head[:, 1:].abs() <= sim.box_hole_radii[:, None]).all(dim=1)
    return {"grasped": flag(sim.agent.is_grasping(sim.peg)), "aligned": flag(within)}


def _plug(sim: Any, info: Mapping[str, Any], start: Any) -> Facts:
    """Return whether the charger is held, and whether it is in line with its slots."""
    del start
    turned = info["obj_to_goal_angle"] <= _ALIGNED_ANGLE
    held = sim.agent.is_grasping(sim.charger)
    # In most steps the angle alone decides, and the distance takes longer than the physics.
    return {"grasped": flag(held), "aligned": flag(turned) and _is_centred(sim)}


def _is_centred(sim: Any) -> bool:
    """Return whether the charger is on its slots' axis."""
    away = (sim.goal_pose.inv() * sim.charger.pose).p
    return flag((away[:, 1:].abs() <= 5e-3).all(dim=1))


_KNOWN: dict[str, tuple[Callable[[Any, Mapping[str, Any], Any], Facts], tuple[str, ...]]] = {
    "PegInsertionSide-v1": (_peg, ("grasped", "aligned")),
    "PickCube-v1": (_nothing, ("is_grasped", "is_obj_placed")),
    "StackCube-v1": (_nothing, ("is_cubeA_grasped", "is_cubeA_on_cubeB")),
    "PlugCharger-v1": (_plug, ("grasped", "aligned")),
    "PushCube-v1": (_pushed, ("reached", "touched")),
    "PlaceSphere-v1": (_nothing, ("is_obj_grasped", "is_obj_on_bin")),
    "PokeCube-v1": (_nothing, ("is_peg_grasped", "is_peg_cube_fit")),
    "TwoRobotStackCube-v1": (
        _nothing,
        ("is_cubeB_grasped", "cubeB_placed", "is_cubeA_grasped", "is_cubeA_on_cubeB"),
    ),
}
"""By task: the function that adds to ManiSkill's own conditions, and the milestones."""
