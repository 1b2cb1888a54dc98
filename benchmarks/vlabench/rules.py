"""When an episode succeeds and how far it came: VLABench's conditions and process score."""

from collections.abc import Mapping

import numpy as np

from benchmarks.vlabench.assets import asset
from benchmarks.vlabench.world import World
from harness.contracts.environment import StepOutcome

LIFTED = 0.9
"""The height in the world from which on a thing counts as lifted."""
FLAT_REACH = 0.1
"""How far above a plate or a placemat a thing still counts as on it."""
LONGEST_NOT_PRESSED = 10
"""A button must be touched for more substeps in a row than these."""
INTENDED = 0.1
"""Metres from the target's root within which the tool shows the right intention."""


class Rules:
    """Follows one episode's conditions."""

    def __init__(self, score: str, world: World) -> None:
        """Start with nothing met; `score` is ``code`` or ``paper``."""
        self._goal, self._score, self._world = world.scene.goal, score, world
        self._ever_touched = self._ever_intended = False

    def look(self) -> StepOutcome:
        """Return the present state's outcome."""
        world, target = self._world, self._world.scene.target
        distance = np.linalg.norm(world.tool[0] - world.root(target))
        self._ever_intended = self._ever_intended or bool(distance < INTENDED)
        met = self._conditions()
        facts = dict(met)
        if self._goal != "press":
            self._ever_touched = self._ever_touched or world.is_touched(target)
            facts["touched"] = self._ever_touched
        facts["intention"] = self._ever_intended
        return StepOutcome(all(met.values()), self._progress(met), facts)

    def _conditions(self) -> dict[str, bool]:
        """Return the conditions of the present state by upstream's names."""
        world, target = self._world, self._world.scene.target
        if self._goal == "press":
            return {"press_button": world.pressed_for > LONGEST_NOT_PRESSED}
        if self._goal == "lift":
            lifted = bool(world.root(target)[2] >= LIFTED)
            return {"is_grasped": world.is_touched(target), "lift": lifted}
        return {"contain": is_contained(world, target, world.scene.container)}

    def _progress(self, met: Mapping[str, bool]) -> float:
        """Return the process score; a button is no target that could be grasped."""
        if self._goal == "press":
            return float(all(met.values()))
        if self._score == "paper":
            return 0.2 * self._ever_touched + 0.8 * sum(met.values()) / len(met)
        return (sum(met.values()) + self._ever_touched) / (len(met) + 1)


def is_contained(world: World, name: str, container: str) -> bool:
    """Return whether a thing's root is in a box, or on a round plate or a square mat.

    Upstream takes the box's key points or the plate's radius from its assets; here the asset's
    own bounding box stands for them.
    """
    known = asset(world.scene.thing(container).asset)
    x, y, z = world.seen_from(container, world.root(name))
    wide, deep, high = known.half_size
    if known.name.startswith("plate"):
        return bool(np.hypot(x, y) < wide and 0 < z < FLAT_REACH)
    within = abs(x) <= wide and abs(y) <= deep
    if known.name.startswith("placemat"):
        return bool(within and 0 < z < FLAT_REACH)
    return bool(within and 0 <= z <= 2 * high)
