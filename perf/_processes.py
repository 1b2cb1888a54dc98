"""The processes of a run on Ray, for the perf scripts that kill or watch them."""

import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

_ROOT = Path(__file__).parent.parent
_MARKS = {
    "ray::EnvActor": "env actor",
    "ray::PolicyActor": "policy actor",
    "gcs_server": "GCS",
    "raylet/raylet": "raylet",
    "ray/guard.py": "guard",
    "ray/reaper.py": "reaper",
}
"""What stands in the command of a process of each kind; every other one is a `helper` of Ray."""


def start(command: Sequence[str], temporary: Path, log: Path) -> "subprocess.Popen[bytes]":
    """Start `run_eval.py run` with Ray's folder in `temporary`; its output goes to `log`."""
    with log.open("ab") as file:
        return subprocess.Popen(
            [sys.executable, str(_ROOT / "run_eval.py"), "run", *command],
            # Ray gives its workers a niceness of 15: beside other work they would hardly run.
            env=os.environ | {"RAY_TMPDIR": str(temporary), "RAY_worker_niceness": "0"},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def by_kind(driver: int) -> dict[str, list[psutil.Process]]:
    """Return the living processes of a run by kind, each kind in the order of their start."""
    found: dict[str, list[psutil.Process]] = defaultdict(list)
    with suppress(psutil.NoSuchProcess):
        root = psutil.Process(driver)
        if is_alive(root):
            found["driver"].append(root)
        for process in root.children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                if is_alive(process):
                    found[_kind(" ".join(process.cmdline()[:6]))].append(process)
    for processes in found.values():
        processes.sort(key=lambda process: (process.create_time(), process.pid))
    return found


def is_alive(process: psutil.Process) -> bool:
    """Return whether a process still runs; one that only waits to be collected does not."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def still_alive(processes: Iterable[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Return the processes that do not end within so many seconds."""
    end = time.monotonic() + seconds
    living = list(processes)
    while (living := [each for each in living if is_alive(each)]) and time.monotonic() < end:
        time.sleep(0.5)
    return living


def _kind(command: str) -> str:
    return next((kind for mark, kind in _MARKS.items() if mark in command), "helper")
