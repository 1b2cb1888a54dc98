"""Trains several policies at the same time, in processes that share the samples they were given."""

import multiprocessing
import sys
from collections.abc import Callable
from multiprocessing.connection import wait
from multiprocessing.context import ForkProcess
from pathlib import Path

import torch
from rich.console import Console

from harness.contracts.errors import StorageError, UsageError
from policies.train.loop import StoppedError
from policies.train.signals import when_told_to_stop

REFUSED, UNWRITTEN, STOPPED = 2, 3, 130
"""What a process ends with whose training raised one of the errors below."""


class Crew:
    """Processes that are forked from this one, and so have its memory without a copy.

    This process itself must not touch a GPU before that, nor compute with several threads.
    """

    def __init__(self, workers: int) -> None:
        """Let so many train at the same time."""
        self._workers = workers
        self._threads = max(1, torch.get_num_threads() // workers)
        self._running: dict[Path, ForkProcess] = {}

    def __enter__(self) -> "Crew":
        """Return the crew."""
        torch.set_num_threads(1)
        return self

    def __exit__(self, *exception: object) -> None:
        """Let those that still train keep what they have, and end them."""
        for process in self._running.values():
            process.terminate()
        for process in self._running.values():
            process.join()

    def begin(self, folder: Path, after: Path | None, train: Callable[[Console], None]) -> None:
        """Start a training once there is room, and once another has ended.

        Args:
            folder: What it trains into, which is its name here.
            after: What it needs to be finished.
            train: Does it, and tells how it goes.

        Raises:
            UsageError: Another of the crew failed.
            StoppedError: Somebody stopped it.
            StorageError: The disk is full or gone.
        """
        while after in self._running or len(self._running) == self._workers:
            self._wait_for_one()
        context = multiprocessing.get_context("fork")
        self._running[folder] = context.Process(target=_work, args=(train, self._threads))
        self._running[folder].start()

    def finish(self) -> None:
        """Wait until all have ended; it raises what `begin` does."""
        while self._running:
            self._wait_for_one()

    def _wait_for_one(self) -> None:
        with when_told_to_stop(_stop):
            wait([process.sentinel for process in self._running.values()])
        for folder, process in list(self._running.items()):
            if process.is_alive():
                continue
            process.join()
            del self._running[folder]
            code = process.exitcode
            if code == STOPPED:
                raise StoppedError
            if code == UNWRITTEN:
                raise StorageError(f"{folder} could not be written")
            if code:
                why = f"was killed by signal {-code}" if code < 0 else "failed, see above"
                raise UsageError(f"the training into {folder} {why}")


def _work(train: Callable[[Console], None], threads: int) -> None:
    """Train in this process, which was forked for it."""
    torch.set_num_threads(threads)
    # Several bars would draw over each other.
    console = Console(stderr=True, force_terminal=False)
    try:
        train(console)
    except StoppedError:
        sys.exit(STOPPED)
    except (UsageError, StorageError) as error:
        console.print(f"error: {error}", markup=False, soft_wrap=True)
        sys.exit(UNWRITTEN if isinstance(error, StorageError) else REFUSED)


def _stop() -> None:
    raise StoppedError
