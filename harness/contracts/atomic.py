"""Writes files atomically: a full disk or a kill leaves the old file whole."""

import errno
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from harness.contracts.errors import StorageError

PARTIAL = ".partial"
"""The end of the name of a file that is being written. After a kill it stays."""
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


@contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """Open a file that appears under its name only once all of it is on the disk.

    Raises:
        OSError: It cannot be written. The file that was there stays.
    """
    # The name is short and new: two programs may write one file, and the last one wins.
    partial = path.with_name(f".{uuid.uuid4().hex}{PARTIAL}")
    try:
        with partial.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def write_whole(path: Path, content: bytes | str) -> None:
    """Write a file whole or not at all, a text as UTF-8.

    Raises:
        OSError: It cannot be written. The file that was there stays.
    """
    with whole_file(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


@contextmanager
def atomic_file(path: Path) -> Iterator[IO[bytes]]:
    """Open a whole file, in a folder that is created if missing.

    Raises:
        StorageError: The disk is full or gone; the file that was there stays.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as file:
            yield file
    except OSError as error:
        raise StorageError(f"cannot write {path}: {os_reason(error)}") from error


def is_full(error: OSError) -> bool:
    """Return whether the disk is full or broken, or a file would be too large for its limit."""
    return error.errno in _FULL


def os_reason(error: OSError) -> str:
    """Return the reason in words; some errors of libraries have no number."""
    return error.strerror or str(error).partition("\n")[0]
