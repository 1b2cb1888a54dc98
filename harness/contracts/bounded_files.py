"""Opens files from outside: regular ones alone, and never more than a few bytes of a huge one."""

import os
import stat
from io import BufferedReader
from pathlib import Path


def open_regular(path: Path) -> BufferedReader:
    """Open a file for reading, unless it is a pipe, a device or a folder, which may never end.

    Raises:
        OSError: It does not exist, cannot be read, or is no regular file.
    """
    # Without O_NONBLOCK a pipe would wait for its writer.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(f"{path} is no regular file")
    return os.fdopen(descriptor, "rb")


def read_bounded(path: Path, largest: int) -> bytes:
    """Return a file's content.

    Raises:
        OSError: It cannot be read, is no regular file, or has more than `largest` bytes.
    """
    with open_regular(path) as file:
        content = file.read(largest + 1)
    if len(content) > largest:
        raise OSError(f"{path} has more than {largest} bytes")
    return content
