"""Reads LeRobot v3.0 data sets for training, whoever recorded them.

The content of a data set is never used as a path, and never executed.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from harness.contracts.errors import UsageError, require_known
from harness.contracts.vectors import Layout, Part
from harness.demonstrations.column_statistics import Statistics
from harness.demonstrations.columns import (
    ACTION_COLUMN,
    HAS_IMAGES,
    IMAGE_COLUMNS,
    PERTURBED,
    STATE_COLUMN,
)
from harness.demonstrations.dataset import (
    DATA_PATH,
    FORMAT_VERSION,
    IDENTITY,
    INFO_FILE,
    OWN_PREFIX,
    PROVENANCE_FILE,
    STATISTICS_FILE,
)
from harness.demonstrations.demonstration import Demonstration
from harness.demonstrations.images import EncodedImages


@dataclass(frozen=True, kw_only=True, eq=False)
class Samples:
    """The samples for a policy that predicts chunks of actions, one per row.

    Attributes:
        state: The state vector, (N, S).
        chunk: The actions from this step on, (N, H, A). A chunk ends with its episode, or with a
            perturbed step; its last action is repeated to fill it.
        padded: Which of these actions are such repetitions, (N, H).
        cut: Which chunks end with a perturbed step, (N,): their further actions are unknown.
        image: N images by camera, decoded when they are indexed.
        instruction: Indices into `Demonstrations.instructions`, (N,).
        episode: The index of the demonstration, (N,), for a split by whole demonstrations.
        step: The step in the demonstration, (N,).
    """

    state: NDArray[np.float32]
    chunk: NDArray[np.float32]
    padded: NDArray[np.bool_]
    cut: NDArray[np.bool_]
    image: Mapping[str, EncodedImages]
    instruction: NDArray[np.int64]
    episode: NDArray[np.int64]
    step: NDArray[np.int64]

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.state)


class Demonstrations:
    """The demonstrations of a folder; the constructor reads none of them.

    Attributes:
        fps: Control steps per second.
        cameras: The cameras' roles, with the images' height and width.
        instructions: Every instruction once.
        state_layout: The meaning of the states' numbers; None if the data set does not hold it.
        action_layout: The meaning of the actions' numbers; None if the data set does not hold it.
    """

    def __init__(self, folder: Path) -> None:
        """Read the description of the data set.

        Raises:
            UsageError: The folder holds no readable data set.
        """
        if not (folder / INFO_FILE).is_file():
            raise UsageError(
                f"{folder} holds no data set (no {INFO_FILE}); if its recording was interrupted, "
                "run the same command again"
            )
        self._folder = folder
        with _reading(folder / INFO_FILE):
            info = json.loads((folder / INFO_FILE).read_text())
            if info["codebase_version"] != FORMAT_VERSION or info["data_path"] != DATA_PATH:
                raise ValueError(f"it is not of version {FORMAT_VERSION}, or has other file names")
            self.fps = int(info["fps"])
            features = info["features"]
            vectors = (STATE_COLUMN, ACTION_COLUMN)
            self._sizes = {name: int(features[name]["shape"][0]) for name in vectors}
            self._flags = [name for name in (HAS_IMAGES, PERTURBED) if name in features]
            self._columns = {_role(k): k for k, v in features.items() if v["dtype"] == "image"}
            self.cameras = {r: _image_size(features[k]["shape"]) for r, k in self._columns.items()}
        self._episodes = self._read_episodes()
        texts = [row["tasks"][0] for row in self._episodes]
        numbers = {text: number for number, text in enumerate(dict.fromkeys(texts))}
        self.instructions = tuple(numbers)
        self._instruction = np.array([numbers[text] for text in texts], np.int64)
        layouts = self._read_layouts()
        self.state_layout, self.action_layout = layouts.get("state"), layouts.get("action")

    def __len__(self) -> int:
        """Return the number of demonstrations."""
        return len(self._episodes)

    @property
    def tasks(self) -> tuple[str, ...]:
        """Every task once, as ``benchmark/task``."""
        names = (_identity(row) for row in self._episodes)
        return tuple(dict.fromkeys(f"{name['benchmark']}/{name['task']}" for name in names))

    @cached_property
    def statistics(self) -> Mapping[str, Statistics]:
        """Mean, std, min, max, count and the quantiles q01 to q99 of `state` and `action`.

        Raises:
            UsageError: The data set holds no statistics.
        """
        with _reading(self._folder / STATISTICS_FILE):
            found = json.loads((self._folder / STATISTICS_FILE).read_text())
            return {
                kind: {name: np.array(value, np.float64) for name, value in found[column].items()}
                for kind, column in (("state", STATE_COLUMN), ("action", ACTION_COLUMN))
            }

    def episode(self, index: int) -> Demonstration:
        """Read one demonstration. Data sets of other programs lack some of its names.

        Raises:
            UsageError: The file is damaged.
        """
        row = self._episodes[index]
        path = self._file(row)
        with _reading(path):
            wanted = [("episode_index", "==", row["episode_index"])]
            table = pq.read_table(path, columns=self._wanted(self.cameras), filters=wanted)
            return Demonstration(
                **_identity(row),
                instruction=row["tasks"][0],
                fps=self.fps,
                state=self._vectors(table, STATE_COLUMN),
                action=self._vectors(table, ACTION_COLUMN),
                image={
                    role: EncodedImages(self._contents(table, role), size)[:]
                    for role, size in self.cameras.items()
                },
                image_steps=np.flatnonzero(self._has_images(table) & bool(self.cameras)),
                perturbed_steps=np.flatnonzero(self._perturbed(table)),
            )

    def samples(
        self, horizon: int, cameras: Sequence[str] | None = None, idle: float = 0.0
    ) -> Samples:
        """Return a sample for each step with images; without cameras, for each step.

        Args:
            horizon: The number of actions in a chunk.
            cameras: The cameras' roles; None for all.
            idle: Chunks skip steps in which no number of state and action changes by more than
                this; 0 skips none.

        Raises:
            UsageError: A camera is unknown, or a file is damaged.
        """
        roles = tuple(self.cameras) if cameras is None else tuple(cameras)
        for role in roles:
            require_known("camera", role, self.cameras)
        states, actions, wanted, perturbations = [], [], [], []
        contents: dict[str, list[bytes]] = {role: [] for role in roles}
        with _reading(self._folder / "data"):
            for table in self._tables(roles):
                states.append(self._vectors(table, STATE_COLUMN))
                actions.append(self._vectors(table, ACTION_COLUMN))
                wanted.append(self._has_images(table) | (not roles))
                perturbations.append(self._perturbed(table))
                for role in roles:
                    contents[role] += self._contents(table, role)
        state, action = np.concatenate(states), np.concatenate(actions)
        lengths = np.array([row["length"] for row in self._episodes], np.int64)
        if len(action) != lengths.sum():
            raise UsageError(f"{self._folder} has {len(action)} rows, not {lengths.sum()}")
        rows = np.flatnonzero(np.concatenate(wanted))
        ends = np.cumsum(lengths)
        episode = np.searchsorted(ends, rows, side="right")
        perturbed = np.concatenate(perturbations)
        # Perturbed steps are never skipped, because a chunk has to end with them.
        kept = np.flatnonzero(_moving(state, action, ends - lengths, idle) | perturbed)
        end = np.searchsorted(kept, ends)[episode, None] - 1
        first = np.minimum(np.searchsorted(kept, rows)[:, None], end)
        # The actions after a perturbation recover from it; the chunk's image does not show it yet.
        stops = np.append(np.flatnonzero(perturbed[kept]), len(kept))
        last = np.minimum(end, stops[np.searchsorted(stops, first)])
        ahead = first + np.arange(horizon)
        return Samples(
            state=state[rows],
            chunk=action[kept[np.minimum(ahead, last)]],
            padded=ahead > last,
            cut=(last < np.minimum(end, ahead[:, -1:]))[:, 0],
            image={role: EncodedImages(contents[role], self.cameras[role]) for role in roles},
            instruction=self._instruction[episode],
            episode=episode,
            step=rows - (ends - lengths)[episode],
        )

    def _wanted(self, roles: Sequence[str] | Mapping[str, Any]) -> list[str]:
        images = [self._columns[role] for role in roles]
        return [STATE_COLUMN, ACTION_COLUMN, *self._flags, *images]

    def _tables(self, roles: Sequence[str]) -> Iterator[pa.Table]:
        """Read the data files in order, one row group at a time, because they may be large."""
        for path in dict.fromkeys(map(self._file, self._episodes)):
            with pq.ParquetFile(path) as file:
                for group in range(file.num_row_groups):
                    yield file.read_row_group(group, self._wanted(roles))

    def _file(self, row: Mapping[str, Any]) -> Path:
        indices = {name: int(row[f"data/{name}"]) for name in ("chunk_index", "file_index")}
        return self._folder / DATA_PATH.format(**indices)

    def _vectors(self, table: pa.Table, name: str) -> NDArray[np.float32]:
        column = table[name].combine_chunks()
        if not pa.types.is_floating(column.type):
            column = column.flatten()
        rows: NDArray[np.generic] = column.to_numpy().reshape(table.num_rows, self._sizes[name])
        return rows.astype(np.float32)

    def _has_images(self, table: pa.Table) -> NDArray[np.bool_]:
        return self._flag(table, HAS_IMAGES, default=True)

    def _perturbed(self, table: pa.Table) -> NDArray[np.bool_]:
        return self._flag(table, PERTURBED, default=False)

    def _flag(self, table: pa.Table, name: str, *, default: bool) -> NDArray[np.bool_]:
        """Return a column of flags; data sets of other programs lack it and get the default."""
        if name in self._flags:
            return np.asarray(table[name])
        return np.full(table.num_rows, default)

    def _contents(self, table: pa.Table, role: str) -> list[bytes]:
        """Return a camera's image files, without the placeholders."""
        images = table[self._columns[role]].filter(pa.array(self._has_images(table)))
        return [image["bytes"] for image in images.to_pylist()]

    def _read_episodes(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        for path in sorted((self._folder / "meta/episodes").glob("*/*.parquet")):
            with _reading(path):
                names = [n for n in pq.read_schema(path).names if not n.startswith("stats/")]
                rows += pq.read_table(path, columns=names).to_pylist()
        return rows

    def _read_layouts(self) -> dict[str, Layout]:
        path = self._folder / PROVENANCE_FILE
        if not path.is_file():
            return {}
        with _reading(path):
            layouts = json.loads(path.read_text())["layouts"]
            return {k: Layout(tuple(Part(**part) for part in v)) for k, v in layouts.items()}


def _moving(
    state: NDArray[np.float32], action: NDArray[np.float32], starts: NDArray[np.int64], idle: float
) -> NDArray[np.bool_]:
    """Return which rows are not idle: state or action differ from those of the last such row.

    A planner waits a number of steps until the gripper has closed. A policy cannot count steps and
    would learn to wait forever.

    Args:
        state: The state vectors, one per row.
        action: The actions. They must be targets: skipping differences would lose motion.
        starts: The episodes' first rows, which are never idle.
        idle: The largest difference of one number in an idle row; 0 for no idle rows.
    """
    found = np.ones(len(state), np.bool_)
    if idle <= 0:
        return found
    both, first = np.hstack([state, action]), set(starts.tolist())
    kept = 0
    for row in range(len(both)):
        if row not in first and np.abs(both[row] - both[kept]).max() <= idle:
            found[row] = False
        else:
            kept = row
    return found


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Raise one kind of error for a damaged file, with the file's name."""
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, IndexError, pa.ArrowException) as error:
        raise UsageError(f"cannot read {path}: {type(error).__name__}: {error}") from error


def _role(column: str) -> str:
    return column.removeprefix(IMAGE_COLUMNS).removeprefix("observation.")


def _image_size(shape: Sequence[int]) -> tuple[int, int]:
    """Return height and width; the channels may come first or last."""
    height, width = shape[:2] if shape[2] == 3 else shape[1:]
    return int(height), int(width)


def _identity(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a demonstration's benchmark, task, episode, seed and protocol.

    Data sets of other programs do not hold them; their instruction becomes the task.
    """
    if row.get(f"{OWN_PREFIX}benchmark") is not None:
        found = {name: row[OWN_PREFIX + name] for name in IDENTITY}
        return found | {name: int(found[name]) for name in ("episode", "seed")}
    return {
        "benchmark": "lerobot",
        "task": row["tasks"][0],
        "episode": int(row["episode_index"]),
        "seed": 0,
        "protocol": "",
    }
