"""Writes the episode files of the stand-in checkout; each episode has its own card position."""

import json
import shutil
from pathlib import Path

from benchmarks.vlabench_upstream.catalog import TRACKS

CHECKOUT = Path(__file__).parents[1] / "benchmarks" / "vlabench_checkout"
BROKEN = 2
"""The episode of select_toy that fails to load."""


def copy_checkout(target: Path) -> Path:
    """Copy the stand-in checkout and add the episode files of all tracks."""
    shutil.copytree(CHECKOUT, target, ignore=shutil.ignore_patterns("__pycache__"))
    for track in TRACKS.values():
        episodes = {
            task: [{"task": _episode(task, number)} for number in range(track.episodes(task))]
            for task in track.tasks
        }
        path = target / "VLABench" / "configs" / "evaluation" / "tracks" / f"{track.file}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(episodes))
    return target


def _episode(task: str, number: int) -> dict[str, object]:
    return {
        "position": [0.004 * number, 0.1, 0.83],
        "target_entity": ["card"],
        "conditions": {"is_grasped": {}, "lift": {}},
        "instructions": [f"pick card {number}"],
        "breaks": task == "select_toy" and number == BROKEN,
    }
