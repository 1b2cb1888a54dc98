"""Reads LeRobot data sets of v2.0, v2.1 and v3.0 for training, whoever recorded them.

The content of a data set is never used as a path, and never executed.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from harness.contracts.errors import UsageError, require_known
from harness.demonstrations.column_statistics import Statistics
from harness.demonstrations.columns import HAS_IMAGES, PERTURBED, ColumnNames
from harness.demonstrations.dataset import INFO_FILE, STATISTICS_FILE
from harness.demonstrations.demonstration import Demonstration
from harness.demonstrations.films import FilmImages
from harness.demonstrations.images import EncodedImages
from harness.demonstrations.metadata import (
    EpisodeEntry,
    read_episode_entries,
    read_info,
    read_json,
    read_layouts,
    reading_file,
)
from harness.demonstrations.parquet_files import open_parquet
from harness.demonstrations.rows import (
    STEP_COLUMNS,
    DataRows,
    expected_steps,
    finite_vectors,
    flags,
    image_files,
    require_columns,
    require_steps,
)

StoredImages = EncodedImages | FilmImages


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
    image: Mapping[str, StoredImages]
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

    def __init__(self, folder: Path, names: ColumnNames | None = None) -> None:
        """Read the description of the data set.

        Args:
            folder: Its folder.
            names: The names of its columns; None for LeRobot's.

        Raises:
            UsageError: The folder holds no readable data set.
        """
        if not (folder / INFO_FILE).is_file():
            raise UsageError(
                f"{folder} holds no data set (no {INFO_FILE}); if its recording was interrupted, "
                "run the same command again"
            )
        names = names or ColumnNames()
        self._folder, self._info = folder, read_info(folder, names)
        self.fps, self.cameras = self._info.fps, self._info.cameras
        self._episodes = read_episode_entries(folder, self._info)
        texts = [episode.instruction for episode in self._episodes]
        numbers = {text: number for number, text in enumerate(dict.fromkeys(texts))}
        self.instructions = tuple(numbers)
        self._instruction = np.array([numbers[text] for text in texts], np.int64)
        self._places = DataRows(self._episodes)
        # Recorded layouts are of the recorded columns.
        own = names == ColumnNames(images=names.images)
        layouts = read_layouts(folder, self._info.sizes) if own else {}
        self.state_layout, self.action_layout = layouts.get("state"), layouts.get("action")

    def __len__(self) -> int:
        """Return the number of demonstrations."""
        return len(self._episodes)

    @property
    def tasks(self) -> tuple[str, ...]:
        """Every task once, as ``benchmark/task``."""
        names = (episode.identity for episode in self._episodes)
        return tuple(dict.fromkeys(f"{name['benchmark']}/{name['task']}" for name in names))

    @cached_property
    def statistics(self) -> Mapping[str, Statistics]:
        """Mean, std, min, max, count and the quantiles q01 to q99 of `state` and `action`.

        Raises:
            UsageError: The data set holds no statistics.
        """
        names = self._info.names
        with reading_file(self._folder / STATISTICS_FILE):
            found = read_json(self._folder / STATISTICS_FILE)
            return {
                kind: {name: np.array(value, np.float64) for name, value in found[column].items()}
                for kind, column in (("state", names.state), ("action", names.action))
            }

    def episode(self, index: int) -> Demonstration:
        """Read one demonstration. Data sets of other programs lack some of its names.

        Raises:
            UsageError: The file is damaged.
        """
        entry, start = self._episodes[index], self._places.starts[index]
        _, first = self._places.place(start)
        with reading_file(entry.path):
            rows = _joined(list(self._read(entry.path, self.cameras, [entry], first)))
            steps = np.flatnonzero(rows.has_images & bool(self.cameras))
            return Demonstration(
                **entry.identity,
                instruction=entry.instruction,
                fps=self.fps,
                state=rows.state,
                action=rows.action,
                image={
                    role: self._images(role, rows.contents.get(role, ()), start + steps)[:]
                    for role in self.cameras
                },
                image_steps=steps,
                perturbed_steps=np.flatnonzero(rows.perturbed),
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
        read = _joined(
            [
                rows
                for path, episodes in self._places.files.items()
                for rows in self._read(path, roles, episodes)
            ]
        )
        state, action, perturbed = read.state, read.action, read.perturbed
        rows = np.flatnonzero(read.has_images | (not roles))
        starts = self._places.starts
        ends = np.append(starts[1:], len(action))
        episode = np.searchsorted(ends, rows, side="right")
        # Perturbed steps are never skipped, because a chunk has to end with them.
        kept = np.flatnonzero(_moving(state, action, starts, idle) | perturbed)
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
            image={role: self._images(role, read.contents.get(role, ()), rows) for role in roles},
            instruction=self._instruction[episode],
            episode=episode,
            step=rows - starts[episode],
        )

    def _read(
        self, path: Path, roles: Iterable[str], episodes: Sequence[EpisodeEntry], first: int = 0
    ) -> Iterator["_Rows"]:
        """Read demonstrations of a data file, one row group at a time, because it may be large.

        Args:
            path: The file.
            roles: The cameras to read.
            episodes: The demonstrations.
            first: The number of their first row in the file.

        Raises:
            UsageError: The file is damaged.
        """
        roles = [role for role in roles if role not in self._info.films]
        images = [self._info.columns[role] for role in roles]
        vectors = (self._info.names.state, self._info.names.action)
        names = [*vectors, *STEP_COLUMNS, *self._info.flags]
        parts = [f"{name}.{part}" for name in images for part in ("bytes", "path")]
        with reading_file(path), open_parquet(path, names + parts) as file:
            count = sum(episode.length for episode in self._places.files[path])
            if file.count != count:
                raise ValueError(f"it has {file.count} rows, but its demonstrations have {count}")
            require_columns(file.schema, vectors, self._info.flags, images)
            steps = expected_steps(episodes)
            for low, table in file.tables(first, first + len(steps)):
                part = steps[low - first : low - first + table.num_rows]
                yield self._checked(table, roles, part, low)

    def _checked(
        self, table: pa.Table, roles: Iterable[str], steps: NDArray[np.int64], first: int
    ) -> "_Rows":
        """Return the content of a table, whose rows must be these steps.

        Args:
            table: Rows of a file.
            roles: The cameras to read.
            steps: The rows' episode_index and frame_index.
            first: The number of the table's first row in its file.

        Raises:
            ValueError: A row is wrong.
        """
        require_steps(table, steps, first)
        present, sizes, names = self._info.flags, self._info.sizes, self._info.names
        every, none = np.ones(len(steps), np.bool_), np.zeros(len(steps), np.bool_)
        # Data sets of other programs have no flags: every row has images, and none is perturbed.
        has_images = flags(table, HAS_IMAGES) if HAS_IMAGES in present else every
        return _Rows(
            state=finite_vectors(table, names.state, sizes[names.state], first),
            action=finite_vectors(table, names.action, sizes[names.action], first),
            has_images=has_images,
            perturbed=flags(table, PERTURBED) if PERTURBED in present else none,
            contents={
                role: image_files(table, self._info.columns[role], has_images, first)
                for role in roles
            },
        )

    def _images(
        self, role: str, contents: Sequence[bytes], rows: NDArray[np.int64]
    ) -> StoredImages:
        """Return a camera's images, which are from these rows of the data set."""
        name = self._places.names(rows, self._info.columns[role])
        if role in self._info.films:
            starts = self._places.starts
            episode = np.searchsorted(starts, rows, side="right") - 1
            films = [entry.films[role] for entry in self._episodes]
            return FilmImages(films, episode, rows - starts[episode], self.cameras[role], name)
        return EncodedImages(contents, self.cameras[role], name)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Rows:
    """Rows of a data file. `contents` has the image files of the rows with images, by role."""

    state: NDArray[np.float32]
    action: NDArray[np.float32]
    has_images: NDArray[np.bool_]
    perturbed: NDArray[np.bool_]
    contents: Mapping[str, list[bytes]]


def _joined(parts: Sequence[_Rows]) -> _Rows:
    """Return the rows of several parts as one."""
    return _Rows(
        state=np.concatenate([part.state for part in parts]),
        action=np.concatenate([part.action for part in parts]),
        has_images=np.concatenate([part.has_images for part in parts]),
        perturbed=np.concatenate([part.perturbed for part in parts]),
        contents={
            role: list(chain(*(part.contents[role] for part in parts)))
            for role in parts[0].contents
        },
    )


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
