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

from benchmarks.vlabench.catalog import TASKS
from benchmarks.vlabench.scene import Scene
from harness.contracts.errors import UsageError

TRACKS = {
    1: "in_distribution",
    2: "cross_category",
    3: "common_sense",
    4: "semantic_instruction",
    6: "unseen_texture",
}
"""Upstream's names of its tracks. Track 5 has no task of VLABench lite."""


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
        # Listing a track must not import the assets.
        from benchmarks.vlabench.track_scenes import track_scene

        try:
            return track_scene(task, episodes[episode]["task"])
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
