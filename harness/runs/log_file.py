"""The log of a run on the disk: whole lines, one writer, and no change by anybody else."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from harness.contracts.errors import StorageError, UsageError

LONGEST_LINE = 2**20
"""Bytes of a line, at most; a record has about 1,500."""
_MOST_EXAMPLES = 3


@dataclass
class Refusals:
    """The lines of a log that are left out, since `run` would not have written them.

    Attributes:
        count: How many there are.
        examples: Where the first ones are, and what is wrong with them.
        contradicted: The keys of the episodes to which lines give two results.
    """

    count: int = 0
    examples: list[str] = field(default_factory=list)
    contradicted: set[str] = field(default_factory=set)

    def add(self, example: str) -> None:
        """Count a line."""
        self.count += 1
        if len(self.examples) < _MOST_EXAMPLES:
            self.examples.append(example)

    def contradict(self, key: str, example: str) -> None:
        """Count a line that gives an episode another result, and the episode's first line."""
        if key not in self.contradicted:
            self.contradicted.add(key)
            self.count += 1
        self.add(example)


def log_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the whole lines of a log with their numbers; an incomplete last line is left out.

    A line that is too long is cut.

    Raises:
        UsageError: It is no ordinary file, or cannot be read.
    """
    if not path.exists():
        return
    require_regular(path)
    try:
        with path.open("rb") as file:
            number = 0
            while line := file.readline(LONGEST_LINE):
                number, rest = number + 1, line
                while rest and not rest.endswith(b"\n"):
                    rest = file.readline(LONGEST_LINE)
                if not rest:
                    return
                yield number, line
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error


def require_regular(path: Path) -> None:
    """Refuse a device, a pipe or a folder in the place of a file; a missing file is fine.

    Raises:
        UsageError: It is one.
    """
    if path.exists() and not path.is_file():
        raise UsageError(f"{path} is no ordinary file; choose another folder")


class LogWriter:
    """Appends lines to a log, under a lock."""

    def __init__(self, path: Path) -> None:
        """Open the log and lock it.

        Raises:
            UsageError: Another process writes to it, or it is no ordinary file.
            OSError: It cannot be opened.
        """
        require_regular(path)
        self._path, self._process = path, os.getpid()
        self._file = path.open("ab", buffering=0)
        self.locked = True
        """Whether the file system has locks. Without them a second writer is noticed later."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._file.close()
            raise UsageError(
                f"another process is writing to {path.parent}; wait or choose --out"
            ) from error
        except OSError:
            self.locked = False
        self._size = os.fstat(self._file.fileno()).st_size

    @property
    def size(self) -> int:
        """The bytes of the log."""
        return self._size

    def close(self) -> None:
        """Close the log and release the lock."""
        with suppress(OSError):
            self._file.close()

    def repair(self) -> bool:
        """Remove an incomplete last line; return whether there was one."""
        content = self._path.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole == len(content):
            return False
        os.ftruncate(self._file.fileno(), whole)
        self._size = whole
        return True

    def append(self, line: bytes) -> None:
        """Write a line whole or not at all.

        Raises:
            StorageError: Somebody else changed the log.
            OSError: The disk is full or gone.
        """
        self.require_unchanged()
        try:
            rest = memoryview(line)
            while rest:
                rest = rest[self._file.write(rest) :]
            os.fsync(self._file.fileno())
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._file.fileno(), self._size)
            raise
        self._size += len(line)
        self.require_unchanged()

    def require_unchanged(self) -> None:
        """Compare the open log with the file at its path.

        Raises:
            StorageError: Somebody deleted, replaced or changed it, or this process was forked.
        """
        if os.getpid() != self._process:
            raise StorageError(f"a forked process must not write to {self._path}")
        here = os.fstat(self._file.fileno())
        try:
            there = os.stat(self._path)
        except OSError as error:
            raise StorageError(
                f"{self._path} was deleted during the run ({error.strerror})"
            ) from error
        if (there.st_dev, there.st_ino) != (here.st_dev, here.st_ino):
            raise StorageError(f"{self._path} was replaced by another file during the run")
        if here.st_size != self._size:
            raise StorageError(
                f"another program changed {self._path} during the run: it has {here.st_size} "
                f"bytes, not {self._size}"
            )
