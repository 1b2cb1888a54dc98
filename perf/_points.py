"""Helpers of the perf scripts that run the tests' benchmark `points`."""

import os
import sys
from pathlib import Path

import psutil

from harness.play.threads import use_one_core

_ROOT = Path(__file__).parent.parent
_PATHS = [str(_ROOT / "tests" / "outside_package"), str(_ROOT)]


def add_to_path() -> None:
    """Make `points` importable in this process and its children, and use one core in each."""
    use_one_core()
    sys.path.insert(0, _PATHS[0])
    os.environ["PYTHONPATH"] = os.pathsep.join(_PATHS)


def cpu_seconds(pid: int | None = None) -> float:
    """Return the CPU seconds of a process and its living children.

    Args:
        pid: The process; default: this one.
    """
    root = psutil.Process(pid)
    total = 0.0
    for process in (root, *root.children(recursive=True)):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total
