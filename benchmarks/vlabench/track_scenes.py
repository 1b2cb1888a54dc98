"""Turns an episode of a track file into a scene."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from benchmarks.vlabench.assets import names
from benchmarks.vlabench.catalog import TASKS
from benchmarks.vlabench.placing import holder_at, in_holder, on_table, painting_of
from benchmarks.vlabench.scene import Scene, Thing

_KINDS = {
    "Toy": "toy",
    "Fruit": "fruit",
    "Mahjong": "mahjong",
    "CommonContainer": "container",
    "Plate": "container",
    "PlaceMat": "container",
}
"""The kind of asset for each of upstream's classes, where both use the same entity names."""


def track_scene(task: str, values: Mapping[str, Any]) -> Scene:
    """Return the scene of an episode of a track file."""
    components = values["components"]
    things = tuple(_things(components))
    goal = TASKS[task].goal
    if goal == "press":
        target = values["conditions"]["press_button"]["target_button"]
        choices = tuple(thing.name for thing in things if thing.asset == "button")
    else:
        (target,) = values["target_entity"]
        kinds = ("Poker", "Mahjong", "Toy", "Fruit")
        choices = tuple(each["name"] for each in components if each["class"] in kinds)
    container = values["target_container"] if goal == "contain" else ""
    table = next(each["materials"][0] for each in components if each["class"] == "Table")
    (floor,) = values["scene"]["floor_textures"]
    (instruction,) = values["instructions"]
    if target not in choices or (container and container not in {thing.name for thing in things}):
        raise ValueError(f"the target {target} or the container {container} is not on the table")
    scene = Scene(things, instruction, goal, target, choices, container)
    return Scene(**vars(scene) | {"table": str(table), "floor": str(floor)})


def _things(components: Sequence[Mapping[str, Any]]) -> list[Thing]:
    """Return the things on the table; a card goes into the holder that precedes it."""
    things: list[Thing] = []
    for each in components:
        kind, name = each["class"], each["name"]
        x, y, _ = map(float, each["position"])
        if kind == "Table":
            continue
        if kind == "CardHolder":
            things.append(holder_at(name, x, y))
        elif kind == "Poker":
            things.append(in_holder(_known(name, "poker"), things[-1]))
        elif kind == "Button":
            things.append(on_table(name, "button", x, y, _yaw(each)))
        elif kind == "Painting":
            things.append(on_table(name, _known(painting_of(each["style"]), "painting"), x, y))
        else:
            asset = _known(name, _KINDS[kind])
            # Upstream's tiles have one orientation, and its meshes add half a turn to it.
            yaw = 0.0 if kind == "Mahjong" else _yaw(each)
            things.append(on_table(name, asset, x, y, yaw))
    return things


def _known(name: str, kind: str) -> str:
    if name not in names(kind):
        raise ValueError(f"there is no {kind} {name!r}")
    return name


def _yaw(component: Mapping[str, Any]) -> float:
    """Return the yaw of a component.

    Upstream's toy meshes lie on their backs, so its quaternions also put them upright.
    """
    matrix = Rotation.from_quat(np.array(component["orientation"], float)[[1, 2, 3, 0]]).as_matrix()
    return float(np.arctan2(matrix[1, 0], matrix[0, 0]))
