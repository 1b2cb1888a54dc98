"""Reads what a LeRobot data set says of itself, and checks every field that is used.

The content of a data set is never used as a path, and never executed.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from harness.contracts.bounded_files import read_bounded
from harness.contracts.errors import UsageError
from harness.contracts.foreign_text import error_line
from harness.contracts.registry import SAFE_NAME
from harness.contracts.vectors import Layout, Part
from harness.demonstrations.columns import (
    ACTION_COLUMN,
    HAS_IMAGES,
    IMAGE_COLUMNS,
    PERTURBED,
    STATE_COLUMN,
    ColumnNames,
)
from harness.demonstrations.dataset import (
    DATA_PATH,
    FORMAT_VERSION,
    IDENTITY,
    INFO_FILE,
    OWN_PREFIX,
    PROVENANCE_FILE,
)
from harness.demonstrations.films import FilmPlace
from harness.demonstrations.parquet_files import open_parquet, plain_rows

_LARGEST_SIDE = 8192
"""Pixels of an image's side, at most. More would be a wrong number."""
_LARGEST_ASPECT = 16
"""The longer side of an image over the shorter one, at most; a policy's square would lose it."""
_LARGEST_JSON = 2**24
"""Bytes of a description, at most."""
_MOST_EPISODES = 10**6
"""Demonstrations in a file of their list, at most."""
_LONGEST_REASON = 500
_KINDS = {int: "a whole number", float: "a number", str: "a text", list: "a list", dict: "a map"}
_LARGEST = 10**7
_COUNTS = {"episode_index": 0, "length": 1, "data/chunk_index": 0, "data/file_index": 0}
"""The whole numbers of an episode that are used, and the smallest that each can be.

None may exceed `_LARGEST`, so that no damaged length asks for more memory than there is.
"""
_USED = (*_COUNTS, "tasks", *(OWN_PREFIX + name for name in IDENTITY))
"""The columns of the list of demonstrations that are read."""
_VECTORS = {"state": STATE_COLUMN, "action": ACTION_COLUMN}
_OLD_DATA = "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet"
_OLD_FILMS = "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4"
_FILMS = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
_PATHS = {
    "v2.0": (_OLD_DATA, _OLD_FILMS),
    "v2.1": (_OLD_DATA, _OLD_FILMS),
    FORMAT_VERSION: (DATA_PATH, _FILMS),
}
"""The names of data files and films, by version. Up to v2.1 each episode has its own."""
_OLD_EPISODES = "meta/episodes.jsonl"
_FILM_PARTS = ("chunk_index", "file_index", "from_timestamp")


@dataclass(frozen=True, kw_only=True)
class DataSetInfo:
    """The columns of a data set.

    Attributes:
        version: Of the format.
        names: The names of states and actions.
        films: The cameras whose images are in films, by role.
        per_chunk: Episodes of a folder, up to v2.1.
        fps: Control steps per second.
        sizes: Numbers in a state and in an action, by column.
        flags: The columns of flags that it has.
        columns: The images' columns, by camera role.
        cameras: The images' height and width, by camera role.
    """

    version: str
    names: ColumnNames
    films: frozenset[str]
    per_chunk: int
    fps: int
    sizes: Mapping[str, int]
    flags: tuple[str, ...]
    columns: Mapping[str, str]
    cameras: Mapping[str, tuple[int, int]]


@dataclass(frozen=True, kw_only=True)
class EpisodeEntry:
    """A demonstration as meta/episodes describes it.

    Attributes:
        index: Its number in the data set.
        instruction: The instruction.
        length: Its steps, which are rows of the data file.
        path: The data file.
        identity: Its benchmark, task, episode, seed and protocol. Data sets of other programs do
            not hold them; their instruction becomes the task.
        films: Its films, by camera role.
    """

    index: int
    instruction: str
    length: int
    path: Path
    identity: Mapping[str, Any]
    films: Mapping[str, FilmPlace]


@contextmanager
def reading_file(path: Path) -> Iterator[None]:
    """Raise one kind of error for a damaged file, with the file's name.

    Raises:
        UsageError: The file cannot be read, or its content is wrong.
    """
    damage = (
        OSError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        OverflowError,
        RecursionError,
        MemoryError,
        pa.ArrowException,
    )
    try:
        yield
    except damage as error:
        text = error_line(str(error), _LONGEST_REASON)
        kind = "" if type(error) is ValueError else f"{type(error).__name__}: "
        raise UsageError(f"cannot read {path}: {kind}{text}") from error


def read_json(path: Path) -> Any:
    """Return the content of a JSON file, of a bounded size."""
    return json.loads(read_bounded(path, _LARGEST_JSON).decode())


def read_info(folder: Path, names: ColumnNames) -> DataSetInfo:
    """Read the description of the columns.

    Raises:
        UsageError: It is damaged, or of another format.
    """
    with reading_file(folder / INFO_FILE):
        info = read_json(folder / INFO_FILE)
        version = info["codebase_version"]
        paths = _PATHS.get(version, ("", ""))
        if info["data_path"] != paths[0]:
            raise ValueError(f"it is not of version {', '.join(_PATHS)}, or has other file names")
        features = _field(info, "features", dict)
        columns = _image_columns(features, names.images)
        kinds = {role: features[name]["dtype"] for role, name in columns.items()}
        films = frozenset(role for role, kind in kinds.items() if kind == "video")
        if films and info["video_path"] != paths[1]:
            raise ValueError(f"video_path must be {paths[1]}, got {info['video_path']!r:.80}")
        for role in films:
            if not SAFE_NAME.fullmatch(columns[role]):
                raise ValueError(f"features: {columns[role]!r:.80} is no name of a folder")
        fps = int(info["fps"])
        if not 1 <= fps <= _LARGEST:
            raise ValueError(f"fps must be at least 1, got {info['fps']!s:.80}")
        old = version != FORMAT_VERSION
        return DataSetInfo(
            version=version,
            names=names,
            films=films,
            per_chunk=_count(info, "chunks_size", 1, "") if old else 0,
            fps=fps,
            sizes={name: _vector_size(features, name) for name in (names.state, names.action)},
            flags=tuple(name for name in (HAS_IMAGES, PERTURBED) if name in features),
            columns=columns,
            cameras={role: _image_size(features, name) for role, name in columns.items()},
        )


def _image_columns(features: Mapping[str, Any], chosen: Mapping[str, str]) -> dict[str, str]:
    """Return the columns of images by camera role: those that are chosen, or all."""
    images = [n for n, feature in features.items() if feature["dtype"] in ("image", "video")]
    for name in chosen.values():
        if name not in images:
            raise ValueError(f"features: {name!r:.80} holds no images; {', '.join(images):.200} do")
    columns = dict(chosen) or {_role(name): name for name in images}
    if not chosen and len(columns) < len(images):
        raise ValueError(f"features: two of {', '.join(images):.200} are of one camera")
    return columns


def read_episode_entries(folder: Path, info: DataSetInfo) -> list[EpisodeEntry]:
    """Read the list of the demonstrations.

    Raises:
        UsageError: It is damaged or empty.
    """
    entries: list[EpisodeEntry] = []
    if info.version != FORMAT_VERSION:
        path = folder / _OLD_EPISODES
        with reading_file(path):
            for number, line in enumerate(read_bounded(path, _LARGEST_JSON).splitlines()):
                entries.append(_entry(folder, _object(line, number), number, info))
    films = [f"videos/{info.columns[role]}/{part}" for role in info.films for part in _FILM_PARTS]
    for path in sorted((folder / "meta/episodes").glob("*/*.parquet")):
        with reading_file(path), open_parquet(path, (*_USED, *films)) as file:
            if file.count > _MOST_EPISODES:
                raise ValueError(f"it has {file.count} rows, over {_MOST_EPISODES}")
            for first, table in file.tables():
                rows = enumerate(plain_rows(table), first)
                entries += [_entry(folder, row, number, info) for number, row in rows]
    if not entries:
        raise UsageError(f"{folder} holds no demonstrations: meta/episodes is empty")
    return entries


def read_layouts(folder: Path, sizes: Mapping[str, int]) -> dict[str, Layout]:
    """Return the meaning of `state` and `action`; nothing if the data set does not hold it.

    Raises:
        UsageError: It is damaged, or not of vectors with these sizes.
    """
    path = folder / PROVENANCE_FILE
    if not path.is_file():
        return {}
    with reading_file(path):
        stated = _field(read_json(path), "layouts", dict)
        layouts = {}
        for name, column in _VECTORS.items():
            parts = _field(stated, name, list, "layouts: ")
            layouts[name] = Layout(tuple(_part(part, f"layouts: {name}: ") for part in parts))
            if layouts[name].size != sizes[column]:
                raise ValueError(
                    f"layouts: {name} has {layouts[name].size} numbers, "
                    f"but {column} has {sizes[column]}"
                )
        return layouts


def _object(line: bytes, number: int) -> Mapping[str, Any]:
    try:
        found = json.loads(line)
    except ValueError as error:
        raise ValueError(f"row {number} (from 0): {error}") from error
    if not isinstance(found, dict):
        raise ValueError(f"row {number} (from 0): it must be a map")
    return found


def _entry(folder: Path, row: Mapping[str, Any], number: int, info: DataSetInfo) -> EpisodeEntry:
    """Return a row of the list of demonstrations; `number` is for error messages."""
    where = f"row {number} (from 0): "
    old = info.version != FORMAT_VERSION
    used = {n: least for n, least in _COUNTS.items() if not (old and n.startswith("data/"))}
    counts = {name: _count(row, name, least, where) for name, least in used.items()}
    tasks = _field(row, "tasks", list, where)
    if not tasks or not isinstance(tasks[0], str):
        raise ValueError(f"{where}tasks must hold an instruction, got {tasks!r:.80}")
    if old:
        index = counts["episode_index"]
        indices = {"episode_index": index, "episode_chunk": index // info.per_chunk}
    else:
        indices = {name: counts[f"data/{name}"] for name in ("chunk_index", "file_index")}
    return EpisodeEntry(
        index=counts["episode_index"],
        instruction=tasks[0],
        length=counts["length"],
        path=folder / _PATHS[info.version][0].format(**indices),
        identity=_identity(row, tasks[0], where),
        films={role: _film(folder, row, role, info, indices, where) for role in info.films},
    )


def _film(
    folder: Path,
    row: Mapping[str, Any],
    role: str,
    info: DataSetInfo,
    indices: Mapping[str, int],
    where: str,
) -> FilmPlace:
    """Return where an episode's film of a camera is; `indices` are of its data file."""
    column, start, old = info.columns[role], 0.0, info.version != FORMAT_VERSION
    if not old:
        prefix = f"videos/{column}/"
        indices = {name: _count(row, prefix + name, 0, where) for name in _FILM_PARTS[:2]}
        start = _field(row, prefix + "from_timestamp", float, where)
        if not 0 <= start <= _LARGEST:
            raise ValueError(f"{where}{prefix}from_timestamp is {start}")
    path = folder / _PATHS[info.version][1].format(video_key=column, **indices)
    return FilmPlace(path, start, info.fps, row["length"], alone=old)


def _identity(row: Mapping[str, Any], instruction: str, where: str) -> dict[str, Any]:
    if row.get(f"{OWN_PREFIX}benchmark") is None:
        return {
            "benchmark": "lerobot",
            "task": instruction,
            "episode": row["episode_index"],
            "seed": 0,
            "protocol": "",
        }
    found = {
        name: _field(row, OWN_PREFIX + name, int if name in ("episode", "seed") else str, where)
        for name in IDENTITY
    }
    if found["episode"] < 0:
        raise ValueError(f"{where}{OWN_PREFIX}episode is {found['episode']}")
    return found


def _field(values: Any, name: str, kind: type, where: str = "") -> Any:
    """Return a field.

    Raises:
        ValueError: It is missing, or of another type.
    """
    if not isinstance(values, dict):
        raise ValueError(f"{where}{name} is missing: {values!r:.80} is no map")
    value = values.get(name)
    if not isinstance(value, kind) or isinstance(value, bool):
        found = f"got {value!r:.80}" if name in values else "but is missing"
        raise ValueError(f"{where}{name} must be {_KINDS[kind]}, {found}")
    return value


def _count(values: Any, name: str, least: int, where: str) -> int:
    count: int = _field(values, name, int, where)
    if not least <= count <= _LARGEST:
        raise ValueError(f"{where}{name} must be from {least} to {_LARGEST}, got {count}")
    return count


def _part(value: Any, where: str) -> Part:
    if isinstance(value, dict) and value.keys() - {"name", "size", "meaning"}:
        raise ValueError(f"{where}a part has a name, a size and a meaning, not {value!r:.80}")
    texts = [_field(value, name, str, where) for name in ("name", "meaning")]
    return Part(texts[0], _count(value, "size", 1, where), texts[1])


def _role(column: str) -> str:
    return column.removeprefix(IMAGE_COLUMNS).removeprefix("observation.")


def _shape(features: Mapping[str, Any], name: str) -> Sequence[int]:
    where = f"features: {name}: "
    shape: list[int] = _field(_field(features, name, dict, "features: "), "shape", list, where)
    if not shape or not all(type(size) is int and size > 0 for size in shape):
        raise ValueError(f"{where}shape must hold positive whole numbers, got {shape!r:.80}")
    return shape


def _vector_size(features: Mapping[str, Any], name: str) -> int:
    return _shape(features, name)[0]


def _image_size(features: Mapping[str, Any], name: str) -> tuple[int, int]:
    """Return height and width; the channels may come first or last."""
    shape = _shape(features, name)
    if len(shape) != 3 or 3 not in (shape[0], shape[2]) or max(shape) > _LARGEST_SIDE:
        raise ValueError(f"features: {name}: shape {shape!r:.80} is not that of an image")
    height, width = shape[:2] if shape[2] == 3 else shape[1:]
    if max(height, width) > _LARGEST_ASPECT * min(height, width):
        raise ValueError(f"features: {name}: no camera makes images of {height}x{width}")
    return height, width
