"""Reads demonstrations for training: data sets of ours, and LeRobot's v3.0 of others.

Nothing that a data set says becomes a path, and nothing in it is executed.
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
from harness.demonstrations.columns import ACTION, LOOKED, PICTURES, PUSHED, STATE
from harness.demonstrations.dataset import (
    DATA,
    IDENTITY,
    INFO,
    OURS,
    PROVENANCE,
    STATISTICS,
    VERSION,
)
from harness.demonstrations.demonstration import Demonstration
from harness.demonstrations.pictures import Pictures
from harness.demonstrations.statistics import Statistics


@dataclass(frozen=True, kw_only=True, eq=False)
class Samples:
    """What a policy that acts in chunks learns from, a row a sample.

    Attributes:
        state: What it senses, (N, S).
        chunk: What it should do from there on, (N, H, A); an episode's last action is repeated.
        padded: Where it is, (N, H). A chunk also ends with a step in which the robot was pushed.
        cut: Which chunks end so, before their episode, (N,): what came next is not known.
        image: What it sees, N pictures a camera, decoded when they are asked for.
        instruction: What it is told, as indices into `Demonstrations.instructions`, (N,).
        episode: Which demonstration it is of, (N,): whole ones belong on one side of a split.
        step: Which step of it, (N,).
    """

    state: NDArray[np.float32]
    chunk: NDArray[np.float32]
    padded: NDArray[np.bool_]
    cut: NDArray[np.bool_]
    image: Mapping[str, Pictures]
    instruction: NDArray[np.int64]
    episode: NDArray[np.int64]
    step: NDArray[np.int64]

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.state)


class Demonstrations:
    """The demonstrations in a folder; opening it reads no demonstration.

    Attributes:
        fps: Control steps in a second.
        cameras: The cameras' roles with their pictures' height and width.
        instructions: Every instruction once.
        state_layout: What the states' numbers mean; None where the data set does not say.
        action_layout: The same of the actions.
    """

    def __init__(self, folder: Path) -> None:
        """Read what the folder says of itself.

        Raises:
            UsageError: It holds no data set that can be read.
        """
        if not (folder / INFO).is_file():
            raise UsageError(f"{folder} holds no data set (no {INFO}); were its parts finished?")
        self._folder = folder
        with _reading(folder / INFO):
            info = json.loads((folder / INFO).read_text())
            if info["codebase_version"] != VERSION or info["data_path"] != DATA:
                raise ValueError(f"it is not of version {VERSION}, or its files lie elsewhere")
            self.fps = int(info["fps"])
            features = info["features"]
            self._sizes = {name: int(features[name]["shape"][0]) for name in (STATE, ACTION)}
            self._marked = [mark for mark in (LOOKED, PUSHED) if mark in features]
            self._columns = {_role(k): k for k, v in features.items() if v["dtype"] == "image"}
            self.cameras = {r: _size(features[k]["shape"]) for r, k in self._columns.items()}
        self._episodes = self._read_episodes()
        told = [row["tasks"][0] for row in self._episodes]
        numbers = {text: number for number, text in enumerate(dict.fromkeys(told))}
        self.instructions = tuple(numbers)
        self._instruction = np.array([numbers[text] for text in told], np.int64)
        layouts = self._read_layouts()
        self.state_layout, self.action_layout = layouts.get("state"), layouts.get("action")

    def __len__(self) -> int:
        """Return the number of demonstrations."""
        return len(self._episodes)

    @property
    def tasks(self) -> tuple[str, ...]:
        """Every task once, as ``benchmark/task``."""
        names = (_ours(row) for row in self._episodes)
        return tuple(dict.fromkeys(f"{name['benchmark']}/{name['task']}" for name in names))

    @cached_property
    def statistics(self) -> Mapping[str, Statistics]:
        """The statistics of `state` and `action`: mean, std, min, max, q01 ... q99, count.

        Raises:
            UsageError: The data set has none.
        """
        with _reading(self._folder / STATISTICS):
            found = json.loads((self._folder / STATISTICS).read_text())
            return {
                kind: {name: np.array(value, np.float64) for name, value in found[column].items()}
                for kind, column in (("state", STATE), ("action", ACTION))
            }

    def episode(self, index: int) -> Demonstration:
        """Read one demonstration; of another's data set it has the names that are known.

        Raises:
            UsageError: It is damaged.
        """
        row = self._episodes[index]
        path = self._file(row)
        with _reading(path):
            wanted = [("episode_index", "==", row["episode_index"])]
            table = pq.read_table(path, columns=self._wanted(self.cameras), filters=wanted)
            return Demonstration(
                **_ours(row),
                instruction=row["tasks"][0],
                fps=self.fps,
                state=self._vectors(table, STATE),
                action=self._vectors(table, ACTION),
                image={
                    role: Pictures(self._contents(table, role), size)[:]
                    for role, size in self.cameras.items()
                },
                looked=np.flatnonzero(self._looked(table) & bool(self.cameras)),
                pushed=np.flatnonzero(self._pushed(table)),
            )

    def samples(
        self, horizon: int, cameras: Sequence[str] | None = None, idle: float = 0.0
    ) -> Samples:
        """Return every sample: of the steps with pictures, or of all when no camera is asked for.

        Args:
            horizon: How many actions a chunk has.
            cameras: The cameras' roles; None asks for all there are.
            idle: Chunks pass over steps at which the robot waits; see `moving`.

        Raises:
            UsageError: There is no such camera, or a file is damaged.
        """
        roles = tuple(self.cameras) if cameras is None else tuple(cameras)
        for role in roles:
            require_known("camera", role, self.cameras)
        states, actions, marks, pushes = [], [], [], []
        contents: dict[str, list[bytes]] = {role: [] for role in roles}
        with _reading(self._folder / "data"):
            for table in self._tables(roles):
                states.append(self._vectors(table, STATE))
                actions.append(self._vectors(table, ACTION))
                marks.append(self._looked(table) | (not roles))
                pushes.append(self._pushed(table))
                for role in roles:
                    contents[role] += self._contents(table, role)
        state, action = np.concatenate(states), np.concatenate(actions)
        lengths = np.array([row["length"] for row in self._episodes], np.int64)
        if len(action) != lengths.sum():
            raise UsageError(f"{self._folder} has {len(action)} rows, not {lengths.sum()}")
        rows = np.flatnonzero(np.concatenate(marks))
        ends = np.cumsum(lengths)
        episode = np.searchsorted(ends, rows, side="right")
        pushed = np.concatenate(pushes)
        # A push is never passed over, or what comes after it would not be seen to.
        done = np.flatnonzero(moving(state, action, ends - lengths, idle) | pushed)
        end = np.searchsorted(done, ends)[episode, None] - 1
        first = np.minimum(np.searchsorted(done, rows)[:, None], end)
        # What comes after a push is the way back from it, which none of its chunk's pictures show.
        stops = np.append(np.flatnonzero(pushed[done]), len(done))
        last = np.minimum(end, stops[np.searchsorted(stops, first)])
        ahead = first + np.arange(horizon)
        return Samples(
            state=state[rows],
            chunk=action[done[np.minimum(ahead, last)]],
            padded=ahead > last,
            cut=(last < np.minimum(end, ahead[:, -1:]))[:, 0],
            image={role: Pictures(contents[role], self.cameras[role]) for role in roles},
            instruction=self._instruction[episode],
            episode=episode,
            step=rows - (ends - lengths)[episode],
        )

    def _wanted(self, roles: Sequence[str] | Mapping[str, Any]) -> list[str]:
        return [STATE, ACTION, *self._marked, *(self._columns[role] for role in roles)]

    def _tables(self, roles: Sequence[str]) -> Iterator[pa.Table]:
        """Read the data files in order, a row group at a time, for they may be large."""
        for path in dict.fromkeys(map(self._file, self._episodes)):
            with pq.ParquetFile(path) as file:
                for group in range(file.num_row_groups):
                    yield file.read_row_group(group, self._wanted(roles))

    def _file(self, row: Mapping[str, Any]) -> Path:
        place = {name: int(row[f"data/{name}"]) for name in ("chunk_index", "file_index")}
        return self._folder / DATA.format(**place)

    def _vectors(self, table: pa.Table, name: str) -> NDArray[np.float32]:
        column = table[name].combine_chunks()
        if not pa.types.is_floating(column.type):
            column = column.flatten()
        rows: NDArray[np.generic] = column.to_numpy().reshape(table.num_rows, self._sizes[name])
        return rows.astype(np.float32)

    def _looked(self, table: pa.Table) -> NDArray[np.bool_]:
        """Return which rows have pictures; in another's data set all do."""
        return self._mark(table, LOOKED, otherwise=True)

    def _pushed(self, table: pa.Table) -> NDArray[np.bool_]:
        """Return which rows' actions were not what was done; in another's data set none are."""
        return self._mark(table, PUSHED, otherwise=False)

    def _mark(self, table: pa.Table, name: str, *, otherwise: bool) -> NDArray[np.bool_]:
        if name in self._marked:
            return np.asarray(table[name])
        return np.full(table.num_rows, otherwise)

    def _contents(self, table: pa.Table, role: str) -> list[bytes]:
        """Return a camera's pictures, without what stands where nobody looked."""
        looked = table[self._columns[role]].filter(pa.array(self._looked(table)))
        return [cell["bytes"] for cell in looked.to_pylist()]

    def _read_episodes(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        for path in sorted((self._folder / "meta/episodes").glob("*/*.parquet")):
            with _reading(path):
                names = [n for n in pq.read_schema(path).names if not n.startswith("stats/")]
                rows += pq.read_table(path, columns=names).to_pylist()
        return rows

    def _read_layouts(self) -> dict[str, Layout]:
        path = self._folder / PROVENANCE
        if not path.is_file():
            return {}
        with _reading(path):
            layouts = json.loads(path.read_text())["layouts"]
            return {k: Layout(tuple(Part(**part) for part in v)) for k, v in layouts.items()}


def moving(
    state: NDArray[np.float32], action: NDArray[np.float32], starts: NDArray[np.int64], idle: float
) -> NDArray[np.bool_]:
    """Return which rows are not a wait: state or action differ from those of the last such row.

    A planner that waits until its gripper is closed counts steps, which a policy cannot see. It
    would learn to wait for ever.

    Args:
        state: What is sensed, a row a step.
        action: What is done, where targets are: of differences some of the way would be lost.
        starts: The episodes' first rows, which always count.
        idle: The largest difference of a number that is none; 0 for no row being a wait.
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
    """Turn what a damaged file causes into an error that names it."""
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, IndexError, pa.ArrowException) as error:
        raise UsageError(f"cannot read {path}: {type(error).__name__}: {error}") from error


def _role(column: str) -> str:
    return column.removeprefix(PICTURES).removeprefix("observation.")


def _size(shape: Sequence[int]) -> tuple[int, int]:
    """Return height and width; the channels may come first or last."""
    height, width = shape[:2] if shape[2] == 3 else shape[1:]
    return int(height), int(width)


def _ours(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return whose demonstration it is; another's data set says only what it was told."""
    found: dict[str, Any] = {name: row.get(OURS + name) for name in IDENTITY}
    if None in found.values():  # Data sets that were merged may have gaps.
        known = {"task": row["tasks"][0], "episode": row["episode_index"], "seed": 0}
        found = {"benchmark": "lerobot", "protocol": ""} | known
    return found | {name: int(found[name]) for name in ("episode", "seed")}
