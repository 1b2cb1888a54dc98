"""Plays thousands of episodes on Ray while processes are killed at random, and compares the bytes.

    python perf/kills.py [--episodes 10000] [--seconds-between 4] [--workers 3] [--out FILE.json]

Every few seconds SIGKILL ends a process of the run: an actor, a helper of Ray, a guard, sometimes
the driver, the raylet or the GCS. The same command is started again until it ends with exit code 0.
A run of the same plan without workers plays undisturbed beside it. At the end the fields of every
record that follow from its spec, and every file of actions, must be the same bytes in both.

It ends with exit code 1 and a `reason` if they are not, if a key stands twice in the log, if
something is left over, or if nothing happens for too long. The last line is one JSON object.
"""

import argparse
import hashlib
import json
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from perf import _points

_points.add_to_path()

import psutil
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from harness.runs.folder import Run
from perf._processes import by_kind, is_alive, start, still_alive

WEIGHTS = {
    "env actor": 60,
    "policy actor": 30,
    "guard": 4,
    "helper": 1,
    "driver": 2,
    "raylet": 1,
    "GCS": 1,
}
"""How often each kind is chosen. The reaper is left out: nothing replaces it."""
AVERAGING = f"python:{Path(__file__).parent / '_averaging.py'}:Averaging"
POLICIES = ["homing", AVERAGING]
"""Both draw random numbers. One is asked in batches, the other has a memory."""
SILENCE = 300.0
"""Seconds without a new episode, or a new start, after which the run counts as hung."""
MOST_EMPTY_STARTS = 20
"""Starts in a row without a new episode after which it counts as stuck."""
AFTERWARDS = 60.0
"""Seconds in which everything must be gone after the last start."""


class KillRunError(Exception):
    """The run hangs, is stuck or takes too long."""


@dataclass
class KillRun:
    """A run whose processes are killed.

    Attributes:
        command: The options of `run_eval.py run`, without --workers and --out.
        folder: An empty folder for both runs and Ray's files.
        workers: Environment actors.
        pause: Mean seconds between two kills.
        limit: Seconds after which it is given up.
        rng: Chooses the victims and the pauses.
        kills: Kills so far, by kind.
        codes: How often the command ended with each exit code.
        seen: Every process that a start had.
    """

    command: list[str]
    folder: Path
    workers: int
    pause: float
    limit: float
    rng: random.Random
    kills: Counter[str] = field(default_factory=Counter)
    codes: Counter[int] = field(default_factory=Counter)
    seen: set[psutil.Process] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Start the clock."""
        self.begun = time.monotonic()
        self.out, self.temporary = self.folder / "killed", self.folder / "ray"
        self.temporary.mkdir()
        self._grown, self._lines, self._size = self.begun, 0, 0

    def play(self, bar: Progress) -> None:
        """Start the command again and again until it ends with exit code 0."""
        task, empty, before = bar.add_task("killed"), 0, 0
        command = [*self.command, "--workers", str(self.workers), "--out", str(self.out)]
        bar.update(task, total=None)
        while not self.codes[0]:
            self._grown = time.monotonic()
            driver = start(command, self.temporary, self.folder / "killed.txt")
            try:
                while driver.poll() is None:
                    self._wait(driver, lambda: bar.update(task, completed=self._lines))
                    self._kill(driver.pid)
            finally:
                driver.kill()
                driver.wait()
            self.codes[driver.returncode] += 1
            empty, before = (0 if self._count() > before else empty + 1), self._lines
            if empty == MOST_EMPTY_STARTS:
                raise KillRunError(f"{empty} starts in a row played no episode")

    def _wait(self, driver: Any, show: Any) -> None:
        """Wait for the time of the next kill, or until the command has ended."""
        end = time.monotonic() + self.pause * self.rng.uniform(0.5, 1.5)
        while driver.poll() is None and (now := time.monotonic()) < end:
            self._count()
            show()
            if now - self._grown > SILENCE:
                raise KillRunError(f"no new episode for {SILENCE:.0f} s")
            if now - self.begun > self.limit:
                raise KillRunError(f"not done after {self.limit:.0f} s")
            time.sleep(0.25)

    def _kill(self, driver: int) -> None:
        """Kill a process of a random kind, if there is one."""
        family = by_kind(driver)
        self.seen.update(process for each in family.values() for process in each)
        kind = self.rng.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        chosen = self.rng.random()
        if family[kind]:
            victim = family[kind][int(chosen * len(family[kind]))]
            if is_alive(victim):
                victim.kill()
                self.kills[kind] += 1

    def _count(self) -> int:
        """Count the lines of the log."""
        log = self.out / "episodes.jsonl"
        size = log.stat().st_size if log.exists() else 0
        if size != self._size:
            self._grown, self._size = time.monotonic(), size
            self._lines = log.read_bytes().count(b"\n")
        return self._lines


def contents(run: Path) -> dict[str, bytes]:
    """Return, by key, what must not change: the record's fixed fields and the bytes of actions."""
    found = {}
    for key, record in Run.existing(run).records().items():
        fixed = json.dumps(record.deterministic(), sort_keys=True).encode()
        actions = run / "actions" / f"{key}.npy"
        found[key] = fixed + b"\n" + (actions.read_bytes() if actions.exists() else b"missing")
    return found


def digest(found: dict[str, bytes]) -> str:
    """Return one hash over everything."""
    total = hashlib.sha256()
    for key in sorted(found):
        total.update(hashlib.sha256(found[key]).digest())
    return total.hexdigest()


def compare(inline: Path, killed: Path, episodes: int) -> dict[str, Any]:
    """Return the comparison of both runs."""
    expected, found = contents(inline), contents(killed)
    log = list(Run.existing(killed).log())
    return {
        "records": len(found),
        "repeated_keys": len(log) - len(found),
        "missing": len(expected.keys() - found.keys()) + episodes - len(expected),
        "different": sum(found[key] != expected[key] for key in expected.keys() & found.keys()),
        "files_of_actions": len(list((killed / "actions").iterdir())),
        "played_again_for_lost_memory": sum(record.retries for record in log),
        "sha256": {"undisturbed": digest(expected), "killed": digest(found)},
    }


def measure(options: argparse.Namespace, folder: Path, bar: Progress) -> dict[str, Any]:
    """Play both runs and compare them."""
    each = options.episodes // (2 * len(options.policies))
    episodes = 2 * len(options.policies) * each
    command = ["--policy", *options.policies, "--benchmark", "points_filmed"]
    command += ["--protocol", "short", "--replan", "1", "--episodes", str(each)]
    run = KillRun(
        command,
        folder,
        options.workers,
        options.seconds_between,
        options.limit,
        random.Random(options.seed),
    )
    inline = start(
        [*command, "--out", str(folder / "inline")], run.temporary, folder / "inline.txt"
    )
    names = [policy.rpartition("/")[2] for policy in options.policies]
    found: dict[str, Any] = {"episodes": episodes, "policies": names}
    found |= {"workers": options.workers, "seed": options.seed}
    try:
        run.play(bar)
        found["seconds"] = round(time.monotonic() - run.begun)
        code = inline.wait(max(1.0, run.begun + options.limit - time.monotonic()))
        found |= compare(folder / "inline", run.out, episodes) | {"undisturbed_exit_code": code}
    except Exception as error:  # noqa: BLE001 - the reason stands in the result
        found["reason"] = f"{type(error).__name__}: {error}"
        found["last_words"] = (folder / "killed.txt").read_text(errors="replace")[-2000:]
    finally:
        inline.kill()
        inline.wait()
    left = still_alive(run.seen, AFTERWARDS)
    found |= {
        "kills": {kind: run.kills[kind] for kind in WEIGHTS},
        "killed": run.kills.total(),
        "restarts": run.codes.total() - 1,
        "exit_codes": {str(code): run.codes[code] for code in sorted(run.codes)},
        "left": {
            "processes": len(left),
            "folders_of_ray": len(list(run.temporary.iterdir())),
        },
    }
    return found


def judged(found: dict[str, Any]) -> dict[str, Any]:
    """Add whether all is as it must be, and the reason if not."""
    sums = found.get("sha256", {"undisturbed": 0, "killed": 1})
    wrong = [
        name
        for name, is_wrong in {
            "the bytes differ": sums["undisturbed"] != sums["killed"],
            "a key stands twice in the log": found.get("repeated_keys", 0),
            "episodes are missing": found.get("missing", 0),
            "the undisturbed run did not end well": found.get("undisturbed_exit_code"),
            "a file of actions is missing or too many": (
                found.get("files_of_actions") != found["episodes"]
            ),
            "processes are left": found["left"]["processes"],
            "a folder of Ray is left": found["left"]["folders_of_ray"],
        }.items()
        if is_wrong
    ]
    return found | ({"reason": found.get("reason", "; ".join(wrong))} if wrong else {"same": True})


def main() -> int:
    """Kill, compare and print the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--episodes", type=int, default=10_000)
    parser.add_argument("--seconds-between", type=float, default=4.0)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--policies", nargs="+", default=POLICIES)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=float, default=3600.0, help="seconds, at most")
    parser.add_argument("--keep", type=Path, help="move both runs into this folder")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    columns = (TextColumn("{task.completed} episodes"), BarColumn(), TimeElapsedColumn())
    folder = Path(tempfile.mkdtemp("", "kills-", "/tmp"))  # Sockets need a short path.
    try:
        with Progress(*columns, console=Console(stderr=True)) as bar:
            found = judged(measure(options, folder, bar))
        if options.keep:
            shutil.copytree(folder, options.keep, dirs_exist_ok=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if options.out:
        options.out.write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found))
    return "reason" in found


if __name__ == "__main__":
    sys.exit(main())
