"""A demonstration is a file of its own: whole, safe to name and safe to read."""

import io
import multiprocessing
import os
import signal
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.contracts.errors import StorageError, UsageError
from harness.demonstrations.dataset import finish
from harness.demonstrations.parts import find_parts, whole_file, write_part
from harness.demonstrations.reader import Demonstrations
from tests.helpers.demonstrations import FACTS, assert_same, made


def _killed_while_writing(folder: Path) -> None:
    with whole_file(folder / "parts/suite/push/1.npz") as file:
        file.write(b"half of it")
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_worker_leaves_no_part(tmp_path: Path) -> None:
    write_part(tmp_path, made(0))
    process = multiprocessing.get_context("fork").Process(
        target=_killed_while_writing, args=(tmp_path,)
    )
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert len(list((tmp_path / "parts/suite/push").iterdir())) == 2
    assert finish(tmp_path, FACTS) == 1


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> None:
        with whole_file(tmp_path / "file") as file:
            file.write(b"half")
            raise OSError(28, "No space left on device")

    with pytest.raises(StorageError, match="No space left"):
        fail()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "/x", "a\0", "-x", "a b", "a\n"])
def test_names_cannot_lead_astray(tmp_path: Path, name: str) -> None:
    for changes in ({"benchmark": name}, {"task": name}):
        with pytest.raises(ValueError, match="cannot be part of a file's name"):
            write_part(tmp_path / "folder", made(**changes))
    look = np.zeros((1, 2, 2, 3), np.uint8)
    with pytest.raises(ValueError, match="cannot be part of a file's name"):
        write_part(tmp_path / "folder", made(image={name: look}, looked=np.zeros(1, np.int64)))
    assert not list(tmp_path.rglob("*.npz"))


@pytest.mark.parametrize(
    "changes",
    [
        {"state": np.zeros((11, 4))},
        {"state": np.zeros((10, 4), np.float32)},
        {"action": np.full((11, 2), np.nan, np.float32)},
        {"action": np.zeros((0, 2), np.float32)},
        {"looked": np.array([0])},
        {"stride": 1, "looked": np.arange(1, 12)},
        {"stride": 1, "looked": np.zeros(11, np.int64)},
        {"stride": 1, "looked": np.arange(5)},
        {"pushed": np.array([11])},
        {"fps": 0},
    ],
)
def test_what_does_not_fit_together_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        made(**changes)


def test_strange_files_are_no_parts(tmp_path: Path) -> None:
    path = write_part(tmp_path, made())
    for name in ("1.npz.x.partial", "one.npz", "-1.npz", "².npz"):
        (path.parent / name).write_bytes(b"")
    assert find_parts(tmp_path) == {("suite", "push"): [path]}


def test_a_damaged_part_is_named_and_nothing_unpickled(tmp_path: Path) -> None:
    path = write_part(tmp_path, made())
    content = io.BytesIO()
    np.save(content, np.array([print], object), allow_pickle=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("header.npy", content.getvalue())
    for _ in range(2):
        with pytest.raises(UsageError, match=r"0\.npz is damaged .*delete it"):
            finish(tmp_path, FACTS)
        path.write_bytes(path.read_bytes()[:50])


def test_a_part_from_before_there_were_pushes_has_none(tmp_path: Path) -> None:
    path = write_part(tmp_path, made())
    with zipfile.ZipFile(path) as archive:
        kept = {name: archive.read(name) for name in archive.namelist() if name != "pushed.npy"}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in kept.items():
            archive.writestr(name, content)
    finish(tmp_path, FACTS)
    assert_same(Demonstrations(tmp_path).episode(0), made())
