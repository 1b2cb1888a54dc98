"""Hashes the files that decide a policy's actions."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from harness.contracts.errors import UsageError

MOST_FILES = 1000
"""Files in a named folder, at most."""


def hash_files(paths: Iterable[Path]) -> dict[str, str]:
    """Return the SHA-256 of each file, by path; of a folder, those of all its files.

    Raises:
        UsageError: A file cannot be read, or a folder holds too many.
    """
    return {str(file): _sha256(file) for path in paths for file in _files(path)}


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    files: list[Path] = []
    for file in path.rglob("*"):
        if file.is_file():
            files.append(file)
        if len(files) > MOST_FILES:
            raise UsageError(f"{path} holds more than {MOST_FILES} files; name the weights")
    return sorted(files)


def _sha256(path: Path) -> str:
    if not path.is_file():
        raise UsageError(f"{path} is not a file")
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
