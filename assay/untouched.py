"""Leaves the caller's process as it was, although simulators and libraries change it."""

import os
import random
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController

from harness.play.threads import ONE_CORE

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGALRM, signal.SIGCHLD, signal.SIGHUP)


@contextmanager
def untouched() -> Iterator[None]:
    """Restore random generators, thread limits, their variables and signal handlers on exit.

    Inside, libraries use one thread, as on the command line, so the actions have the same bits.
    """
    with ExitStack() as restored:
        restored.callback(_restore_threads, _threads())
        # The last callback runs first: the usual threads follow from the restored variables.
        restored.callback(_restore_variables, {name: os.environ.get(name) for name in ONE_CORE})
        restored.callback(random.setstate, random.getstate())
        restored.callback(np.random.set_state, np.random.get_state())
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                restored.callback(_restore_handler, number, signal.getsignal(number))
        torch = sys.modules.get("torch")
        if torch is not None:
            _restore_torch(torch, restored)
            torch.set_num_threads(1)
        yield


def _restore_variables(before: dict[str, str | None]) -> None:
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _restore_handler(number: signal.Signals, handler: Any) -> None:
    # None: the handler was not set from Python.
    if handler is not None and signal.getsignal(number) is not handler:
        signal.signal(number, handler)


def _restore_torch(torch: Any, restored: ExitStack) -> None:
    restored.callback(torch.set_rng_state, torch.get_rng_state())
    if torch.cuda.is_initialized():
        restored.callback(torch.cuda.set_rng_state_all, torch.cuda.get_rng_state_all())


def _threads() -> dict[str, int]:
    """Return the threads of each numeric library in this process, by its file."""
    libraries = ThreadpoolController().lib_controllers
    threads = {library.filepath: library.get_num_threads() for library in libraries}
    torch = sys.modules.get("torch")
    return threads if torch is None else {**threads, "torch": torch.get_num_threads()}


def _restore_threads(before: dict[str, int]) -> None:
    """Restore the threads of libraries; give those that were loaded since what they would have."""
    for library in ThreadpoolController().lib_controllers:
        library.set_num_threads(before.get(library.filepath, _usual_threads()))
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(before.get("torch", _usual_threads()))


def _usual_threads() -> int:
    limit = os.environ.get("OMP_NUM_THREADS", "")
    return int(limit) if limit.isdigit() else len(os.sched_getaffinity(0))
