"""Makes or extends the lists of scenes that RoboTwin's expert can solve.

    python -m benchmarks.robotwin.verify --seed 7 --episodes 100 --workers 8

A list does not depend on the number of workers. It is written after every scene.
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
    """Tries scenes."""

    def try_all(
        self, protocol: RoboTwinProtocol, task: str, seeds: Sequence[int]
    ) -> Iterator[dict[str, str] | None]:
        """Yield the placeholders' values of each solved scene, and None for other scenes."""
        ...


class Solvers:
    """Processes in RoboTwin's virtual environment; each tries one scene at a time."""

    def __init__(self, workers: int) -> None:
        """Start the processes.

        Raises:
            UsageError: The virtual environment is not built.
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
        """Yield the placeholders' values of each solved scene, and None for other scenes."""
        return self._pool.map(lambda seed: self._ask(protocol.name, task, seed), seeds)

    def _ask(self, protocol: str, task: str, seed: int) -> dict[str, str] | None:
        process = self._free.get()
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            print(json.dumps([protocol, task, seed]), file=process.stdin, flush=True)
            answer = process.stdout.readline()
            if not answer:
                raise UsageError(
                    f"RoboTwin crashed in scene {seed} of {task}; see its output above"
                )
            named: dict[str, str] | None = json.loads(answer)
            return named
        finally:
            self._free.put(process)

    def close(self) -> None:
        """End the processes."""
        self._pool.shutdown()
        for process in self._all:
            process.communicate()


def extend_list(
    solvers: Solving,
    protocol: RoboTwinProtocol,
    task: str,
    seed: int,
    episodes: int,
    path: Path,
    prefix: Path,
) -> None:
    """Extend one list to this many episodes of a run's seed, and write it.

    `prefix` is the folder of RoboTwin's virtual environment.
    """
    start = protocol.first_scene(seed)
    known = read_lists(protocol.scenes, prefix).get(task, {}).get(str(start), SeedList())
    while len(known.verified) < episodes:
        first = start + known.tried
        seeds = range(first, first + episodes - len(known.verified))
        for scene, named in zip(seeds, solvers.try_all(protocol, task, seeds), strict=True):
            known.tried += 1
            if named is not None:
                known.verified.append((scene, named))
            store_list(path, task, start, known)
            print(f"{task}: {len(known.verified)} of {known.tried} scenes from seed {start} on")


@dataclass
class VerifyCommand:
    """Make or extend the lists of scenes that RoboTwin's expert can solve."""

    protocol: str = f"{BLOCKS}/blocks"
    """The full name of the protocol card; cards with the same scenes share a list."""
    tasks: tuple[str, ...] = ()
    """Task names. Default: all tasks."""
    seed: int = 7
    """The run's seed."""
    episodes: int = 100
    """The length of the lists."""
    workers: int = 1
    """The number of processes."""
    commit: bool = False
    """Write into this package's lists instead of the virtual environment's."""

    def __call__(self) -> None:
        """Extend the lists."""
        card = find_card(self.protocol, assets.identity())
        known = catalog.BLOCKS if self.protocol.startswith(f"{BLOCKS}/") else catalog.TASKS
        for task in self.tasks:
            require_known("task", task, known)
        path = committed_file(card.scenes) if self.commit else added_file(card.scenes, VENV.home)
        solvers = Solvers(self.workers)
        try:
            for task in self.tasks or known:
                extend_list(solvers, card, task, self.seed, self.episodes, path, VENV.home)
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
