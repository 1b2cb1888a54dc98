"""Makes the lists of scenes that RoboTwin's expert can solve, or makes them longer.

    python -m benchmarks.robotwin.verify --seed 7 --episodes 100 --workers 8

A list is the same however many workers try its scenes, and is written after every round.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Protocol

import tyro

from benchmarks.robotwin import assets, catalog
from benchmarks.robotwin.needs import VENV
from benchmarks.robotwin.protocol import BLOCKS, RoboTwinProtocol, find_card
from benchmarks.robotwin.seeds import (
    SeedList,
    added_file,
    committed_file,
    read_lists,
    store_list,
)
from harness.contracts.errors import UsageError, require_known
from harness.play.threads import use_one_core


class Solving(Protocol):
    """What tries scenes."""

    def try_all(
        self, protocol: RoboTwinProtocol, task: str, seeds: Sequence[int]
    ) -> Iterator[dict[str, str] | None]:
        """Yield for each scene what its instructions name, or None if it was not solved."""
        ...


class Solvers:
    """Processes in RoboTwin's Python, each of which tries one scene at a time."""

    def __init__(self, workers: int) -> None:
        """Start them.

        Raises:
            UsageError: RoboTwin's Python is not there.
        """
        problem = VENV.problem()
        if problem:
            raise UsageError(problem)
        command = [str(VENV.interpreter), "-W", "ignore", "-m", "benchmarks.robotwin.solve"]
        self._pool = ThreadPoolExecutor(workers)
        self._free: SimpleQueue[subprocess.Popen[str]] = SimpleQueue()
        self._all = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for _ in range(workers)
        ]
        for process in self._all:
            self._free.put(process)

    def try_all(
        self, protocol: RoboTwinProtocol, task: str, seeds: Sequence[int]
    ) -> Iterator[dict[str, str] | None]:
        """Yield for each scene what its instructions name, or None if it was not solved."""
        return self._pool.map(lambda seed: self._ask(protocol.name, task, seed), seeds)

    def _ask(self, protocol: str, task: str, seed: int) -> dict[str, str] | None:
        process = self._free.get()
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            print(json.dumps([protocol, task, seed]), file=process.stdin, flush=True)
            answer = process.stdout.readline()
            if not answer:
                raise UsageError(f"RoboTwin's Python died of {task} in scene {seed}; see above")
            named: dict[str, str] | None = json.loads(answer)
            return named
        finally:
            self._free.put(process)

    def close(self) -> None:
        """End them."""
        self._pool.shutdown()
        for process in self._all:
            process.communicate()


def lengthen(
    solvers: Solving,
    protocol: RoboTwinProtocol,
    task: str,
    seed: int,
    episodes: int,
    path: Path,
    prefix: Path,
) -> None:
    """Make one list as long as this many episodes of a run's seed need, and write it.

    `prefix` is the folder of RoboTwin's Python environment.
    """
    start = protocol.start(seed)
    known = read_lists(protocol.scenes, prefix).get(task, {}).get(str(start), SeedList())
    while len(known.verified) < episodes:
        first = start + known.tried
        seeds = range(first, first + episodes - len(known.verified))
        for scene, named in zip(seeds, solvers.try_all(protocol, task, seeds), strict=True):
            known.tried += 1
            if named is not None:
                known.verified.append((scene, named))
            store_list(path, task, start, known)
            print(f"{task}: {len(known.verified)} of {known.tried} scenes from {start} on")


@dataclass
class VerifyCommand:
    """Make lists of the scenes that RoboTwin's expert can solve, or make them longer."""

    protocol: str = f"{BLOCKS}/blocks"
    """The protocol card with its family; cards with the same scenes share a list."""
    tasks: tuple[str, ...] = ()
    """Tasks by name; all if not given."""
    seed: int = 7
    """The run's seed."""
    episodes: int = 100
    """How long the lists shall be."""
    workers: int = 1
    """Processes that try scenes."""
    commit: bool = False
    """Write into the lists that come with Assay, not into RoboTwin's Python environment."""

    def __call__(self) -> None:
        """Do it."""
        card = find_card(self.protocol, assets.identity())
        known = catalog.BLOCKS if self.protocol.startswith(f"{BLOCKS}/") else catalog.TASKS
        for task in self.tasks:
            require_known("task", task, known)
        path = committed_file(card.scenes) if self.commit else added_file(card.scenes, VENV.home)
        solvers = Solvers(self.workers)
        try:
            for task in self.tasks or known:
                lengthen(solvers, card, task, self.seed, self.episodes, path, VENV.home)
        finally:
            solvers.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line and run it."""
    use_one_core()
    command = tyro.cli(
        VerifyCommand,
        prog="python -m benchmarks.robotwin.verify",
        description=__doc__,
        args=arguments,
    )
    try:
        command()
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
