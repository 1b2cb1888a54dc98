"""Parquet files that are damaged, nested, or would fill the memory are refused in one line."""

import os
import re
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harness.contracts.errors import UsageError
from harness.demonstrations.dataset import write_dataset
from harness.demonstrations.reader import Demonstrations
from harness.demonstrations.shards import write_shard
from tests.fuzz.test_limits import refused
from tests.helpers.demonstrations import PROVENANCE, made

DATA = "data/chunk-000/file-000.parquet"
EPISODES = "meta/episodes/chunk-000/file-000.parquet"
MAIN = "observation.images.main"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    for episode in range(2):
        write_shard(folder, made(episode, stride=4, steps=11 + episode))
    write_dataset(folder, PROVENANCE)
    return folder


@pytest.fixture
def data(whole: Path, tmp_path: Path) -> Path:
    return shutil.copytree(whole, tmp_path / "copy")


def read_all(folder: Path) -> Any:
    read = Demonstrations(folder)
    samples = read.samples(4)
    return samples.state, samples.chunk, samples.image["main"][:], read.episode(1).action


def equal(one: Any, other: Any) -> bool:
    return all(map(np.array_equal, one, other))


def changed(folder: Path, name: str, values: pa.Array, column: str, **options: Any) -> None:
    """Replace a column, with as many rows as the new one has."""
    table = pq.read_table(folder / name)
    rows = table.take(np.arange(len(values)) % table.num_rows)
    place = table.column_names.index(column)
    pq.write_table(rows.set_column(place, column, values), folder / name, **options)


# Large, but not hostile.


@pytest.mark.parametrize("rows", [1, 5, 23])
def test_any_row_groups_give_the_same_data(whole: Path, data: Path, rows: int) -> None:
    pq.write_table(pq.read_table(data / DATA), data / DATA, row_group_size=rows)
    assert equal(read_all(data), read_all(whole))
    assert all(len(Demonstrations(data).episode(n)) == 11 + n for n in range(2))


@pytest.mark.parametrize("options", [{"use_dictionary": False}, {"compression": "zstd"}, {}])
@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary()])
def test_any_encoding_gives_the_same_data(
    whole: Path, data: Path, kind: pa.DataType, options: dict[str, Any]
) -> None:
    table = pq.read_table(data / DATA)
    place = table.column_names.index(MAIN)
    images = table[MAIN].cast(pa.struct({"bytes": kind, "path": pa.string()}))
    pq.write_table(table.set_column(place, MAIN, images), data / DATA, **options)
    assert equal(read_all(data), read_all(whole))


def test_columns_that_nobody_uses_are_not_read(whole: Path, data: Path) -> None:
    for name in (DATA, EPISODES):
        table = pq.read_table(data / name)
        deep: Any = 1
        for _ in range(20):
            deep = {"a": [deep]}
        table = table.append_column("deep", pa.array([deep] * table.num_rows))
        big = pa.DictionaryArray.from_arrays(np.zeros(table.num_rows, np.int32), ["x" * 2**26])
        pq.write_table(table.append_column("big", big), data / name)
    assert equal(read_all(data), read_all(whole))


# Damage.


@pytest.mark.parametrize("name", [DATA, EPISODES])
@pytest.mark.parametrize("bits", [0x01, 0x80, 0xFF])
def test_a_changed_byte_anywhere_is_refused_in_a_line_or_is_data(
    data: Path, name: str, bits: int
) -> None:
    kept = (data / name).read_bytes()
    refusals = []
    for place in range(bits % 7, len(kept), len(kept) // 60):
        content = bytearray(kept)
        content[place] ^= bits
        (data / name).write_bytes(content)
        try:
            read_all(data)
        except UsageError as error:
            refusals.append(str(error))
    assert refusals
    assert all(line.isprintable() and ".parquet" in line for line in refusals)
    assert max(map(len, refusals)) < 1000


@pytest.mark.parametrize("name", [DATA, EPISODES])
def test_a_file_without_a_part_is_refused(whole: Path, data: Path, name: str) -> None:
    kept = (data / name).read_bytes()
    size, refusals = len(kept), []
    for start in range(0, size, size // 20):
        (data / name).write_bytes(kept[:start])
        with pytest.raises(UsageError, match=f"cannot read .*{name}"):
            read_all(data)
        for part in (kept[:start] + kept[start + 50 :], kept[start + 1 :]):
            (data / name).write_bytes(part)
            try:  # The part may be of a column that nobody reads.
                assert equal(read_all(data), read_all(whole))
            except UsageError as error:
                refusals.append(str(error))
    assert len(refusals) > 20
    assert all(f"cannot read {data}" in line for line in refusals)


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("action", [[[0.0], [1.0]]] * 23, "action must hold numbers, not list<"),
        ("action", [{"x": 0.0}] * 23, "action must hold numbers, not struct<"),
        ("observation.state", [b"x"] * 23, "observation.state must hold numbers, not binary"),
        ("frame_index", ["0"] * 23, "frame_index must hold whole numbers, not string"),
        ("episode_index", [[0]] * 23, "episode_index must hold whole numbers, not list<"),
        ("episode_index", [0.5] * 23, "episode_index must hold whole numbers, not double"),
        (MAIN, [[{"bytes": b""}]] * 23, f"{MAIN} must hold image files, not list<"),
        (MAIN, [{"bytes": [b""]}] * 23, f"{MAIN} must hold the bytes of image files, not list<"),
    ],
)
def test_a_column_of_another_type_is_named(
    data: Path, column: str, values: list[Any], message: str
) -> None:
    changed(data, DATA, pa.array(values), column)
    wanted = re.escape(f"cannot read {data / DATA}: {message}")
    with pytest.raises(UsageError, match=wanted):
        Demonstrations(data).samples(4)
    with pytest.raises(UsageError, match=wanted):
        Demonstrations(data).episode(1)


# Files that would fill the memory: two seconds of CPU and 500 MB more are allowed.


def unpacked(folder: Path) -> None:
    """Images of zeros: 320 MiB in a file of some KiB."""
    content = pa.array([bytes(2**23)] * 40, pa.binary())
    images = pa.StructArray.from_arrays([content, pa.nulls(40, pa.string())], ["bytes", "path"])
    changed(folder, DATA, images, MAIN, compression="zstd", use_dictionary=False)


def long_list(folder: Path) -> None:
    """One action of 80 million numbers."""
    numbers = pa.array(np.zeros(8 * 10**7, np.float32))
    offsets = pa.array([0] * 23 + [len(numbers)], pa.int32())
    actions = pa.ListArray.from_arrays(offsets, numbers)
    changed(folder, DATA, actions, "action", compression="zstd")
    assert (folder / DATA).stat().st_size < 10**5


def repeated_image(folder: Path) -> None:
    """An image file of 1 MiB in each of 3,000 rows, stored once."""
    index = np.zeros(3000, np.int32)
    content = pa.DictionaryArray.from_arrays(index, pa.array([os.urandom(2**20)], pa.binary()))
    images = pa.StructArray.from_arrays(
        [content, pa.nulls(len(index), pa.string())], ["bytes", "path"]
    )
    rows = pq.read_table(folder / EPISODES).slice(0, 1).to_pylist()
    rows[0]["length"] = len(index)
    pq.write_table(pa.Table.from_pylist(rows), folder / EPISODES)
    table = pq.read_table(folder / DATA).take(np.zeros(len(index), np.int64))
    for name, values in (
        (MAIN, images),
        ("frame_index", pa.array(np.arange(len(index)))),
        ("looked", pa.array(np.ones(len(index), np.bool_))),
    ):
        table = table.set_column(table.column_names.index(name), name, values)
    pq.write_table(table, folder / DATA)


def repeated_text(folder: Path) -> None:
    """An instruction of 1 MiB for each of 3,000 demonstrations, stored once."""
    index = np.zeros(3000, np.int32)
    texts = pa.DictionaryArray.from_arrays(index, ["x" * 2**20])
    tasks = pa.ListArray.from_arrays(np.arange(len(index) + 1, dtype=np.int32), texts)
    changed(folder, EPISODES, tasks, "tasks")
    assert (folder / EPISODES).stat().st_size < 2**22


def many_groups(folder: Path) -> None:
    table = pa.table({"episode_index": [0]})
    with pq.ParquetWriter(folder / DATA, table.schema) as writer:
        for _ in range(10_001):
            writer.write_table(table)


def long_description(folder: Path) -> None:
    """A description of 2 GiB, as its length says, in a sparse file."""
    with (folder / DATA).open("wb") as file:
        file.write(b"PAR1")
        file.seek(2**32)
        file.write(struct.pack("<I", 2**31) + b"PAR1")


def described(elements: list[bytes]) -> bytes:
    """Return a file without rows whose schema has these elements, in Thrift's compact form."""
    count = len(elements)
    size = bytes([count & 127 | 128, count >> 7 & 127 | 128, count >> 14])
    end = b"\x15\x04\x19\xfc" + size + b"".join(elements) + b"\x16\x00\x19\x0c\x00"
    return b"PAR1" + end + struct.pack("<I", len(end)) + b"PAR1"


def nested(folder: Path, depth: int) -> None:
    """A column of groups in groups; at 20,000 Arrow overflows the stack."""
    group = b"\x35\x00\x18\x01a\x15\x02\x00"
    leaf = b"\x15\x04\x25\x00\x18\x01a\x00"
    (folder / DATA).write_bytes(described([group] * depth + [leaf]))


@pytest.mark.parametrize(
    "damage",
    [
        unpacked,
        long_list,
        repeated_image,
        repeated_text,
        many_groups,
        long_description,
        lambda folder: nested(folder, 400),
        lambda folder: nested(folder, 9000),
        lambda folder: nested(folder, 100_000),
    ],
)
def test_a_file_that_would_fill_the_memory_is_refused(
    data: Path, damage: Callable[[Path], None]
) -> None:
    damage(data)
    said = refused(
        data,
        "from harness.demonstrations.reader import Demonstrations",
        "Demonstrations(path).samples(4).image['main'][:]",
    )
    assert f"cannot read {data}" in said
    assert "MemoryError" not in said
