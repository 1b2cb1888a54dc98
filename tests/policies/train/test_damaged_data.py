"""Training on a damaged data set ends with one line that names the place, not with a policy."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harness.contracts.errors import UsageError
from policies.train.__main__ import main
from policies.train.corpus import read_corpus
from policies.train.settings import Settings
from tests.helpers.demos import PIXELS, write_demos

FILE = "data/chunk-000/file-000.parquet"
SETTINGS = Settings(horizon=4, replan=4, batch=8, size="dummy", held_out=3)
Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_demos(tmp_path_factory.mktemp("demos"), range(4))


@pytest.fixture
def data(whole: Path, tmp_path: Path) -> Path:
    return shutil.copytree(whole, tmp_path / "copy")


def change(folder: Path, name: str, how: Callable[[Rows], Any]) -> None:
    table = pq.read_table(folder / name)
    rows = table.to_pylist()
    how(rows)
    pq.write_table(pa.Table.from_pylist(rows, table.schema), folder / name)


def infinite_action(rows: Rows) -> None:
    rows[25]["action"][2] = np.inf


def unknown_state(rows: Rows) -> None:
    rows[25]["observation.state"][0] = np.nan


def swapped_rows(rows: Rows) -> None:
    rows[25], rows[26] = rows[26], rows[25]


def lost_row(rows: Rows) -> None:
    del rows[25]


def flipped_byte(rows: Rows) -> None:
    content = bytearray(rows[25]["observation.images.wrist"]["bytes"])
    content[len(content) // 2] ^= 1
    rows[25]["observation.images.wrist"]["bytes"] = bytes(content)


def cut_picture(rows: Rows) -> None:
    rows[25]["observation.images.wrist"]["bytes"] = b"\x89PNG"


def path_of_a_picture(rows: Rows) -> None:
    rows[25]["observation.images.wrist"] = {"bytes": None, "path": "wrist/25.png"}


DAMAGE = [
    (infinite_action, "row 25 (from 0): number 2 of action is inf"),
    (unknown_state, "row 25 (from 0): number 0 of observation.state is nan"),
    (swapped_rows, "row 25 (from 0) holds step 6 of episode 2 in place of step 5 of episode 2"),
    (lost_row, "it has 39 rows, but its demonstrations have 40"),
    (flipped_byte, "row 25 (from 0), observation.images.wrist: an image cannot be read"),
    (cut_picture, "row 25 (from 0), observation.images.wrist: an image cannot be read"),
    (path_of_a_picture, "row 25 (from 0): observation.images.wrist holds no image file"),
]


@pytest.mark.parametrize(
    ("how", "message"), DAMAGE, ids=lambda value: getattr(value, "__name__", "")
)
@pytest.mark.parametrize("memory", [1, 0])
def test_no_damaged_row_is_trained_on(
    data: Path, how: Callable[[Rows], Any], message: str, memory: float
) -> None:
    change(data, FILE, how)
    with pytest.raises(UsageError) as refused:
        read_corpus([data], SETTINGS, PIXELS, memory, data)
    assert str(refused.value).startswith(f"cannot read {data / FILE}")
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def without_lengths(folder: Path) -> None:
    path = folder / "meta/episodes/chunk-000/file-000.parquet"
    pq.write_table(pq.read_table(path).drop_columns(["length"]), path)


def without_layouts(folder: Path) -> None:
    provenance = json.loads((folder / "provenance.json").read_text())
    (folder / "provenance.json").write_text(json.dumps(provenance | {"layouts": None}))


@pytest.mark.parametrize(
    ("how", "message"),
    [
        (lambda folder: change(folder, FILE, infinite_action), "number 2 of action is inf"),
        (lambda folder: change(folder, FILE, flipped_byte), "observation.images.wrist: an image"),
        (without_lengths, "length must be a whole number, but is missing"),
        (without_layouts, "layouts must be a map, got None"),
    ],
    ids=["number", "picture", "length", "provenance"],
)
def test_the_command_ends_with_one_line_and_no_checkpoint(
    data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    how: Callable[[Path], None],
    message: str,
) -> None:
    how(data)
    assert main(["--data", str(data), "--out", str(tmp_path / "policy"), "--size", "dummy"]) == 2
    error = capsys.readouterr().err.strip()
    assert message in error
    assert "\n" not in error
    assert not list((tmp_path / "policy").glob("**/*.safetensors"))
