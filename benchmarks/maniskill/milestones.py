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
from numpy.typing import NDArray

Facts = dict[str, bool]
"""Named conditions of the present state."""
Flags = NDArray[np.bool_]
"""A condition in every environment of the simulator."""
Seen = dict[str, Any]
"""Named conditions as ManiSkill's tensors or numpy's arrays, which `flags` takes."""

ALIGNED_ANGLE = 0.2
"""Radians; what PlugCharger's own check allows."""
REACHED = 0.07
"""Metres between the hand's centre and a cube of 4 cm that it is about to push."""
TOUCHED = 0.02
"""Metres that a cube was moved for the robot to have touched it."""


class Milestones:
    """Follows one task's conditions through an episode in every environment."""

    def __init__(self, task: str, sim: Any) -> None:
        """Name the task and its simulator."""
        self._sim = sim
        self._look, self._path = KNOWN.get(task, (_nothing, ()))
        self._met: dict[str, Flags] = {}
        self._start: Any = None

    def begin(self) -> None:
        """Start an episode: nothing was met yet."""
        self._met = {name: np.zeros(self._sim.num_envs, bool) for name in self._path}
        self._start = _start(self._sim)

    def look(self, info: Mapping[str, Any], success: Flags) -> list[tuple[Facts, float]]:
        """Return each environment's conditions now and its process score so far."""
        seen = {
            name: value
            for name, value in info.items()
            if torch.is_tensor(value) and value.dtype == torch.bool and name != "success"
        }
        seen |= self._look(self._sim, info, self._start)
        facts = {name: flags(value) for name, value in seen.items()}
        for name, met in self._met.items():
            met |= facts[name]
        return [
            ({name: bool(fact[row]) for name, fact in facts.items()}, self._score(row, success))
            for row in range(len(success))
        ]

    def _score(self, row: int, success: Flags) -> float:
        if not self._path:
            return math.nan
        met = sum(bool(met[row]) for met in self._met.values())
        return 1.0 if success[row] else met / (len(self._path) + 1)


def flags(value: Any) -> Flags:
    """Return a condition, a tensor on any device or an array, as an array."""
    found = value.cpu().numpy() if torch.is_tensor(value) else np.asarray(value)
    return found.reshape(-1).astype(bool, copy=False)


def _start(sim: Any) -> Any:
    """Return where a pushed object starts."""
    thing = getattr(sim, "obj", None)
    return None if thing is None else thing.pose.p.cpu().numpy().copy()


def _nothing(sim: Any, info: Mapping[str, Any], start: Any) -> Seen:
    del sim, info, start
    return {}


def _pushed(sim: Any, info: Mapping[str, Any], start: Any) -> Seen:
    """Tell whether the hand is at the cube, and whether the cube was moved."""
    del info
    cube = sim.obj.pose.p.cpu().numpy()
    hand = sim.agent.tcp.pose.p.cpu().numpy()
    return {
        "reached": np.linalg.norm(hand - cube, axis=1) < REACHED,
        "touched": np.linalg.norm(cube - start, axis=1) > TOUCHED,
    }


def _peg(sim: Any, info: Mapping[str, Any], start: Any) -> Seen:
    """Tell whether the peg is held, and points into the hole with its head beside or in it."""
    del start
    head = info["peg_head_pos_at_hole"]
    # From outside the head comes along the hole's x axis.
    within = (head[:, 1:].abs() <= sim.box_hole_radii[:, None]).all(dim=1)
    return {"grasped": sim.agent.is_grasping(sim.peg), "aligned": within}


def _plug(sim: Any, info: Mapping[str, Any], start: Any) -> Seen:
    """Tell whether the charger is held, and stands turned and centred before its slots."""
    del start
    away = (sim.goal_pose.inv() * sim.charger.pose).p
    centred = (away[:, 1:].abs() <= 5e-3).all(dim=1)
    turned = info["obj_to_goal_angle"] <= ALIGNED_ANGLE
    return {"grasped": sim.agent.is_grasping(sim.charger), "aligned": centred & turned}


KNOWN: dict[str, tuple[Callable[[Any, Mapping[str, Any], Any], Seen], tuple[str, ...]]] = {
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
