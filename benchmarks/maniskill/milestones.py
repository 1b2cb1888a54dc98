"""How far an episode came: named conditions of a task, and the process score.

A task's milestones are those of its conditions that lead to success, in the order in which a
robot meets them. The process score is the share of them that were ever met, success among them,
and 1 once the task succeeded (docs/maniskill.md lists them).
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

Facts = dict[str, bool]
"""Named conditions of the present state."""

ALIGNED_ANGLE = 0.2
"""Radians; what PlugCharger's own check allows."""
REACHED = 0.07
"""Metres between the hand's centre and a cube of 4 cm that it is about to push."""
TOUCHED = 0.02
"""Metres that a cube was moved for the robot to have touched it."""


class Milestones:
    """Follows one task's conditions through an episode."""

    def __init__(self, task: str, sim: Any) -> None:
        """Name the task and its simulator."""
        self._sim = sim
        self._look, self._path = KNOWN.get(task, (_nothing, ()))
        self._met: set[str] = set()
        self._start: Any = None

    def begin(self) -> None:
        """Start an episode: nothing was met yet."""
        self._met.clear()
        self._start = _start(self._sim)

    def look(self, info: Mapping[str, Any], success: bool) -> tuple[Facts, float]:
        """Return the conditions of the present state and the process score so far."""
        facts = {
            name: bool(value)
            for name, value in info.items()
            if torch.is_tensor(value) and value.dtype == torch.bool and name != "success"
        }
        facts |= self._look(self._sim, info, self._start)
        if not self._path:
            return facts, math.nan
        self._met.update(name for name in self._path if facts[name])
        score = 1.0 if success else len(self._met) / (len(self._path) + 1)
        return facts, score


def _start(sim: Any) -> Any:
    """Return where a pushed object starts."""
    thing = getattr(sim, "obj", None)
    return None if thing is None else thing.pose.p[0].numpy().copy()


def _nothing(sim: Any, info: Mapping[str, Any], start: Any) -> Facts:
    del sim, info, start
    return {}


def _pushed(sim: Any, info: Mapping[str, Any], start: Any) -> Facts:
    """Tell whether the hand is at the cube, and whether the cube was moved."""
    del info
    cube = sim.obj.pose.p[0].numpy()
    hand = sim.agent.tcp.pose.p[0].numpy()
    return {
        "reached": float(np.linalg.norm(hand - cube)) < REACHED,
        "touched": float(np.linalg.norm(cube - start)) > TOUCHED,
    }


def _peg(sim: Any, info: Mapping[str, Any], start: Any) -> Facts:
    """Tell whether the peg is held, and points into the hole with its head beside or in it."""
    del start
    head = info["peg_head_pos_at_hole"][0]
    # From outside the head comes along the hole's x axis.
    within = bool((head[1:].abs() <= sim.box_hole_radii[0]).all())
    return {"grasped": bool(sim.agent.is_grasping(sim.peg)), "aligned": within}


def _plug(sim: Any, info: Mapping[str, Any], start: Any) -> Facts:
    """Tell whether the charger is held, and stands turned and centred before its slots."""
    del start
    away = (sim.goal_pose.inv() * sim.charger.pose).p[0]
    centred = bool((away[1:].abs() <= 5e-3).all())
    turned = float(info["obj_to_goal_angle"][0]) <= ALIGNED_ANGLE
    held = bool(sim.agent.is_grasping(sim.charger))
    return {"grasped": held, "aligned": centred and turned}


KNOWN: dict[str, tuple[Callable[[Any, Mapping[str, Any], Any], Facts], tuple[str, ...]]] = {
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
"""By task: what to look at beyond ManiSkill's own conditions, and which of all are milestones."""
