"""A task's milestones: named conditions on the way to success, and the process score.

The process score is the share of milestones that were ever met; success counts as one of them.
docs/robotwin.md lists the milestones.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

_Facts = dict[str, bool]
_Positions = NDArray[np.float64]

_STACKED = np.array([0.025, 0.025, 0.012])
"""RoboTwin's tolerances in metres for a block on another block."""
_RANKED = np.array([0.13, 0.03])
"""RoboTwin's largest distances in metres for two neighbours in a row."""
_MOVED = 0.02
"""The distance in metres at which a block counts as moved; some blocks start in order."""
_LIFTED = 0.05
"""The height in metres at which a block counts as lifted."""


class Milestones:
    """Tracks one task's conditions through an episode."""

    def __init__(self, name: str, task: Any) -> None:
        """Start an episode of a task: no milestone is met."""
        self._task = task
        self._look, self._path = _KNOWN.get(name, (_nothing, ()))
        self._met: set[str] = set()
        self._start = _positions(task)

    def look(self, success: bool) -> tuple[_Facts, float]:
        """Return the conditions of the current state, and the process score so far."""
        facts = self._look(self._task, self._start)
        self._met |= {name for name, holds in facts.items() if holds}
        if not self._path:
            return facts, math.nan
        return facts, 1.0 if success else len(self._met) / (len(self._path) + 1)


def _positions(task: Any) -> _Positions:
    """Return the positions of the task's blocks."""
    blocks = [getattr(task, f"block{number}", None) for number in (1, 2, 3)]
    present = [block for block in [*blocks, getattr(task, "box", None)] if block is not None]
    return np.array([block.get_pose().p for block in present], float)


def _nothing(task: Any, start: _Positions) -> _Facts:
    del task, start
    return {}


def _stacked(task: Any, start: _Positions) -> _Facts:
    """Check that the first block is at its goal and that each other block is on the one before."""
    now = _positions(task)
    centre = np.array([*task.block1_target_pose[:2], start[0, 2]])
    facts = {"red_centred": bool((abs(now[0] - centre) < _STACKED).all())}
    for number, name in enumerate(("green_on_red", "blue_on_green")[: len(now) - 1]):
        above = now[number] + [0, 0, 0.05]
        facts[name] = bool((abs(now[number + 1] - above) < _STACKED).all())
    return facts


def _ranked(task: Any, start: _Positions) -> _Facts:
    """Check which neighbours are in order; the robot must have moved one of the two."""
    now = _positions(task)
    moved = np.linalg.norm(now[:, :2] - start[:, :2], axis=1) > _MOVED
    facts = {}
    for number, name in enumerate(("first_before_second", "second_before_third")):
        apart = now[number + 1, :2] - now[number, :2]
        near = bool((abs(apart) < _RANKED).all())
        facts[name] = near and bool(apart[0] > 0) and bool(moved[number : number + 2].any())
    return facts


def _handed_over(task: Any, start: _Positions) -> _Facts:
    """Check that the block is lifted, and that only the second gripper touches it."""
    robot = task.robot
    touching = {
        body.entity
        for contact in task.scene.get_contacts()
        if any(body.entity == task.box.actor for body in contact.bodies)
        and any(np.any(point.impulse) for point in contact.points)
        for body in contact.bodies
    }
    held = {
        side: any(joint.child_link.entity in touching for joint, *_ in gripper)
        for side, gripper in (("left", robot.left_gripper), ("right", robot.right_gripper))
    }
    lifted = bool(_positions(task)[0, 2] - start[0, 2] > _LIFTED)
    first, second = ("left", "right") if start[0, 0] < 0 else ("right", "left")
    return {"lifted": lifted, "handed_over": lifted and held[second] and not held[first]}


_KNOWN: Mapping[str, tuple[Callable[[Any, _Positions], _Facts], tuple[str, ...]]] = {
    "stack_blocks_two": (_stacked, ("red_centred", "green_on_red")),
    "stack_blocks_three": (_stacked, ("red_centred", "green_on_red", "blue_on_green")),
    "blocks_ranking_rgb": (_ranked, ("first_before_second", "second_before_third")),
    "blocks_ranking_size": (_ranked, ("first_before_second", "second_before_third")),
    "handover_block": (_handed_over, ("lifted", "handed_over")),
}
"""The function that checks the conditions, and their names, by task."""
