"""Puts the parts together: a LeRobot data set v3.0, the same bytes for the same parts."""

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
from harness.contracts.errors import StorageError, UsageError
from harness.contracts.vectors import Layout
from harness.demonstrations import columns
from harness.demonstrations.columns import Form
from harness.demonstrations.parts import Part, find_parts, read_part, whole_file
from harness.demonstrations.statistics import Statistics, Tally

VERSION = "v3.0"
FILES_A_CHUNK = 1000
FILE_MB = 100
LOCATION = "chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
DATA, EPISODES = f"data/{LOCATION}", f"meta/episodes/{LOCATION}"
INFO, STATISTICS, TASKS = "meta/info.json", "meta/stats.json", "meta/tasks.parquet"
PROVENANCE = "provenance.json"
OURS = "assay/"
"""Goes before the columns of meta/episodes that LeRobot does not know."""
IDENTITY = ("benchmark", "task", "episode", "seed", "protocol")
"""What these columns are: whose demonstration it is."""


@dataclass(frozen=True)
class Facts:
    """What the parts do not say.

    Attributes:
        state: What the states' numbers mean.
        action: What the actions' numbers mean.
        attempts: Episodes that the expert played, by ``benchmark/task``.
        successes: Those that it finished.
        versions: Of the packages that took part.
        recording: How they were recorded, with which settings.
    """

    state: Layout
    action: Layout
    attempts: Mapping[str, int] = field(default_factory=dict)
    successes: Mapping[str, int] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    recording: Mapping[str, Any] = field(default_factory=dict)


class _DataFiles:
    """The data files: a row group an episode, a new file before one grows past the limit."""

    def __init__(self, folder: Path, schema: pa.Schema, limit: int) -> None:
        self._folder, self._schema, self._limit = folder, schema, limit
        self._count = 0
        self._file: IO[bytes]
        self._writer: pq.ParquetWriter | None = None

    def add(self, table: pa.Table) -> dict[str, int]:
        """Write an episode and return where."""
        if self._writer and self._file.tell() + table.nbytes > self._limit:
            self.close()
        if not self._writer:
            path = self._folder / DATA.format(**_place(self._count))
            path.parent.mkdir(parents=True, exist_ok=True)
            self._count += 1
            self._file = path.open("wb")
            self._writer = pq.ParquetWriter(self._file, self._schema, compression="snappy")
        self._writer.write_table(table)
        return _place(self._count - 1)

    def close(self) -> None:
        """Bring the present file to the disk."""
        if self._writer:
            self._writer.close()
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._writer = None


def finish(
    folder: Path, facts: Facts, per_task: int | None = None, file_bytes: int = FILE_MB * 2**20
) -> int:
    """Make the folder a data set of the parts in it, in place of an earlier one.

    Args:
        folder: Where `write_part` wrote.
        facts: What the parts do not say.
        per_task: Take at most so many demonstrations a task, those of the first episodes.
        file_bytes: How large a data file may grow.

    Returns:
        The number of demonstrations.

    Raises:
        UsageError: There are no parts, or they do not fit into one data set.
        StorageError: The disk is full or gone; calling it again mends the folder.
    """
    paths = [path for group in find_parts(folder).values() for path in group[:per_task]]
    if not paths:
        raise UsageError(f"{folder} holds no demonstrations; record some into it first")
    if not (folder / PROVENANCE).exists() and any((folder / d).exists() for d in ("data", "meta")):
        raise UsageError(f"{folder} holds a data set that is not ours; choose another folder")
    try:
        _replace(folder, paths, facts, file_bytes)
    except OSError as error:
        raise StorageError(f"cannot write to {folder}: {error.strerror or error}") from error
    return len(paths)


def _replace(folder: Path, paths: list[Path], facts: Facts, file_bytes: int) -> None:
    """Write the data set beside the earlier one, then put it in its place."""
    scratch = folder / "finish.partial"
    shutil.rmtree(scratch, ignore_errors=True)
    _write_json(folder / PROVENANCE, _write(scratch, paths, facts, file_bytes))
    # Without meta it is no data set, so a reader never meets one that is half the earlier one.
    for name in ("meta", "data"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for name in ("data", "meta"):
        (scratch / name).replace(folder / name)
    scratch.rmdir()


def _write(root: Path, paths: list[Path], facts: Facts, file_bytes: int) -> dict[str, Any]:
    """Write data and meta; return the provenance."""
    form = Form.of(read_part(paths[0]))
    _require_layouts(form, facts)
    features = form.features(facts.state, facts.action)
    schema = columns.schema(features)
    files, tally = _DataFiles(root, schema, file_bytes), Tally()
    tasks: dict[str, int] = {}
    episodes: list[dict[str, Any]] = []
    rows = 0
    for index, path in enumerate(paths):
        part = read_part(path)
        if Form.of(part) != form:
            raise UsageError(
                f"{paths[0]} has {form}, but {path} has {Form.of(part)}; "
                "a data set is of one form: record into one folder each"
            )
        task = tasks.setdefault(part.header["instruction"], len(tasks))
        numbers = columns.numbers(part, form, index, rows, task)
        place = files.add(columns.table(part, numbers, schema))
        found = {name: tally.add(name, values) for name, values in numbers.items()}
        for role, camera in part.cameras.items():
            name, count = columns.PICTURES + role, len(camera.contents)
            found[name] = tally.add_pictures(name, camera.histogram, count)
        episodes.append(_episode(part, index, rows, place) | _flat(found))
        rows += len(part.action)
    files.close()
    _write_table(root / EPISODES.format(**_place(0)), pa.Table.from_pylist(episodes))
    _write_table(root / TASKS, _tasks_table(tasks))
    _write_json(root / STATISTICS, {name: _plain(s) for name, s in tally.total().items()})
    _write_json(root / INFO, _info(form, features, len(paths), rows, len(tasks)))
    return _provenance(episodes, facts)


def _require_layouts(form: Form, facts: Facts) -> None:
    for name, layout, size in (
        ("state", facts.state, form.state),
        ("action", facts.action, form.action),
    ):
        if layout.size != size:
            raise UsageError(f"the demonstrations have {size} {name} numbers, not {layout}")


def _info(
    form: Form, features: Mapping[str, Any], episodes: int, rows: int, tasks: int
) -> dict[str, Any]:
    return {
        "codebase_version": VERSION,
        "robot_type": None,
        "total_episodes": episodes,
        "total_frames": rows,
        "total_tasks": tasks,
        "chunks_size": FILES_A_CHUNK,
        "data_files_size_in_mb": FILE_MB,
        "video_files_size_in_mb": 200,
        "fps": form.fps,
        "splits": {"train": f"0:{episodes}"},
        "data_path": DATA,
        "video_path": None,
        "features": features,
    }


def _episode(part: Part, index: int, first: int, place: Mapping[str, int]) -> dict[str, Any]:
    """Return what meta/episodes says of a demonstration, without its statistics."""
    header = part.header
    return {
        "episode_index": index,
        "tasks": [header["instruction"]],
        "length": len(part.action),
        "dataset_from_index": first,
        "dataset_to_index": first + len(part.action),
        **{f"data/{name}": number for name, number in place.items()},
        **{f"meta/episodes/{name}": 0 for name in place},
        **{OURS + name: header[name] for name in IDENTITY},
    }


def _provenance(episodes: Iterable[Mapping[str, Any]], facts: Facts) -> dict[str, Any]:
    """Return where the demonstrations come from."""
    protocols: dict[str, str] = {}
    tasks: dict[str, dict[str, Any]] = {}
    for row in episodes:
        benchmark, protocol = row[f"{OURS}benchmark"], row[f"{OURS}protocol"]
        if protocols.setdefault(benchmark, protocol) != protocol:
            raise UsageError(
                f"the demonstrations of {benchmark} are of {protocols[benchmark]} and of "
                f"{protocol}; record into one folder for each protocol"
            )
        name = f"{benchmark}/{row[f'{OURS}task']}"
        task = tasks.setdefault(name, {"demonstrations": 0, "seeds": set()})
        task["demonstrations"] += 1
        task["seeds"].add(row[f"{OURS}seed"])
    for name, task in tasks.items():
        task["seeds"] = sorted(task["seeds"])
        attempts, successes = facts.attempts.get(name), facts.successes.get(name)
        if attempts and successes is not None:
            rate = round(successes / attempts, 4)
            task |= {"attempts": attempts, "successes": successes, "success_rate": rate}
    layouts = {"state": facts.state, "action": facts.action}
    return {
        "protocols": protocols,
        "tasks": tasks,
        "layouts": {name: asdict(layout)["parts"] for name, layout in layouts.items()},
        "versions": {"assay": __version__, **facts.versions},
        "recording": dict(facts.recording),
    }


def _tasks_table(tasks: Mapping[str, int]) -> pa.Table:
    """Return the instructions, as a frame whose index they are: so LeRobot looks them up."""
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


def _place(count: int) -> dict[str, int]:
    """Return the chunk and the file in it of the data set's file number `count`."""
    return {"chunk_index": count // FILES_A_CHUNK, "file_index": count % FILES_A_CHUNK}


def _plain(statistics: Statistics) -> dict[str, Any]:
    return {name: values.tolist() for name, values in statistics.items()}


def _flat(statistics: Mapping[str, Statistics]) -> dict[str, Any]:
    return {
        f"stats/{column}/{name}": values
        for column, found in statistics.items()
        for name, values in _plain(found).items()
    }


def _write_table(path: Path, table: pa.Table) -> None:
    with whole_file(path) as file:
        pq.write_table(table, file, compression="snappy")


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    with whole_file(path) as file:
        file.write(json.dumps(value, indent=2, allow_nan=False).encode() + b"\n")
