"""Shards: written atomically, with safe names, and read without unpickling."""

import io
import multiprocessing
import os
import signal
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.contracts.atomic import atomic_file
from harness.contracts.errors import StorageError, UsageError
from harness.demonstrations.dataset import write_dataset
from harness.demonstrations.shards import find_shards, write_shard
from tests.helpers.demonstrations import PROVENANCE, made


def _killed_while_writing(folder: Path) -> None:
    with atomic_file(folder / "shards/suite/push/1.npz") as file:
        file.write(b"half of it")
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_worker_leaves_no_shard(tmp_path: Path) -> None:
    write_shard(tmp_path, made(0))
    process = multiprocessing.get_context("fork").Process(
        target=_killed_while_writing, args=(tmp_path,)
    )
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert len(list((tmp_path / "shards/suite/push").iterdir())) == 2
    assert write_dataset(tmp_path, PROVENANCE) == 1


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> None:
        with atomic_file(tmp_path / "file") as file:
            file.write(b"half")
            raise OSError(28, "No space left on device")

    with pytest.raises(StorageError, match="No space left"):
        fail()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "/x", "a\0", "-x", "a b", "a\n"])
def test_names_that_could_leave_the_folder_are_refused(tmp_path: Path, name: str) -> None:
    for changes in ({"benchmark": name}, {"task": name}):
        with pytest.raises(ValueError, match="cannot be part of a file's name"):
            write_shard(tmp_path / "folder", made(**changes))
    image = np.zeros((1, 2, 2, 3), np.uint8)
    with pytest.raises(ValueError, match="cannot be part of a file's name"):
        write_shard(
            tmp_path / "folder", made(image={name: image}, image_steps=np.zeros(1, np.int64))
        )
    assert not list(tmp_path.rglob("*.npz"))


@pytest.mark.parametrize(
    "changes",
    [
        {"state": np.zeros((11, 4))},
        {"state": np.zeros((10, 4), np.float32)},
        {"action": np.full((11, 2), np.nan, np.float32)},
        {"action": np.zeros((0, 2), np.float32)},
        {"image_steps": np.array([0])},
        {"stride": 1, "image_steps": np.arange(1, 12)},
        {"stride": 1, "image_steps": np.zeros(11, np.int64)},
        {"stride": 1, "image_steps": np.arange(5)},
        {"perturbed_steps": np.array([11])},
        {"fps": 0},
    ],
)
def test_arrays_that_do_not_fit_together_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        made(**changes)


def test_files_with_other_names_are_no_shards(tmp_path: Path) -> None:
    path = write_shard(tmp_path, made())
    for name in ("1.npz.x.partial", "one.npz", "-1.npz", "².npz"):
        (path.parent / name).write_bytes(b"")
    assert find_shards(tmp_path) == {("suite", "push"): [path]}


def test_the_error_names_a_damaged_shard_and_nothing_is_unpickled(tmp_path: Path) -> None:
    path = write_shard(tmp_path, made())
    content = io.BytesIO()
    np.save(content, np.array([print], object), allow_pickle=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("header.npy", content.getvalue())
    for _ in range(2):
        with pytest.raises(UsageError, match=r"0\.npz is damaged .*delete it"):
            write_dataset(tmp_path, PROVENANCE)
        path.write_bytes(path.read_bytes()[:50])
