"""Keeps one process from taking the memory of the whole machine."""

import os
import resource
from contextlib import suppress
from pathlib import Path

MOST_OF_THE_MACHINE = 0.8
"""The share of the machine's memory that one process may allocate."""


def limit_memory(most: int | None = None) -> None:
    """Let allocations above `most` bytes fail, by default above a share of the machine's memory.

    Python raises a MemoryError then. The kernel counts what the process may write to, not files
    that it only reads.
    """
    if most is None:
        most = int(MOST_OF_THE_MACHINE * machine_memory())
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (most, hard))


def machine_memory() -> int:
    """Return the bytes of memory of this machine, or of this container."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        with suppress(OSError, ValueError):  # The file is not there, or says "max".
            memory = min(memory, int(Path(path).read_text()))
    return memory
