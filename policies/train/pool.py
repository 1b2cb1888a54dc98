"""Trains several policies in parallel, in processes that share the samples in memory."""

import multiprocessing
import sys
from collections.abc import Callable
from multiprocessing.connection import wait
from multiprocessing.context import ForkProcess
from pathlib import Path

import torch
from rich.console import Console

from harness.cli.codes import EXIT_INCOMPLETE, EXIT_INTERRUPTED, EXIT_USAGE
from harness.contracts.errors import StorageError, UsageError
from policies.train.loop import StoppedError
from policies.train.signals import on_stop_signal


class TrainingPool:
    """Forked processes, which see this process's memory without a copy.

    Before the fork, this process must not use a GPU or compute with several threads.
    """

    def __init__(self, workers: int) -> None:
        """Set how many processes run at the same time."""
        self._workers = workers
        self._threads = max(1, torch.get_num_threads() // workers)
        self._running: dict[Path, ForkProcess] = {}

    def __enter__(self) -> "TrainingPool":
        """Return the pool."""
        torch.set_num_threads(1)
        return self

    def __exit__(self, *exception: object) -> None:
        """Stop running trainings; each saves its state first."""
        for process in self._running.values():
            process.terminate()
        for process in self._running.values():
            process.join()

    def start(self, folder: Path, after: Path | None, train: Callable[[Console], None]) -> None:
        """Start a training, as soon as a process is free and the one it depends on is finished.

        Args:
            folder: The folder it trains into; it names the training.
            after: The folder of a training that has to finish first.
            train: Trains, and shows its progress on the console.

        Raises:
            UsageError: Another training failed.
            StoppedError: The user stopped it.
            StorageError: The disk is full or gone.
        """
        while after in self._running or len(self._running) == self._workers:
            self._wait_for_one()
        context = multiprocessing.get_context("fork")
        self._running[folder] = context.Process(target=_work, args=(train, self._threads))
        self._running[folder].start()

    def wait(self) -> None:
        """Wait for all trainings. It raises the errors of `start`."""
        while self._running:
            self._wait_for_one()

    def _wait_for_one(self) -> None:
        with on_stop_signal(_raise_stopped):
            wait([process.sentinel for process in self._running.values()])
        for folder, process in list(self._running.items()):
            if process.is_alive():
                continue
            process.join()
            del self._running[folder]
            code = process.exitcode
            if code == EXIT_INTERRUPTED:
                raise StoppedError
            if code == EXIT_INCOMPLETE:
                raise StorageError(f"{folder} could not be written")
            if code:
                why = f"was killed by signal {-code}" if code < 0 else "failed, see above"
                raise UsageError(f"the training into {folder} {why}")


def _work(train: Callable[[Console], None], threads: int) -> None:
    torch.set_num_threads(threads)
    # Plain lines: the bars of several processes would overwrite each other.
    console = Console(stderr=True, force_terminal=False)
    try:
        train(console)
    except StoppedError:
        sys.exit(EXIT_INTERRUPTED)
    except (UsageError, StorageError) as error:
        console.print(f"error: {error}", markup=False, soft_wrap=True)
        sys.exit(EXIT_INCOMPLETE if isinstance(error, StorageError) else EXIT_USAGE)


def _raise_stopped() -> None:
    raise StoppedError
