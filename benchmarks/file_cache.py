"""A folder of files that can be made again: bounded, checked, safe among many processes.

A file appears whole or not at all: it is written beside its place and then renamed. Its name is the
sha256 of its content, or a key; with a key, the content starts with its own sha256. So a damaged
file is found when it is read, and removed. Above the limit, the files go that were not read or
written for longest. Every failure is an `OSError`: whoever called does without the cache.
"""

import contextlib
import hashlib
import os
import re
import stat
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

_OURS = re.compile(r"[0-9a-f]{64}(\.key)?|new-.*")
_DIGEST = 64
_LONGEST = 16 << 20
"""Bytes of the longest file that has a key."""


class FileCache:
    """A folder of files of this user."""

    def __init__(self, folder: Path, limit: int) -> None:
        """Make the folder if it is not there.

        Args:
            folder: Nobody but this user may own it or write to it.
            limit: The most bytes that stay in it.
        """
        self._folder = folder
        self.limit = limit
        folder.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        _check(folder.lstat(), stat.S_IFDIR)

    def put(self, parts: Sequence[memoryview]) -> str:
        """Keep bytes under their sha256, and return it."""
        digest = _sha256(parts)
        size = sum(part.nbytes for part in parts)
        try:
            with self._opened(digest, size):
                return digest
        except OSError:
            self._write(digest, parts)
        return digest

    def fill(self, digest: str, parts: Sequence[memoryview]) -> None:
        """Read the bytes with this sha256 into buffers, which are exactly as long as they are."""
        size = sum(part.nbytes for part in parts)
        with self._opened(digest, size) as file:
            read = os.preadv(file, parts, 0)
        if read != size or _sha256(parts) != digest:
            self._damaged(digest)

    def put_by_key(self, key: str, content: bytes) -> None:
        """Keep bytes under a key of 64 hexadecimal digits, in place of what it had."""
        self._write(f"{key}.key", [_checksum(key, content), content])

    def get_by_key(self, key: str) -> bytes:
        """Return the bytes that a key has."""
        with self._opened(f"{key}.key") as file:
            whole = os.pread(file, _LONGEST, 0)
        checksum, content = whole[:_DIGEST], whole[_DIGEST:]
        if checksum != _checksum(key, content):
            self._damaged(f"{key}.key")
        return content

    def trim(self) -> None:
        """Remove the files that were not used for longest, until the rest is within the limit."""
        found = []
        with os.scandir(self._folder) as entries:
            for entry in entries:
                if _OURS.fullmatch(entry.name):
                    # Another process may have removed it.
                    with contextlib.suppress(FileNotFoundError):
                        status = entry.stat(follow_symlinks=False)
                        found.append((status.st_mtime_ns, status.st_size, entry.path))
        excess = sum(size for _, size, _ in found) - self.limit
        for _, size, path in sorted(found):
            if excess <= 0:
                return
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            excess -= size

    @contextlib.contextmanager
    def _opened(self, name: str, size: int | None = None) -> Iterator[int]:
        """Open a file of this user, and note that it was used."""
        # A pipe must not block.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        file = os.open(self._folder / name, flags)
        try:
            status = os.fstat(file)
            _check(status, stat.S_IFREG)
            if size is not None and status.st_size != size:
                self._damaged(name)
            # A file system may be read-only.
            with contextlib.suppress(OSError):
                os.utime(file)
            yield file
        finally:
            os.close(file)

    def _write(self, name: str, parts: Sequence[bytes | memoryview]) -> None:
        file, path = tempfile.mkstemp(prefix="new-", dir=self._folder)
        try:
            with open(file, "wb") as stream:
                for part in parts:
                    stream.write(part)
            os.replace(path, self._folder / name)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(path)
            raise

    def _damaged(self, name: str) -> None:
        """Remove a file, so that it is written again."""
        with contextlib.suppress(OSError):
            os.unlink(self._folder / name)
        raise OSError(f"{self._folder / name} is damaged")


def _check(status: os.stat_result, kind: int) -> None:
    """Refuse what is of another kind, or what another user owns or can write."""
    if stat.S_IFMT(status.st_mode) != kind:
        raise OSError("not a plain file or folder")
    if status.st_uid != os.geteuid() or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise PermissionError("another user owns it or can write to it")


def _sha256(parts: Sequence[bytes | memoryview]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def _checksum(key: str, content: bytes) -> bytes:
    return _sha256([key.encode(), content]).encode()
