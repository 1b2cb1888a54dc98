"""Lists of the scenes that RoboTwin's expert can solve; every episode plays one of them.

A list depends only on the task, the run's seed and the protocol's scenes. `python -m
benchmarks.robotwin.verify` makes it once, and every worker reads it.
"""

import fcntl
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.contracts.errors import UsageError


@dataclass
class SeedList:
    """The verified scenes of one task from one first seed on.

    Attributes:
        tried: The number of consecutive seeds that the expert has tried.
        verified: The seeds that it solved, in order, with the values of the instructions'
            placeholders.
    """

    tried: int = 0
    verified: list[tuple[int, dict[str, str]]] = field(default_factory=list)


Lists = dict[str, dict[str, SeedList]]
"""Lists by task and by the first seed, as text."""


def read_lists(scenes: str, prefix: Path) -> Lists:
    """Return the lists of a protocol's scenes: those in this package and those added by the user.

    `prefix` is the folder of RoboTwin's virtual environment.
    """
    known: Lists = {}
    for path in (committed_file(scenes), added_file(scenes, prefix)):
        if path.is_file():
            for task, by_start in _read(path).items():
                for start, found in by_start.items():
                    before = known.setdefault(task, {}).setdefault(start, SeedList())
                    if found.tried > before.tried:
                        known[task][start] = found
    return known


def find_scene(
    scenes: str, task: str, start: int, episode: int, command: str, prefix: Path
) -> tuple[int, dict[str, str]]:
    """Return the seed of an episode's scene and the values of its instruction's placeholders.

    Raises:
        UsageError: The list is too short; the message names `command`, which extends it.
    """
    known = read_lists(scenes, prefix).get(task, {}).get(str(start), SeedList())
    if episode >= len(known.verified):
        raise UsageError(
            f"episode {episode} of {task} needs a scene that RoboTwin's expert has solved, and the "
            f"list from seed {start} has {len(known.verified)}; run: {command}"
        )
    return known.verified[episode]


def committed_file(scenes: str) -> Path:
    """Return the file of the lists in this package."""
    return Path(__file__).parent / "seeds" / f"{scenes}.json"


def added_file(scenes: str, prefix: Path) -> Path:
    """Return the file of the lists in RoboTwin's virtual environment, the folder `prefix`."""
    return prefix / "share" / "assay" / "robotwin" / "seeds" / f"{scenes}.json"


def store_list(path: Path, task: str, start: int, found: SeedList) -> None:
    """Write a list into a file of lists, atomically and safely with concurrent writers."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lists = _read(path) if path.is_file() else {}
        lists.setdefault(task, {})[str(start)] = found
        part = path.with_suffix(".part")
        part.write_text(_to_json(lists))
        part.replace(path)


def _to_json(lists: Lists) -> str:
    """Return lists as JSON with one scene in each line."""
    entries = []
    for task, by_start in sorted(lists.items()):
        for start, found in sorted(by_start.items()):
            scenes = ",\n".join(f"  {json.dumps(scene)}" for scene in found.verified)
            entries.append(f'["{task}", "{start}", {found.tried}, [\n{scenes}\n]]')
    return "[\n" + ",\n".join(entries) + "\n]\n"


def _read(path: Path) -> Lists:
    lists: Lists = {}
    entries: list[Any] = json.loads(path.read_text())
    for task, start, tried, verified in entries:
        made = SeedList(int(tried), [(int(seed), dict(info)) for seed, info in verified])
        lists.setdefault(task, {})[start] = made
    return lists
