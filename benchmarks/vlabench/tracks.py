"""Upstream's official evaluation episodes, for the tasks that VLABench lite has.

A track file holds a list of episodes for each task. Positions on the table, targets, distractors
and instructions are taken from it. Heights are not, since the procedural assets have other sizes.
"""

import gzip
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from benchmarks.vlabench.assets import names
from benchmarks.vlabench.catalog import TASKS
from benchmarks.vlabench.layout import Scene, Thing
from benchmarks.vlabench.placing import holder_at, in_holder, on_table, painting_of
from harness.contracts.errors import UsageError

TRACKS = {
    1: "in_distribution",
    2: "cross_category",
    3: "common_sense",
    4: "semantic_instruction",
    6: "unseen_texture",
}
"""Upstream's names of its tracks. Track 5 has no task of VLABench lite."""
_KINDS = {
    "Toy": "toy",
    "Fruit": "fruit",
    "Mahjong": "mahjong",
    "CommonContainer": "container",
    "Plate": "container",
    "PlaceMat": "container",
}
"""The kind of asset for each of upstream's classes, where both use the same entity names."""


@dataclass(frozen=True)
class Track:
    """The content of a track file.

    Attributes:
        path: The file.
        digest: The SHA-256 of its unpacked content.
        episodes: The episodes by task, without the tasks that VLABench lite lacks.
    """

    path: Path
    digest: str
    episodes: Mapping[str, Sequence[Any]]

    def scene(self, task: str, episode: int) -> Scene:
        """Return an episode's scene.

        Raises:
            UsageError: The track has no such task or episode, or the file is damaged.
        """
        if task not in self.episodes:
            known = ", ".join(self.episodes)
            raise UsageError(f"{self.path.name} has no episodes of {task}; it has those of {known}")
        episodes = self.episodes[task]
        if episode >= len(episodes):
            count = len(episodes)
            raise UsageError(
                f"{self.path.name} has {count} episodes of {task}; use --episodes {count}"
            )
        try:
            return _scene(task, episodes[episode]["task"])
        except (KeyError, IndexError, TypeError, ValueError, StopIteration) as error:
            raise UsageError(
                f"{self.path}: episode {episode} of {task} has not VLABench's format "
                f"({type(error).__name__}: {error}); download the file again"
            ) from error


def file_name(number: int) -> str:
    """Return the name of a track's file."""
    return f"track_{number}_{TRACKS[number]}.json"


@cache
def load_track(number: int, folder: Path) -> Track | None:
    """Read a track file, with or without gzip; return None if there is none.

    Raises:
        UsageError: It is not a track file.
    """
    path = folder / file_name(number)
    packed = path.with_name(f"{path.name}.gz")
    if packed.is_file():
        path = packed
    elif not path.is_file():
        return None
    try:
        content = path.read_bytes()
        content = gzip.decompress(content) if path == packed else content
        read = json.loads(content)
    except (OSError, EOFError, ValueError) as error:
        raise UsageError(f"cannot read the track {path}: {error}") from error
    if not isinstance(read, dict) or not all(isinstance(each, list) for each in read.values()):
        raise UsageError(f"{path} is not a track file: it must hold a list of episodes by task")
    episodes = {task: each for task, each in read.items() if task in TASKS}
    return Track(path, hashlib.sha256(content).hexdigest(), episodes)


def _scene(task: str, values: Mapping[str, Any]) -> Scene:
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
