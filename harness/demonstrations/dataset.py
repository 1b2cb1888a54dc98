"""Writes a LeRobot v3.0 data set from shards; the same shards give the same bytes."""

import json
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from harness import __version__
from harness.contracts.atomic import atomic_file
from harness.contracts.errors import StorageError, UsageError
from harness.contracts.vectors import Layout
from harness.demonstrations.column_statistics import RunningStatistics, Statistics
from harness.demonstrations.columns import (
    IMAGE_COLUMNS,
    DataSetShape,
    arrow_schema,
    arrow_table,
    number_columns,
)
from harness.demonstrations.shards import Shard, find_shards, read_shard

FORMAT_VERSION = "v3.0"
_FILES_PER_CHUNK = 1000
_FILE_MB = 100
_LOCATION = "chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
DATA_PATH, _EPISODES_PATH = f"data/{_LOCATION}", f"meta/episodes/{_LOCATION}"
INFO_FILE, STATISTICS_FILE = "meta/info.json", "meta/stats.json"
_TASKS_FILE = "meta/tasks.parquet"
PROVENANCE_FILE = "provenance.json"
OWN_PREFIX = "assay/"
"""The prefix of the columns in meta/episodes that LeRobot does not know."""
IDENTITY = ("benchmark", "task", "episode", "seed", "protocol")
"""The names of these columns without the prefix."""


@dataclass(frozen=True)
class Provenance:
    """Facts about a data set that its shards do not hold.

    Attributes:
        state: The meaning of the states' numbers.
        action: The meaning of the actions' numbers.
        attempts: Episodes that the expert played, by ``benchmark/task``.
        successes: Episodes that succeeded.
        versions: The versions of the packages in use.
        recording: The recorder's settings.
    """

    state: Layout
    action: Layout
    attempts: Mapping[str, int] = field(default_factory=dict)
    successes: Mapping[str, int] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    recording: Mapping[str, Any] = field(default_factory=dict)


class _DataFiles:
    """The data files: one row group per episode, and a new file before one exceeds the limit."""

    def __init__(self, folder: Path, schema: pa.Schema, limit: int) -> None:
        self._folder, self._schema, self._limit = folder, schema, limit
        self._count = 0
        self._file: IO[bytes]
        self._writer: pq.ParquetWriter | None = None

    def add(self, table: pa.Table) -> dict[str, int]:
        """Write an episode and return the indices of its file."""
        if self._writer and self._file.tell() + table.nbytes > self._limit:
            self.close()
        if not self._writer:
            path = self._folder / DATA_PATH.format(**_file_indices(self._count))
            path.parent.mkdir(parents=True, exist_ok=True)
            self._count += 1
            self._file = path.open("wb")
            self._writer = pq.ParquetWriter(self._file, self._schema, compression="snappy")
        self._writer.write_table(table)
        return _file_indices(self._count - 1)

    def close(self) -> None:
        """Flush the current file to the disk."""
        if self._writer:
            self._writer.close()
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._writer = None


def write_dataset(
    folder: Path,
    provenance: Provenance,
    per_task: int | None = None,
    file_bytes: int = _FILE_MB * 2**20,
) -> int:
    """Write the data set of a folder's shards; replace an earlier one.

    Args:
        folder: The folder that holds the shards.
        provenance: Facts that the shards do not hold.
        per_task: The most demonstrations of each task; those of the first episodes are taken.
        file_bytes: The size limit of a data file.

    Returns:
        The number of demonstrations.

    Raises:
        UsageError: There are no shards, or they do not fit into one data set.
        StorageError: The disk is full or gone. Another call repairs the folder.
    """
    paths = [path for group in find_shards(folder).values() for path in group[:per_task]]
    if not paths:
        raise UsageError(f"{folder} holds no demonstrations; record some into it first")
    known = (folder / PROVENANCE_FILE).exists()
    if not known and any((folder / name).exists() for name in ("data", "meta")):
        raise UsageError(f"{folder} holds a data set of another program; choose another folder")
    try:
        _replace(folder, paths, provenance, file_bytes)
    except OSError as error:
        raise StorageError(f"cannot write to {folder}: {error.strerror or error}") from error
    return len(paths)


def _replace(folder: Path, paths: list[Path], provenance: Provenance, file_bytes: int) -> None:
    """Write the data set into a scratch folder, then move it into place."""
    scratch = folder / "dataset.partial"
    shutil.rmtree(scratch, ignore_errors=True)
    _write_json(folder / PROVENANCE_FILE, _write(scratch, paths, provenance, file_bytes))
    # A folder without meta is no data set. So no reader meets a mixture of the old and the new one.
    for name in ("meta", "data"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for name in ("data", "meta"):
        (scratch / name).replace(folder / name)
    scratch.rmdir()


def _write(
    root: Path, paths: list[Path], provenance: Provenance, file_bytes: int
) -> dict[str, Any]:
    """Write data and meta; return the content of provenance.json."""
    shape = DataSetShape.of(read_shard(paths[0]))
    _require_layouts(shape, provenance)
    features = shape.features(provenance.state, provenance.action)
    schema = arrow_schema(features)
    files, statistics = _DataFiles(root, schema, file_bytes), RunningStatistics()
    tasks: dict[str, int] = {}
    episodes: list[dict[str, Any]] = []
    rows = 0
    for index, path in enumerate(paths):
        shard = read_shard(path)
        if DataSetShape.of(shard) != shape:
            raise UsageError(
                f"{paths[0]} has {shape}, but {path} has {DataSetShape.of(shard)}; "
                "one data set cannot hold both: record into one folder each"
            )
        task = tasks.setdefault(shard.header["instruction"], len(tasks))
        columns = number_columns(shard, shape, index, rows, task)
        place = files.add(arrow_table(shard, columns, schema))
        found = {name: statistics.add_numbers(name, values) for name, values in columns.items()}
        for role, camera in shard.cameras.items():
            name, count = IMAGE_COLUMNS + role, len(camera.contents)
            found[name] = statistics.add_images(name, camera.histogram, count)
        episodes.append(_episode(shard, index, rows, place) | _flat(found))
        rows += len(shard.action)
    files.close()
    _write_table(root / _EPISODES_PATH.format(**_file_indices(0)), pa.Table.from_pylist(episodes))
    _write_table(root / _TASKS_FILE, _tasks_table(tasks))
    total = {name: _plain(values) for name, values in statistics.total().items()}
    _write_json(root / STATISTICS_FILE, total)
    _write_json(root / INFO_FILE, _info(shape, features, len(paths), rows, len(tasks)))
    return _provenance_json(episodes, provenance)


def _require_layouts(shape: DataSetShape, provenance: Provenance) -> None:
    for name, layout, size in (
        ("state", provenance.state, shape.state),
        ("action", provenance.action, shape.action),
    ):
        if layout.size != size:
            raise UsageError(f"the demonstrations have {size} {name} numbers, not {layout}")


def _info(
    shape: DataSetShape, features: Mapping[str, Any], episodes: int, rows: int, tasks: int
) -> dict[str, Any]:
    return {
        "codebase_version": FORMAT_VERSION,
        "robot_type": None,
        "total_episodes": episodes,
        "total_frames": rows,
        "total_tasks": tasks,
        "chunks_size": _FILES_PER_CHUNK,
        "data_files_size_in_mb": _FILE_MB,
        "video_files_size_in_mb": 200,
        "fps": shape.fps,
        "splits": {"train": f"0:{episodes}"},
        "data_path": DATA_PATH,
        "video_path": None,
        "features": features,
    }


def _episode(shard: Shard, index: int, first: int, place: Mapping[str, int]) -> dict[str, Any]:
    """Return a demonstration's row of meta/episodes without its statistics."""
    header = shard.header
    return {
        "episode_index": index,
        "tasks": [header["instruction"]],
        "length": len(shard.action),
        "dataset_from_index": first,
        "dataset_to_index": first + len(shard.action),
        **{f"data/{name}": number for name, number in place.items()},
        **{f"meta/episodes/{name}": 0 for name in place},
        **{OWN_PREFIX + name: header[name] for name in IDENTITY},
    }


def _provenance_json(
    episodes: Iterable[Mapping[str, Any]], provenance: Provenance
) -> dict[str, Any]:
    protocols: dict[str, str] = {}
    tasks: dict[str, dict[str, Any]] = {}
    for row in episodes:
        benchmark, protocol = row[f"{OWN_PREFIX}benchmark"], row[f"{OWN_PREFIX}protocol"]
        if protocols.setdefault(benchmark, protocol) != protocol:
            raise UsageError(
                f"the demonstrations of {benchmark} are of two protocols, "
                f"{protocols[benchmark]} and {protocol}; record into one folder for each protocol"
            )
        name = f"{benchmark}/{row[f'{OWN_PREFIX}task']}"
        task = tasks.setdefault(name, {"demonstrations": 0, "seeds": set()})
        task["demonstrations"] += 1
        task["seeds"].add(row[f"{OWN_PREFIX}seed"])
    for name, task in tasks.items():
        task["seeds"] = sorted(task["seeds"])
        attempts, successes = provenance.attempts.get(name), provenance.successes.get(name)
        if attempts and successes is not None:
            rate = round(successes / attempts, 4)
            task |= {"attempts": attempts, "successes": successes, "success_rate": rate}
    layouts = {"state": provenance.state, "action": provenance.action}
    return {
        "protocols": protocols,
        "tasks": tasks,
        "layouts": {name: asdict(layout)["parts"] for name, layout in layouts.items()},
        "versions": {"assay": __version__, **provenance.versions},
        "recording": dict(provenance.recording),
    }


def _tasks_table(tasks: Mapping[str, int]) -> pa.Table:
    """Return the instructions as a pandas frame's index, where LeRobot looks them up."""
    column = {"metadata": None, "numpy_type": "object", "pandas_type": "unicode"}
    indices = {"metadata": None, "numpy_type": "int64", "pandas_type": "int64"}
    note = {
        "index_columns": ["task"],
        "column_indexes": [],
        "columns": [
            {"name": "task_index", "field_name": "task_index", **indices},
            {"name": "task", "field_name": "task", **column},
        ],
        "pandas_version": "2.0.0",
    }
    columns = {"task_index": list(tasks.values()), "task": list(tasks)}
    return pa.table(columns).replace_schema_metadata({"pandas": json.dumps(note)})


def _file_indices(number: int) -> dict[str, int]:
    """Return the chunk of a data file and its place in the chunk."""
    return {"chunk_index": number // _FILES_PER_CHUNK, "file_index": number % _FILES_PER_CHUNK}


def _plain(statistics: Statistics) -> dict[str, Any]:
    return {name: values.tolist() for name, values in statistics.items()}


def _flat(statistics: Mapping[str, Statistics]) -> dict[str, Any]:
    return {
        f"stats/{column}/{name}": values
        for column, found in statistics.items()
        for name, values in _plain(found).items()
    }


def _write_table(path: Path, table: pa.Table) -> None:
    with atomic_file(path) as file:
        pq.write_table(table, file, compression="snappy")


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    with atomic_file(path) as file:
        file.write(json.dumps(value, indent=2, allow_nan=False).encode() + b"\n")
