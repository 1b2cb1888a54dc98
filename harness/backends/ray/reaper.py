"""Ends everything that a local Ray started, also if the driver was killed.

This is a process of its own, with the standard library only. It waits until the driver closes its
pipe or dies. Ray's own processes then end one after the other within a minute, but what a policy
started would stay, and so would Ray's folder.
"""

import os
import select
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress

MARK = "ASSAY_RAY_FOLDER"
"""The environment variable that Ray's processes and their children inherit."""
_TRIES, _PAUSE = 100, 0.1
"""How often to look for processes, and the seconds between two looks."""


def reap(folder: str, driver: int) -> None:
    """Kill what is marked with `folder` or writes into it, and remove the folder."""
    for _ in range(_TRIES):
        living = list(_processes(folder, {driver, os.getpid()}))
        if not living:
            break
        for process in living:
            with suppress(OSError):
                os.kill(process, signal.SIGKILL)
        time.sleep(_PAUSE)
    shutil.rmtree(folder, ignore_errors=True)


def _processes(folder: str, others: set[int]) -> Iterator[int]:
    """Yield the processes; a title that a process gives itself may hide its environment."""
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) not in others:
            with suppress(OSError):  # It has ended, or belongs to another user.
                if _is_marked(name, folder) or _writes(name, folder):
                    yield int(name)


def _is_marked(process: str, folder: str) -> bool:
    with open(f"/proc/{process}/environ", "rb") as file:
        return f"{MARK}={folder}".encode() in file.read().split(b"\0")


def _writes(process: str, folder: str) -> bool:
    """Return whether it has a file in the folder open for writing; readers are left alone."""
    for number in os.listdir(f"/proc/{process}/fd"):
        link = f"/proc/{process}/fd/{number}"
        with suppress(FileNotFoundError):  # Closed meanwhile.
            if os.readlink(link).startswith(f"{folder}/") and os.lstat(link).st_mode & 0o200:
                return True
    return False


def _main() -> None:
    """Wait for the driver's end, whatever signals come, then reap."""
    folder, driver = sys.argv[1], int(sys.argv[2])
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    # A child that the driver forked may hold the pipe open.
    while os.getppid() == driver and not select.select([sys.stdin], [], [], 1.0)[0]:
        pass
    reap(folder, driver)


if __name__ == "__main__":
    _main()
