"""The log of a training: a line of JSON an update, and one for each validation."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.contracts.errors import StorageError, UsageError

LOG = "log.jsonl"


class Log:
    """Appends lines; those behind the step where a training continues are dropped first."""

    def __init__(self, folder: Path, step: int) -> None:
        """Continue the log of a training after so many updates."""
        self._path = folder / LOG
        self._waiting: list[str] = []
        kept = [line for line in read_log(self._path, torn=True) if line["step"] <= step]
        try:
            partial = self._path.with_suffix(".partial")
            partial.write_text("".join(map(_written, kept)))
            partial.replace(self._path)
            self._file = self._path.open("a")
        except OSError as error:
            raise StorageError(f"cannot write {self._path}: {error.strerror}") from error

    def add(self, **line: Any) -> None:
        """Note a line; it is in the file after the next `flush`."""
        self._waiting.append(_written(line))

    def flush(self) -> None:
        """Write what was noted.

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
        """Finish writing."""
        self.flush()
        self._file.close()


def read_log(path: Path, torn: bool = False) -> list[dict[str, Any]]:
    """Return a log's lines.

    Args:
        path: The file.
        torn: Whether it may be missing, or end in the middle of a line.

    Raises:
        UsageError: It cannot be read.
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
            raise UsageError(f"line {number} of {path} is no line of a training's log") from error


def _written(line: dict[str, Any]) -> str:
    return json.dumps(line) + "\n"
