"""Rows of a data set that are damaged, lost or in another place are refused with file and row."""

import io
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from harness.contracts.errors import UsageError
from harness.demonstrations.dataset import write_dataset
from harness.demonstrations.images import decode_image, encode_png
from harness.demonstrations.reader import Demonstrations
from harness.demonstrations.shards import write_shard
from tests.helpers.demonstrations import PROVENANCE, made

FILE = "data/chunk-000/file-000.parquet"
EPISODES = "meta/episodes/chunk-000/file-000.parquet"
MAIN = "observation.images.main"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two demonstrations of 11 and 12 steps, with images at every fourth."""
    folder = tmp_path_factory.mktemp("whole")
    for episode in range(2):
        write_shard(folder, made(episode, stride=4, steps=11 + episode))
    write_dataset(folder, PROVENANCE)
    return folder


@pytest.fixture
def data(whole: Path, tmp_path: Path) -> Path:
    return shutil.copytree(whole, tmp_path / "copy")


def change_rows(folder: Path, change: Callable[[list[dict[str, Any]]], Any], **groups: int) -> None:
    """Change the rows of the data file; `row_group_size` splits it."""
    table = pq.read_table(folder / FILE)
    rows = table.to_pylist()
    change(rows)
    pq.write_table(pa.Table.from_pylist(rows, table.schema), folder / FILE, **groups)


def refusals(folder: Path, *demonstrations: int) -> list[str]:
    """Return the messages for `samples` and for these demonstrations."""
    messages = []
    data = Demonstrations(folder)

    def decoded() -> None:
        for images in data.samples(4).image.values():
            images[:]

    reads: list[Callable[[], Any]] = [decoded]
    reads += [lambda n=number: data.episode(n) for number in demonstrations]  # type: ignore[misc]
    for read in reads:
        with pytest.raises(UsageError) as refused:
            read()
        messages.append(str(refused.value))
        assert "\n" not in messages[-1]
        assert str(folder) in messages[-1]
    return messages


@pytest.mark.parametrize("size", [5, 1000])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("column", ["action", "observation.state"])
def test_a_number_that_is_not_finite_is_named(
    data: Path, column: str, value: float, size: int
) -> None:
    def change(rows: list[dict[str, Any]]) -> None:
        rows[13][column][1] = value

    change_rows(data, change, row_group_size=size)
    for message in refusals(data, 1):
        wanted = f"cannot read {data / FILE}: row 13 (from 0): number 1 of {column} is {value}"
        assert wanted in message
    assert len(Demonstrations(data).episode(0)) == 11  # The other demonstration is whole.


def test_numbers_too_large_for_float32_are_refused(data: Path) -> None:
    table = pq.read_table(data / FILE)
    numbers = [[1e39 if row == 2 else 0.0, 0.0] for row in range(table.num_rows)]
    place = table.column_names.index("action")
    table = table.set_column(place, "action", pa.array(numbers, pa.list_(pa.float64(), 2)))
    pq.write_table(table, data / FILE)
    for message in refusals(data, 0):
        assert "row 2 (from 0): number 0 of action is inf" in message


@pytest.mark.parametrize("size", [5, 1000])
def test_rows_in_another_order_are_refused(data: Path, size: int) -> None:
    def change(rows: list[dict[str, Any]]) -> None:
        rows[3], rows[4] = rows[4], rows[3]

    change_rows(data, change, row_group_size=size)
    for message in refusals(data, 0):
        wanted = "row 3 (from 0) holds step 4 of episode 0 in place of step 3 of episode 0"
        assert f"cannot read {data / FILE}: {wanted}" in message


def test_demonstrations_in_another_order_are_refused(data: Path) -> None:
    change_rows(data, lambda rows: rows.sort(key=lambda row: -row["episode_index"]))
    (message,) = refusals(data)
    assert "row 0 (from 0) holds step 0 of episode 1 in place of step 0 of episode 0" in message


def test_a_list_of_demonstrations_in_another_order_is_refused(data: Path) -> None:
    table = pq.read_table(data / EPISODES)
    pq.write_table(table.take([1, 0]), data / EPISODES)
    (message,) = refusals(data)
    assert "holds step 0 of episode 0 in place of step 0 of episode 1" in message


def test_a_file_whose_demonstrations_are_listed_apart_is_refused(data: Path) -> None:
    write_shard(data, made(2, stride=4))
    write_dataset(data, PROVENANCE)
    rows = pq.read_table(data / EPISODES).to_pylist()
    rows[1]["data/file_index"] = 1
    pq.write_table(pa.Table.from_pylist(rows), data / EPISODES)
    with pytest.raises(UsageError, match=f"the demonstrations of {data / FILE} in two places"):
        Demonstrations(data)


@pytest.mark.parametrize("lost", [0, 10, 22])
def test_a_lost_row_is_refused(data: Path, lost: int) -> None:
    change_rows(data, lambda rows: rows.pop(lost))
    for message in refusals(data, int(lost > 10)):
        assert f"cannot read {data / FILE}: " in message
    assert "it has 22 rows, but its demonstrations have 23" in refusals(data)[0]


def test_a_row_that_is_there_twice_is_refused(data: Path) -> None:
    def change(rows: list[dict[str, Any]]) -> None:
        rows[5] = rows[4]

    change_rows(data, change)
    for message in refusals(data, 0):
        assert "row 5 (from 0) holds step 4 of episode 0 in place of step 5" in message


@pytest.mark.parametrize(
    "column", ["action", "observation.state", "episode_index", "frame_index", MAIN, "pushed"]
)
def test_a_missing_column_is_named(data: Path, column: str) -> None:
    table = pq.read_table(data / FILE)
    pq.write_table(table.drop_columns([column]), data / FILE)
    for message in refusals(data, 0):
        assert f"cannot read {data / FILE}: " in message
        assert column in message


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        (
            "action",
            [[0.0, 0.0]] * 5 + [[0.0]] + [[0.0, 0.0, 0.0]] + [[0.0, 0.0]] * 16,
            "has 1.* nu",
        ),
        ("action", [[0.0, 0.0]] * 5 + [None] + [[0.0, 0.0]] * 17, "row 5 .*has nan numbers"),
        ("action", [[0.0, None]] * 23, "number 1 of action is nan"),
        ("action", [["0.5", "1"]] * 23, "action must hold numbers, not string"),
        ("action", [0.0] * 23, "action must hold vectors of 2 numbers, not single numbers"),
        ("action", ["x"] * 23, "string"),
        ("pushed", [0] * 23, "pushed must hold true or false, not int64"),
        ("pushed", [None] + [True] * 22, "pushed must hold true or false, not empty rows"),
        ("looked", ["yes"] * 23, "looked must hold true or false, not string"),
        ("frame_index", [None, *range(1, 11), *range(12)], "row 0 .* holds step nan of episode 0"),
        (MAIN, ["images/main/0.png"] * 23, "must hold image files, not string; embed the pictures"),
        (MAIN, [{"path": "0.png"}] * 23, "must hold image files, not struct"),
        (MAIN, [{"bytes": "text", "path": "0.png"}] * 23, "must hold the bytes of image files"),
    ],
)
def test_a_column_of_something_else_is_refused(
    data: Path, column: str, values: list[Any], message: str
) -> None:
    table = pq.read_table(data / FILE)
    place = table.column_names.index(column)
    pq.write_table(table.set_column(place, column, pa.array(values)), data / FILE)
    (refused,) = refusals(data)
    assert f"cannot read {data / FILE}: " in refused
    with pytest.raises(UsageError, match=message):
        Demonstrations(data).samples(4)


def test_a_picture_that_is_only_a_path_is_refused_and_not_followed(data: Path) -> None:
    Image.new("RGB", (8, 6)).save(data / "picture.png")

    def change(rows: list[dict[str, Any]]) -> None:
        rows[15][MAIN] = {"bytes": None, "path": str(data / "picture.png")}

    change_rows(data, change)
    for message in refusals(data, 1):
        assert f"row 15 (from 0): {MAIN} holds no image file, only" in message
        assert "embed the pictures" in message


def damaged(content: bytes) -> dict[str, bytes]:
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 0x10
    gif = io.BytesIO()
    Image.new("RGB", (8, 6)).save(gif, "GIF")
    return {
        "flipped": bytes(flipped),
        "cut": content[: len(content) // 2],
        "empty": b"",
        "GIF": gif.getvalue(),
        "size": encode_png(np.zeros((8, 6, 3), np.uint8)),
    }


@pytest.mark.parametrize("damage", ["flipped", "cut", "empty", "GIF", "size"])
@pytest.mark.parametrize("row", [4, 15])
def test_a_damaged_picture_is_named(data: Path, row: int, damage: str) -> None:
    def change(rows: list[dict[str, Any]]) -> None:
        rows[row][MAIN]["bytes"] = damaged(rows[row][MAIN]["bytes"])[damage]

    change_rows(data, change, row_group_size=6)
    for message in refusals(data, int(row > 10)):
        assert f"cannot read {data / FILE}, row {row} (from 0), {MAIN}: an image " in message


def test_no_changed_byte_of_a_png_changes_the_image() -> None:
    image = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)
    content = encode_png(image)
    end = len(content) - len(b"\0\0\0\0IEND\0\0\0\0")
    np.testing.assert_array_equal(decode_image(content, (6, 8)), image)
    for place in range(len(content)):
        for bit in (0x01, 0x20, 0x80):
            changed = bytearray(content)
            changed[place] ^= bit
            if place < end:
                with pytest.raises(ValueError, match="an image"):
                    decode_image(bytes(changed), (6, 8))
            else:  # The end mark says nothing about the image.
                with suppress(ValueError):
                    np.testing.assert_array_equal(decode_image(bytes(changed), (6, 8)), image)
    for length in range(end):
        with pytest.raises(ValueError, match="an image"):
            decode_image(content[:length], (6, 8))


def test_a_damaged_jpeg_is_an_image_or_a_value_error() -> None:
    file = io.BytesIO()
    image = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)
    Image.fromarray(image).save(file, "JPEG")
    for place in range(len(file.getvalue())):
        changed = bytearray(file.getvalue())
        changed[place] ^= 0x20
        # A JPEG has no checksum: a changed byte may also change the image.
        with suppress(ValueError):
            assert decode_image(bytes(changed), (6, 8)).shape == (6, 8, 3)


def test_a_placeholder_is_never_decoded(data: Path) -> None:
    def change(rows: list[dict[str, Any]]) -> None:
        rows[1][MAIN] = {"bytes": None, "path": "nothing"}

    change_rows(data, change)
    assert len(Demonstrations(data).samples(4).image["main"][:]) == 6
    assert len(Demonstrations(data).episode(0).image["main"]) == 3


@pytest.mark.parametrize("seed", range(10))
def test_random_damage_is_refused_or_harmless(data: Path, seed: int) -> None:
    stream = np.random.default_rng(seed)
    names = ("meta/info.json", "provenance.json", EPISODES, FILE)
    refused: list[str] = []
    for name in 5 * names:
        kept = (data / name).read_bytes()
        content = np.frombuffer(kept, np.uint8).copy()
        # Parquet keeps its description at the end.
        places = stream.integers(max(0, len(content) - 3000), len(content), 3)
        content[places] = stream.integers(0, 256, 3)
        (data / name).write_bytes(content.tobytes())
        try:
            read = Demonstrations(data)
            samples = read.samples(4)
            assert len(samples) == len(samples.image["main"][:])
            assert len(read.episode(1)) == 12
        except UsageError as error:
            refused.append(str(error))
        (data / name).write_bytes(kept)
    assert refused
    assert not any("\n" in message for message in refused)
