"""Kills an actor that was stopped (SIGSTOP) for longer than its deadline.

The kernel's alarm ends an actor that hangs, but a stopped process gets no alarm. So each actor
starts this process beside it, which uses the standard library only. A debugger's stop is left
alone, and so is a run that was stopped as a whole, with Ctrl-Z.
"""

import os
import signal
import subprocess
import sys
import time

_PAUSE = 1.0
"""Seconds between two looks."""


def start_guard(deadline: float) -> None:
    """Watch this process until it ends; 0 is no deadline."""
    if deadline and os.path.exists("/proc/self/stat"):
        subprocess.Popen(
            [sys.executable, "-I", "-S", __file__, str(os.getpid()), str(deadline)],
            stdin=subprocess.DEVNULL,
        )


def _watch(process: int, deadline: float) -> None:
    """Kill the process once it was stopped for `deadline` seconds; return when it has ended."""
    stopped = 0.0
    while os.getppid() == process:
        # Counted, not measured: this process may have been stopped as well.
        stopped = stopped + _PAUSE if _is_stopped(process) else 0.0
        if stopped > deadline:
            os.kill(process, signal.SIGKILL)
        time.sleep(_PAUSE)


def _is_stopped(process: int) -> bool:
    try:
        with open(f"/proc/{process}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] == b"T"
    except OSError:
        return False


if __name__ == "__main__":
    _watch(int(sys.argv[1]), float(sys.argv[2]))
