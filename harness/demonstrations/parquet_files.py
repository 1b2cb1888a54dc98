"""Opens parquet files from outside: what they would take in memory is checked before it is read.

A parquet file describes itself at its end. The checks compare that description with the file's
size, so that a small file cannot fill the memory.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from harness.contracts.bounded_files import open_regular

_LARGEST_DESCRIPTION = 2**25
"""Bytes of a file's description, at most."""
_MOST_PARTS = 10_000
"""Row groups of a file, and columns with their parts, at most. Arrow follows the parts of a column
with the stack, which does not reach to 20,000."""
_LONGEST_TEXT = 2**24
"""Bytes of the texts in a description, at most."""
_LONGEST_PATH = 1000
"""Letters of a column's name with those of its parts, at most."""
_SMALL, _RATIO = 2**28, 32
"""A file may unpack to this many bytes, and this many times its size."""
_MOST_TEXT = 2**26
"""Bytes of the texts in a table of texts, at most."""
_WIDTHS = {"BOOLEAN": 1, "INT32": 4, "FLOAT": 4, "INT96": 12}
"""Bytes of a number that are not 8. A text takes more, which the size of its pages counts."""


@contextmanager
def open_parquet(path: Path, columns: Sequence[str]) -> Iterator["ParquetColumns"]:
    """Open some columns of a file, or parts of columns; those that it lacks are left out.

    Texts and bytes are read as dictionaries, so that a repeated one takes its memory once.

    Raises:
        OSError: It cannot be read, or is no parquet file.
        ValueError: It would take too much memory.
    """
    with open_regular(path) as file:
        size = _require_short_description(file)
        limits = {
            "thrift_string_size_limit": _LONGEST_TEXT,
            "thrift_container_size_limit": _MOST_PARTS,
        }
        plain = pq.ParquetFile(file, **limits)
        described, schema = plain.metadata, plain.metadata.schema
        paths = [schema.column(number).path for number in range(len(schema))]
        if any(len(path) > _LONGEST_PATH for path in paths):
            raise ValueError("a column has a name that is too long, or too many parts")
        leaves = [n for n, path in enumerate(paths) if _is_of(path, columns)]
        _require_small(described, leaves, size)
        texts = [paths[n] for n in leaves if schema.column(n).physical_type == "BYTE_ARRAY"]
        opened = pq.ParquetFile(file, metadata=described, read_dictionary=texts, **limits)
        yield ParquetColumns(opened, plain.schema_arrow, [paths[n] for n in leaves])


class ParquetColumns:
    """Some columns of an open file.

    Attributes:
        schema: The types of all columns.
        count: The number of rows.
    """

    def __init__(self, file: pq.ParquetFile, schema: pa.Schema, paths: Sequence[str]) -> None:
        """Take the paths of the columns to read."""
        self._file, self._paths, self.schema = file, list(paths), schema
        self.count: int = file.metadata.num_rows

    def tables(self, first: int = 0, end: int | None = None) -> Iterator[tuple[int, pa.Table]]:
        """Yield the rows from `first` to `end`, a row group at a time, with their first number."""
        end = self.count if end is None else end
        start = 0
        for group in range(self._file.num_row_groups):
            rows: int = self._file.metadata.row_group(group).num_rows
            low, high = max(first, start), min(end, start + rows)
            if low < high:
                table = self._file.read_row_group(group, self._paths)
                if table.num_rows != rows:
                    raise ValueError(f"row group {group} has {table.num_rows} rows, not {rows}")
                yield low, table.slice(low - start, high - low)
            start += rows


def plain_rows(table: pa.Table) -> list[dict[str, Any]]:
    """Return a table of numbers and texts as Python objects.

    Raises:
        ValueError: Its texts would take too much memory.
    """
    for name in table.column_names:
        for chunk in table[name].chunks:
            if _text_size(chunk) > _MOST_TEXT:
                raise ValueError(f"the texts of {name} have more than {_MOST_TEXT} bytes")
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


def _require_short_description(file: BinaryIO) -> int:
    """Return the size of a parquet file.

    Raises:
        OSError: It is none, or its description is too long.
    """
    size = file.seek(0, 2)
    file.seek(max(0, size - 8))
    end = file.read(8)
    length = int.from_bytes(end[:4], "little")
    if end[4:] != b"PAR1" or length + 8 > size:
        raise OSError("it is no parquet file, or is cut")
    if length > _LARGEST_DESCRIPTION:
        raise OSError(f"its description has {length} bytes, over {_LARGEST_DESCRIPTION}")
    file.seek(0)
    return size


def _is_of(path: str, columns: Sequence[str]) -> bool:
    return any(path == name or path.startswith(f"{name}.") for name in columns)


def _require_small(described: pq.FileMetaData, leaves: Sequence[int], size: int) -> None:
    """Require that columns need no more memory than their file justifies.

    Raises:
        ValueError: They do, or a size is impossible.
    """
    schema, most = described.schema, _SMALL + _RATIO * size
    widths = [_WIDTHS.get(schema.column(n).physical_type, 8) for n in leaves]
    total = 0
    for group in range(described.num_row_groups):
        part = described.row_group(group)
        for leaf, width in zip(leaves, widths, strict=True):
            chunk = part.column(leaf)
            if min(part.num_rows, chunk.num_values, chunk.total_uncompressed_size) < 0:
                raise ValueError(f"row group {group} has a negative size")
            total += max(chunk.total_uncompressed_size, width * chunk.num_values)
            if total > most:
                raise ValueError(f"it has {size} bytes, but unpacks to more than {most}")


def _text_size(column: pa.Array) -> int:
    """Return the bytes of all texts in a column of texts or lists of texts, repeated ones too."""
    while pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        column = column.flatten()
    if not pa.types.is_dictionary(column.type):
        return 0
    sizes = pc.take(pc.binary_length(column.dictionary), column.indices)
    return int(pc.sum(sizes).as_py() or 0)
