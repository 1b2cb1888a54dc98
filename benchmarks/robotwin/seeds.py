"""Lists of the scenes that RoboTwin's expert can solve: an episode is played in one of these.

A list follows from the task, the run's seed and the protocol's scenes alone. It is made once, by
`python -m benchmarks.robotwin.verify`, and read by every worker.
"""

import fcntl
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.contracts.errors import UsageError


@dataclass
class SeedList:
    """What is known of one task's scenes from one start on.

    Attributes:
        tried: How many seeds in a row the expert has tried.
        verified: Those that it solved, in order, each with what RoboTwin's instructions name there.
    """

    tried: int = 0
    verified: list[tuple[int, dict[str, str]]] = field(default_factory=list)


Lists = dict[str, dict[str, SeedList]]
"""By task and by the first seed that was tried, as text."""


def read_lists(scenes: str, prefix: Path) -> Lists:
    """Return all that is known of a protocol's scenes: what comes with Assay and what was added.

    `prefix` is the folder of RoboTwin's Python environment.
    """
    known: Lists = {}
    for path in (committed_file(scenes), added_file(scenes, prefix)):
        if path.is_file():
            for task, by_start in _parsed(path).items():
                for start, found in by_start.items():
                    before = known.setdefault(task, {}).setdefault(start, SeedList())
                    if found.tried > before.tried:
                        known[task][start] = found
    return known


def find_scene(
    scenes: str, task: str, start: int, episode: int, command: str, prefix: Path
) -> tuple[int, dict[str, str]]:
    """Return the seed of an episode's scene and what its instruction names.

    Raises:
        UsageError: The list is not that long yet; the message holds the command that goes on.
    """
    known = read_lists(scenes, prefix).get(task, {}).get(str(start), SeedList())
    if episode >= len(known.verified):
        raise UsageError(
            f"RoboTwin's expert has solved {len(known.verified)} scenes of {task} from "
            f"{start} on, and episode {episode} wants another; run: {command}"
        )
    return known.verified[episode]


def committed_file(scenes: str) -> Path:
    """Return where lists are that come with Assay."""
    return Path(__file__).parent / "seeds" / f"{scenes}.json"


def added_file(scenes: str, prefix: Path) -> Path:
    """Return where all other lists are: in RoboTwin's Python environment, the folder `prefix`."""
    return prefix / "share" / "assay" / "robotwin" / "seeds" / f"{scenes}.json"


def store_list(path: Path, task: str, start: int, found: SeedList) -> None:
    """Put a list into a file of lists, whole or not at all, while others may do the same."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lists = _parsed(path) if path.is_file() else {}
        lists.setdefault(task, {})[str(start)] = found
        part = path.with_suffix(".part")
        part.write_text(_printed(lists))
        part.replace(path)


def _printed(lists: Lists) -> str:
    """Return lists as JSON with a scene a line."""
    entries = []
    for task, by_start in sorted(lists.items()):
        for start, found in sorted(by_start.items()):
            scenes = ",\n".join(f"  {json.dumps(scene)}" for scene in found.verified)
            entries.append(f'["{task}", "{start}", {found.tried}, [\n{scenes}\n]]')
    return "[\n" + ",\n".join(entries) + "\n]\n"


def _parsed(path: Path) -> Lists:
    lists: Lists = {}
    entries: list[Any] = json.loads(path.read_text())
    for task, start, tried, verified in entries:
        made = SeedList(int(tried), [(int(seed), dict(info)) for seed, info in verified])
        lists.setdefault(task, {})[start] = made
    return lists
