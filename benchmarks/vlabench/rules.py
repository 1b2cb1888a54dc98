"""VLABench's success conditions and process score."""

from collections.abc import Mapping

import numpy as np

from benchmarks.vlabench.assets import asset
from benchmarks.vlabench.world import World
from harness.contracts.environment import StepOutcome

_LIFTED = 0.9
"""The height in the world, in metres, at which a thing counts as lifted."""
_FLAT_REACH = 0.1
"""A thing less than this above a plate or placemat counts as on it, in metres."""
_SUBSTEPS_TO_PRESS = 10
"""A button counts as pressed after more consecutive substeps with contact than these."""
_INTENTION_RADIUS = 0.1
"""The distance of tool and target's root that counts as the right intention, in metres."""


class Rules:
    """Tracks the conditions of one episode."""

    def __init__(self, score: str, world: World) -> None:
        """Start with no condition met; `score` is ``code`` or ``paper``."""
        self._goal, self._score, self._world = world.scene.goal, score, world
        self._ever_touched = self._ever_intended = False

    def look(self) -> StepOutcome:
        """Return the outcome of the current state."""
        world, target = self._world, self._world.scene.target
        distance = np.linalg.norm(world.tool[0] - world.root(target))
        self._ever_intended = self._ever_intended or bool(distance < _INTENTION_RADIUS)
        met = self._conditions()
        facts = dict(met)
        if self._goal != "press":
            self._ever_touched = self._ever_touched or world.is_touched(target)
            facts["touched"] = self._ever_touched
        facts["intention"] = self._ever_intended
        return StepOutcome(all(met.values()), self._progress(met), facts)

    def _conditions(self) -> dict[str, bool]:
        """Return the conditions of the current state by upstream's names."""
        world, target = self._world, self._world.scene.target
        if self._goal == "press":
            return {"press_button": world.pressed_for > _SUBSTEPS_TO_PRESS}
        if self._goal == "lift":
            lifted = bool(world.root(target)[2] >= _LIFTED)
            return {"is_grasped": world.is_touched(target), "lift": lifted}
        return {"contain": is_contained(world, target, world.scene.container)}

    def _progress(self, met: Mapping[str, bool]) -> float:
        """Return the process score. A button cannot be grasped, so it has no credit for a touch."""
        if self._goal == "press":
            return float(all(met.values()))
        if self._score == "paper":
            return 0.2 * self._ever_touched + 0.8 * sum(met.values()) / len(met)
        return (sum(met.values()) + self._ever_touched) / (len(met) + 1)


def is_contained(world: World, name: str, container: str) -> bool:
    """Return whether a thing's root is in a box, or on a round plate or a square mat.

    Upstream's assets define the box's key points and the plate's radius; here the asset's
    bounding box replaces them.
    """
    known = asset(world.scene.thing(container).asset)
    x, y, z = world.in_frame_of(container, world.root(name))
    wide, deep, high = known.half_size
    if known.name.startswith("plate"):
        return bool(np.hypot(x, y) < wide and 0 < z < _FLAT_REACH)
    within = abs(x) <= wide and abs(y) <= deep
    if known.name.startswith("placemat"):
        return bool(within and 0 < z < _FLAT_REACH)
    return bool(within and 0 <= z <= 2 * high)
