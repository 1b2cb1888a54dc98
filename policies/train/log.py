"""The log of a training: one line of JSON for each step and each validation."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.contracts.errors import StorageError, UsageError

LOG = "log.jsonl"


class Log:
    """Appends lines to a log."""

    def __init__(self, folder: Path, step: int) -> None:
        """Continue the log after this step; later lines of an earlier start are dropped."""
        self._path = folder / LOG
        self._waiting: list[str] = []
        kept = [line for line in read_log(self._path, torn=True) if line["step"] <= step]
        try:
            partial = self._path.with_suffix(".partial")
            partial.write_text("".join(map(_as_text, kept)))
            partial.replace(self._path)
            self._file = self._path.open("a")
        except OSError as error:
            raise StorageError(f"cannot write {self._path}: {error.strerror}") from error

    def add(self, **line: Any) -> None:
        """Add a line, which `flush` writes."""
        self._waiting.append(_as_text(line))

    def flush(self) -> None:
        """Write the added lines.

        Raises:
            StorageError: The disk is full or gone.
        """
        try:
            self._file.write("".join(self._waiting))
            self._file.flush()
        except OSError as error:
            raise StorageError(f"cannot write {self._path}: {error.strerror}") from error
        self._waiting.clear()

    def close(self) -> None:
        """Write the added lines and close the file."""
        self.flush()
        self._file.close()


def read_log(path: Path, torn: bool = False) -> list[dict[str, Any]]:
    """Return the lines of a log.

    Args:
        path: The file.
        torn: Whether the file may be missing, or end in the middle of a line.

    Raises:
        UsageError: The log cannot be read.
    """
    if torn and not path.is_file():
        return []
    return list(_lines(path, torn))


def _lines(path: Path, torn: bool) -> Iterator[dict[str, Any]]:
    try:
        lines = path.read_text().splitlines(keepends=True)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {path}: {error}") from error
    for number, text in enumerate(lines, 1):
        try:
            line = json.loads(text)
            line["step"] = int(line["step"])
            yield line
        except (ValueError, TypeError, KeyError) as error:
            if torn and number == len(lines):
                return
            raise UsageError(f"line {number} of {path} is not a line of a training log") from error


def _as_text(line: dict[str, Any]) -> str:
    return json.dumps(line) + "\n"
