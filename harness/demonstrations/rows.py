"""Checks the rows of data files while they are read, and names the row of a mistake.

Rows are counted from 0 in their file. The functions raise ValueError without the file's name;
`reading_file` adds it.
"""

from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from harness.contracts.errors import UsageError
from harness.demonstrations.metadata import EpisodeEntry

STEP_COLUMNS = ("episode_index", "frame_index")
"""The columns that say which step of which demonstration a row is."""


def row_name(row: int) -> str:
    """Return how error messages name a row of a file."""
    return f"row {row} (from 0)"


class DataRows:
    """Where the rows of a data set are: the files in order, one demonstration after another.

    Attributes:
        starts: The index of each demonstration's first row.
        files: The demonstrations of each file.
    """

    def __init__(self, episodes: Sequence[EpisodeEntry]) -> None:
        """Follow the order of the demonstrations.

        Raises:
            UsageError: The demonstrations of a file are not together.
        """
        lengths = [episode.length for episode in episodes]
        self.starts = np.concatenate([[0], np.cumsum(lengths)])[:-1].astype(np.int64)
        self.files: dict[Path, list[EpisodeEntry]] = {}
        for path, group in groupby(episodes, lambda episode: episode.path):
            if path in self.files:
                raise UsageError(f"meta/episodes lists the demonstrations of {path} in two places")
            self.files[path] = list(group)
        self._paths = list(self.files)
        rows = [sum(episode.length for episode in group) for group in self.files.values()]
        self._firsts = np.cumsum([0, *rows])[:-1]

    def place(self, row: int) -> tuple[Path, int]:
        """Return the file of a row and the row's number in it."""
        file = int(np.searchsorted(self._firsts, row, side="right")) - 1
        return self._paths[file], int(row - self._firsts[file])

    def names(self, rows: NDArray[np.int64], column: str) -> Callable[[int], str]:
        """Return a function that names the n-th of these rows, for error messages."""

        def name(index: int) -> str:
            path, row = self.place(int(rows[index]))
            return f"{path}, {row_name(row)}, {column}"

        return name


def expected_steps(episodes: Sequence[EpisodeEntry]) -> NDArray[np.int64]:
    """Return episode_index and frame_index of every row, (N, 2), in the episodes' order."""
    lengths = [episode.length for episode in episodes]
    indices = np.repeat(np.array([episode.index for episode in episodes], np.int64), lengths)
    return np.column_stack([indices, np.concatenate([np.arange(length) for length in lengths])])


def require_columns(
    schema: pa.Schema, vectors: Sequence[str], flags: Sequence[str], images: Sequence[str]
) -> None:
    """Require that a file has these columns and `STEP_COLUMNS`, before any of them is read.

    Raises:
        ValueError: A column is missing, or holds something else.
    """
    for name in (*vectors, *STEP_COLUMNS, *flags, *images):
        if name not in schema.names:
            raise ValueError(f"the column {name} is missing")
    for name in STEP_COLUMNS:
        if not pa.types.is_integer(kind := schema.field(name).type):
            raise ValueError(f"{name} must hold whole numbers, not {_shown(kind)}")
    for name in vectors:
        kind = schema.field(name).type
        number = kind.value_type if hasattr(kind, "value_type") else kind
        if not (pa.types.is_floating(number) or pa.types.is_integer(number)):
            raise ValueError(f"{name} must hold numbers, not {_shown(number)}")
    for name in flags:
        if not pa.types.is_boolean(kind := schema.field(name).type):
            raise ValueError(f"{name} must hold true or false, not {_shown(kind)}")
    for name in images:
        _require_embedded(name, schema.field(name).type)


def _require_embedded(name: str, kind: pa.DataType) -> None:
    if not (pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0):
        raise ValueError(f"{name} must hold image files, not {_shown(kind)}; embed the pictures")
    content = kind.field("bytes").type
    if not (pa.types.is_binary(content) or pa.types.is_large_binary(content)):
        raise ValueError(f"{name} must hold the bytes of image files, not {_shown(content)}")


def _shown(kind: pa.DataType) -> str:
    return str(kind)[:80]


def require_steps(table: pa.Table, expected: NDArray[np.int64], first: int) -> None:
    """Require that the rows are these steps.

    Args:
        table: Rows of a file.
        expected: Their episode_index and frame_index, (N, 2).
        first: The number of the table's first row in its file.

    Raises:
        ValueError: A row is missing, lost or in another place.
    """
    if table.num_rows != len(expected):
        raise ValueError(f"{table.num_rows} rows from row {first} on, not {len(expected)}")
    columns = [table[name].to_numpy() for name in STEP_COLUMNS]
    for row in np.flatnonzero((columns[0] != expected[:, 0]) | (columns[1] != expected[:, 1])):
        found, wanted = (columns[0][row], columns[1][row]), expected[row]
        raise ValueError(
            f"{row_name(first + row)} holds step {found[1]} of episode {found[0]} in place of "
            f"step {wanted[1]} of episode {wanted[0]}; restore the order of the rows"
        )


def finite_vectors(table: pa.Table, name: str, size: int, first: int) -> NDArray[np.float32]:
    """Return a column of vectors, or of single numbers, (N, size).

    Raises:
        ValueError: A row has another size, or holds a number that is not finite.
    """
    column = table[name].combine_chunks()
    if not (pa.types.is_floating(column.type) or pa.types.is_integer(column.type)):
        sizes = pc.list_value_length(column).to_numpy(zero_copy_only=False)
        for row in np.flatnonzero(sizes != size):
            raise ValueError(
                f"{row_name(first + row)}: {name} has {sizes[row]} numbers, not {size}"
            )
        column = column.flatten()
    if len(column) != table.num_rows * size:
        raise ValueError(f"{name} must hold vectors of {size} numbers, not single numbers")
    given: NDArray[np.generic] = column.to_numpy(zero_copy_only=False)
    with np.errstate(over="ignore", invalid="ignore"):
        values = given.reshape(table.num_rows, size).astype(np.float32)
    for row, number in np.argwhere(~np.isfinite(values)):
        raise ValueError(
            f"{row_name(first + row)}: number {number} of {name} is {values[row, number]}; "
            "correct or remove this episode"
        )
    return values


def flags(table: pa.Table, name: str) -> NDArray[np.bool_]:
    """Return a column of flags.

    Raises:
        ValueError: It has empty rows.
    """
    column = table[name]
    if column.null_count:
        raise ValueError(f"{name} must hold true or false, not empty rows")
    values: NDArray[np.bool_] = column.to_numpy()
    return values


def image_files(table: pa.Table, name: str, wanted: NDArray[np.bool_], first: int) -> list[bytes]:
    """Return the image files of the wanted rows, still encoded.

    Raises:
        ValueError: A row holds no file, perhaps only its path, which is never followed.
    """
    column = table[name]
    contents = pc.struct_field(column, "bytes").combine_chunks()
    empty = wanted & np.asarray(contents.is_null())
    for row in np.flatnonzero(empty):
        raise ValueError(
            f"{row_name(first + row)}: {name} holds no image file, only "
            f"{column[int(row)].as_py()!s:.80}; embed the pictures"
        )
    # Equal files are one object.
    files: list[bytes] = contents.dictionary.to_pylist()
    return [files[index] for index in contents.indices.filter(pa.array(wanted)).to_pylist()]
