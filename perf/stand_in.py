"""Puts the tests' stand-in benchmark on the path of this process and of those it starts."""

import os
import sys
from pathlib import Path

import psutil

from harness.play.threads import use_one_core

ROOT = Path(__file__).parent.parent
PATHS = [str(ROOT / "tests" / "outside_package"), str(ROOT)]


def on_path() -> None:
    """Let this process and its children import the stand-in, on one core each."""
    use_one_core()
    sys.path.insert(0, PATHS[0])
    os.environ["PYTHONPATH"] = os.pathsep.join(PATHS)


def cpu_seconds(pid: int | None = None) -> float:
    """Return the CPU seconds of a process and of everything that it started and that still lives.

    Args:
        pid: The process; this one if not given.
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
