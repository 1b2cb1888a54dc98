"""A data set whose description is damaged is refused in one line with the file and the field."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harness.contracts.errors import UsageError
from harness.demonstrations.dataset import write_dataset
from harness.demonstrations.reader import Demonstrations
from harness.demonstrations.shards import write_shard
from tests.helpers.demonstrations import PROVENANCE, made

EPISODES = "meta/episodes/chunk-000/file-000.parquet"
MISSING = object()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for episode in range(3):
        write_shard(tmp_path, made(episode, stride=4))
    write_dataset(tmp_path, PROVENANCE)
    return tmp_path


def refusal(folder: Path) -> str:
    """Return the message of the refused data set; it is one line."""
    with pytest.raises(UsageError) as refused:
        Demonstrations(folder)
    message = str(refused.value)
    assert "\n" not in message
    assert str(folder) in message
    return message


def set_at(value: Any, place: str, new: Any) -> None:
    """Change the field at ``key/key/...`` of a JSON value; `MISSING` removes it."""
    *keys, last = place.split(".")
    for key in keys:
        value = value[int(key) if isinstance(value, list) else key.replace("|", ".")]
    last = last.replace("|", ".")
    if new is MISSING:
        del value[last]
    else:
        value[int(last) if isinstance(value, list) else last] = new


def change_json(path: Path, place: str, new: Any) -> None:
    value = json.loads(path.read_text())
    set_at(value, place, new)
    path.write_text(json.dumps(value))


def change_episodes(folder: Path, change: Callable[[list[dict[str, Any]]], Any]) -> None:
    rows = pq.read_table(folder / EPISODES).to_pylist()
    change(rows)
    pq.write_table(pa.Table.from_pylist(rows), folder / EPISODES)


@pytest.mark.parametrize(
    ("place", "new", "message"),
    [
        ("fps", MISSING, "KeyError: 'fps'"),
        ("fps", 0, "fps must be at least 1, got 0"),
        ("fps", -20, "fps must be at least 1, got -20"),
        ("fps", "fast", "invalid literal for int"),
        ("fps", float("inf"), "OverflowError: cannot convert float infinity"),
        ("features", [], "features must be a map, got []"),
        ("features", MISSING, "features must be a map, but is missing"),
        ("features.action", MISSING, "features: action must be a map, but is missing"),
        ("features.action.shape", [0], "action: shape must hold positive whole numbers, got [0]"),
        ("features.action.shape", [], "action: shape must hold positive whole numbers, got []"),
        ("features.action.shape", ["2"], "action: shape must hold positive whole numbers"),
        ("features.observation|state.shape", 4, "observation.state: shape must be a list, got 4"),
        ("features.observation|images|main.shape", [6, 8], "main: shape [6, 8] is not that of an"),
        ("features.observation|images|main.shape", [6, 8, 4], "main: shape [6, 8, 4] is not that"),
        ("features.observation|images|main.shape", [10**9, 8, 3], "is not that of an image"),
        ("features.observation|images|main.shape", [1, 500, 3], "no camera makes images of 1x500"),
        ("features.observation|images|main.dtype", MISSING, "KeyError: 'dtype'"),
        ("features.observation|main", {"dtype": "image", "shape": [6, 8, 3]}, "are of one camera"),
        ("features.note", 5, "TypeError"),
    ],
)
def test_a_wrong_field_of_info_is_named(data: Path, place: str, new: Any, message: str) -> None:
    change_json(data / "meta/info.json", place, new)
    refused = refusal(data)
    assert message in refused
    assert "meta/info.json: " in refused


@pytest.mark.parametrize(
    "text",
    ["", "null", "[]", "{", "5", '"info"', "[" * 100_000, "\x00", "NaN"],
    ids=lambda t: t[:5],
)
@pytest.mark.parametrize("name", ["meta/info.json", "provenance.json"])
def test_a_file_that_holds_something_else_is_named(data: Path, name: str, text: str) -> None:
    (data / name).write_text(text)
    assert f"cannot read {data / name}: " in refusal(data)
    (data / name).write_bytes(b"\xff\xfe{}")
    assert f"cannot read {data / name}: " in refusal(data)


@pytest.mark.parametrize(
    ("place", "new", "message"),
    [
        ("layouts", MISSING, "layouts must be a map, but is missing"),
        ("layouts", [], "layouts must be a map, got []"),
        ("layouts.state", MISSING, "layouts: state must be a list, but is missing"),
        ("layouts.state", "qpos", "layouts: state must be a list, got 'qpos'"),
        ("layouts.action.0", "move", "layouts: action: name is missing: 'move' is no map"),
        ("layouts.action.0.size", "2", "layouts: action: size must be a whole number, got '2'"),
        ("layouts.action.0.size", True, "layouts: action: size must be a whole number, got True"),
        ("layouts.action.0.size", -2, "layouts: action: size must be from 1 to"),
        ("layouts.action.0.size", 3, "layouts: action has 3 numbers, but action has 2"),
        ("layouts.action.0.name", 5, "layouts: action: name must be a text, got 5"),
        ("layouts.action.0.meaning", MISSING, "meaning must be a text, but is missing"),
        ("layouts.action.0.more", 1, "a part has a name, a size and a meaning, not"),
    ],
)
def test_a_wrong_field_of_the_provenance_is_named(
    data: Path, place: str, new: Any, message: str
) -> None:
    change_json(data / "provenance.json", place, new)
    refused = refusal(data)
    assert message in refused
    assert "provenance.json: " in refused


@pytest.mark.parametrize(
    ("column", "new", "message"),
    [
        ("length", MISSING, "row 0 (from 0): length must be a whole number, but is missing"),
        ("length", None, "row 1 (from 0): length must be a whole number, got None"),
        ("length", 0, "row 1 (from 0): length must be from 1 to 10000000, got 0"),
        ("length", 2**62, "row 1 (from 0): length must be from 1 to 10000000, got 4611"),
        ("tasks", MISSING, "row 0 (from 0): tasks must be a list, but is missing"),
        ("tasks", [], "row 1 (from 0): tasks must hold an instruction, got []"),
        ("tasks", None, "row 1 (from 0): tasks must be a list, got None"),
        ("tasks", [None], "row 1 (from 0): tasks must hold an instruction, got [None]"),
        ("episode_index", -1, "row 1 (from 0): episode_index must be from 0"),
        ("episode_index", MISSING, "episode_index must be a whole number, but is missing"),
        ("data/file_index", -5, "row 1 (from 0): data/file_index must be from 0"),
        ("data/chunk_index", MISSING, "data/chunk_index must be a whole number, but is missing"),
        ("assay/seed", None, "row 1 (from 0): assay/seed must be a whole number, got None"),
        ("assay/episode", -1, "row 1 (from 0): assay/episode is -1"),
        ("assay/task", MISSING, "row 0 (from 0): assay/task must be a text, but is missing"),
    ],
)
def test_a_wrong_field_of_an_episode_is_named(
    data: Path, column: str, new: Any, message: str
) -> None:
    def change(rows: list[dict[str, Any]]) -> None:
        if new is MISSING:
            for row in rows:
                del row[column]
        else:
            rows[1][column] = new

    change_episodes(data, change)
    refused = refusal(data)
    assert message in refused
    assert f"{EPISODES}: " in refused


def test_a_data_set_without_demonstrations_is_refused(data: Path) -> None:
    change_episodes(data, lambda rows: rows.clear())
    assert "holds no demonstrations" in refusal(data)
    (data / EPISODES).unlink()
    assert "holds no demonstrations" in refusal(data)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + bytes(40) + b"PAR1"])
def test_a_damaged_list_of_episodes_is_named(data: Path, content: bytes) -> None:
    (data / EPISODES).write_bytes(content)
    assert f"cannot read {data / EPISODES}: " in refusal(data)


def test_statistics_of_another_form_are_refused(data: Path) -> None:
    values: list[Any] = [
        [],
        {"action": {}},
        {"observation.state": [], "action": []},
        {"action": "x"},
    ]
    for value in values:
        (data / "meta/stats.json").write_text(json.dumps(value))
        with pytest.raises(UsageError, match=r"cannot read .*stats\.json"):
            _ = Demonstrations(data).statistics
