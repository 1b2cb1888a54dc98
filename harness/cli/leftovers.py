"""Ends the program although a policy left threads or processes that never end."""

import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress

GRACE = 5.0
"""Seconds that leftover threads and processes have to end, once the program is over."""


def ending(command: Callable[[], int]) -> int:
    """Run a command; what it leaves running cannot keep the program from ending.

    Python waits for threads and child processes at its end, for ever if need be.
    """
    before = set(threading.enumerate())
    code = command()
    left = [t for t in threading.enumerate() if t not in before and not t.daemon]
    if left or multiprocessing.active_children():
        threading.Thread(target=_end, args=(code,), daemon=True).start()
    return code


def _end(code: int) -> None:
    """Wait for the program's end, and then end what does not end."""
    threading.main_thread().join()
    time.sleep(GRACE)
    for child in multiprocessing.active_children():
        child.kill()
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()
    os._exit(code)
