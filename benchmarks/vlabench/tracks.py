"""Upstream's official evaluation episodes, as far as their tasks are here.

A track's file holds a list of episodes for each task. Places, targets, distractors and instructions
are taken as they are; heights are not, since the things here have other sizes.
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
"""What upstream calls its tracks; the fifth has no tasks that are here."""
CLASSES = {
    "Toy": "toy",
    "Fruit": "fruit",
    "Mahjong": "mahjong",
    "CommonContainer": "container",
    "Plate": "container",
    "PlaceMat": "container",
}
"""Which kind of asset upstream's classes of entities are, where both have the same names."""


@dataclass(frozen=True)
class Track:
    """A track's file.

    Attributes:
        path: Where it is.
        digest: The SHA-256 of what it says.
        episodes: The episodes of each task that is here.
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
            there = ", ".join(self.episodes)
            raise UsageError(f"{self.path.name} has no episodes of {task}; it has those of {there}")
        known = self.episodes[task]
        if episode >= len(known):
            raise UsageError(
                f"{self.path.name} has {len(known)} episodes of {task}; use --episodes {len(known)}"
            )
        try:
            return _scene(task, known[episode]["task"])
        except (KeyError, IndexError, TypeError, ValueError, StopIteration) as error:
            raise UsageError(
                f"{self.path}: episode {episode} of {task} is not as VLABench writes it "
                f"({type(error).__name__}: {error}); get the file again"
            ) from error


@cache
def load_track(number: int, folder: Path) -> Track | None:
    """Read a track's file, packed or not; None where there is none.

    Raises:
        UsageError: It is not a track's file.
    """
    path = folder / f"track_{number}_{TRACKS[number]}.json"
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
        raise UsageError(f"{path} is no track's file: it must hold a list of episodes by task")
    episodes = {task: each for task, each in read.items() if task in TASKS}
    return Track(path, hashlib.sha256(content).hexdigest(), episodes)


def _scene(task: str, values: Mapping[str, Any]) -> Scene:
    """Build the scene of one episode."""
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
    (told,) = values["instructions"]
    if target not in choices or (container and container not in {thing.name for thing in things}):
        raise ValueError(f"the target {target} or the container {container} is not on the table")
    scene = Scene(things, told, goal, target, choices, container)
    return Scene(**vars(scene) | {"table": str(table), "floor": str(floor)})


def _things(components: Sequence[Mapping[str, Any]]) -> list[Thing]:
    """Return what stands on the table, with cards in the holders before them."""
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
            asset = _known(name, CLASSES[kind])
            # Upstream's tiles have one way to stand, which its meshes turn by half a turn.
            yaw = 0.0 if kind == "Mahjong" else _yaw(each)
            things.append(on_table(name, asset, x, y, yaw))
    return things


def _known(name: str, kind: str) -> str:
    if name not in names(kind):
        raise ValueError(f"there is no {kind} {name!r}")
    return name


def _yaw(component: Mapping[str, Any]) -> float:
    """Return how far a thing is turned; upstream's toys lie in their files and are put upright."""
    matrix = Rotation.from_quat(np.array(component["orientation"], float)[[1, 2, 3, 0]]).as_matrix()
    return float(np.arctan2(matrix[1, 0], matrix[0, 0]))
