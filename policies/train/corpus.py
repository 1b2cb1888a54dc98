"""The training samples of demonstrations, in memory, or in a file if they do not fit."""

import hashlib
import tempfile
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.contracts.errors import UsageError, require_known
from harness.contracts.extras import program_name
from harness.contracts.vectors import Layout, Part
from harness.demonstrations.column_statistics import number_statistics
from harness.demonstrations.columns import ColumnNames
from harness.demonstrations.reader import Demonstrations, StoredImages
from harness.demonstrations.resize import resize_images
from policies.train.settings import Settings
from policies.vla.normalize import Normalization, Scaling, mean_angles, wrap

_BLOCK = 64
"""Pictures that are decoded at once."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Corpus:
    """Training samples, one a row.

    Attributes:
        state: The state vectors, (N, S).
        chunk: The action chunks, (N, H, A).
        valid: False for actions after the end of an episode, (N, H).
        cut: Which chunks a perturbation cuts short, (N,): their further actions are unknown.
        images: The pictures of each camera, by role, (N, pixels, pixels, 3).
        instruction: Indices into `instructions`, (N,).
        episode: The index of the demonstration, (N,).
        instructions: Every instruction once.
        state_layout: The meaning of the states' numbers; None if unknown.
        action_layout: The meaning of the actions' numbers; None if unknown.
        tasks: Every task once, as ``benchmark/task``.
        fps: Control steps per second.
    """

    state: NDArray[np.float32]
    chunk: NDArray[np.float32]
    valid: NDArray[np.bool_]
    cut: NDArray[np.bool_]
    images: Mapping[str, NDArray[np.uint8]]
    instruction: NDArray[np.int64]
    episode: NDArray[np.int64]
    instructions: tuple[str, ...]
    state_layout: Layout | None
    action_layout: Layout | None
    tasks: tuple[str, ...]
    fps: int

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.state)

    @property
    def episodes(self) -> int:
        """The number of demonstrations."""
        return int(self.episode[-1]) + 1

    def digest(self) -> str:
        """Return a hash of everything except the pictures, to identify the data."""
        digest = hashlib.sha256("\n".join(self.instructions).encode())
        for values in (self.state, self.chunk, self.valid, self.instruction, self.episode):
            digest.update(np.ascontiguousarray(values).tobytes())
        return digest.hexdigest()[:16]

    def validation(self, every: int) -> NDArray[np.bool_]:
        """Return which samples are held out: whole demonstrations of all instructions.

        Args:
            every: Hold out every n-th demonstration; 0 for none.
        """
        firsts = np.unique(self.episode, return_index=True)[1]
        # Count across instructions, since some have fewer demonstrations than `every`.
        order = np.argsort(self.instruction[firsts], kind="stable")
        held = order[every - 1 :: every] if every else order[:0]
        return np.isin(self.episode, held)

    def normalization(self, settings: Settings, chosen: NDArray[np.int64]) -> Normalization:
        """Return the normalisation fitted to these samples.

        Raises:
            UsageError: `relative` does not fit the data.
        """
        relative = _relative_indices(settings.relative, self)
        angles = tuple(i for i in _angle_indices(self.action_layout) if i < settings.relative)
        plain = (0.0,) * self.chunk.shape[2], (1.0,) * self.chunk.shape[2]
        raw = Normalization(Scaling((), ()), Scaling(*plain), relative, angles)
        actions = raw.chunk(self.chunk[chosen], self.state[chosen])[self.valid[chosen]]
        state_angles = tuple(_angle_indices(self.state_layout))
        state = wrap(self.state[chosen], mean_angles(self.state[chosen]), state_angles)
        kind, floor = settings.normalization, settings.floor
        return Normalization(
            Scaling.of(kind, number_statistics(state), floor),
            Scaling.of(kind, number_statistics(actions), floor),
            relative,
            angles,
            state_angles,
        )


def read_corpus(
    folders: Sequence[Path], settings: Settings, pixels: int, memory: float, cache: Path
) -> Corpus:
    """Read and decode the demonstrations of one or more folders.

    Args:
        folders: Data sets with the same meaning of states, actions and cameras.
        settings: Decide the length of chunks and the cameras.
        pixels: Height and width of the network's pictures.
        memory: Largest size of pictures in memory, in GiB; more go into a file.
        cache: The folder of this file, which the system removes with the process.

    Raises:
        UsageError: A folder cannot be read, or the folders do not fit together.
    """
    names = ColumnNames.parse(settings.columns)
    sets = [Demonstrations(folder, names) for folder in folders]
    if not sets:
        raise UsageError(f"--data is missing; record demonstrations with {program_name()} record")
    for folder, one in zip(folders[1:], sets[1:], strict=True):
        _require_alike(folders[0], sets[0], folder, one)
    roles = _camera_roles(sets, folders, settings)
    if settings.idle and any("delta" in part.meaning for part in _parts(sets[0].action_layout)):
        raise UsageError(
            "use --idle 0: these actions are differences, and skipping steps would lose some"
        )
    parts = [one.samples(settings.horizon, roles, settings.idle) for one in sets]
    if not sum(map(len, parts)):
        raise UsageError(f"{folders[0]} holds no sample; is it empty?")
    if len({(part.state.shape[1], part.chunk.shape[2]) for part in parts}) > 1:
        raise UsageError("the folders' states or actions differ in size; train a policy for each")
    texts = tuple(dict.fromkeys(text for one in sets for text in one.instructions))
    instruction = [
        np.array([texts.index(text) for text in one.instructions], np.int64)[part.instruction]
        for one, part in zip(sets, parts, strict=True)
    ]
    before = np.cumsum([0, *(len(one) for one in sets)])
    rows = sum(map(len, parts))
    in_memory = rows * len(roles) * pixels**2 * 3 <= memory * 2**30
    return Corpus(
        state=np.concatenate([part.state for part in parts]),
        chunk=np.concatenate([part.chunk for part in parts]),
        valid=~np.concatenate([part.padded for part in parts]),
        cut=np.concatenate([part.cut for part in parts]),
        images={
            role: _decode([p.image[role] for p in parts], pixels, None if in_memory else cache)
            for role in roles
        },
        instruction=np.concatenate(instruction),
        episode=np.concatenate(
            [part.episode + first for part, first in zip(parts, before, strict=False)]
        ),
        instructions=texts,
        state_layout=sets[0].state_layout,
        action_layout=sets[0].action_layout,
        tasks=tuple(dict.fromkeys(task for one in sets for task in one.tasks)),
        fps=sets[0].fps,
    )


def _require_alike(first: Path, one: Demonstrations, second: Path, other: Demonstrations) -> None:
    """Check that two data sets have the same layouts and control rate.

    Raises:
        UsageError: They differ.
    """
    for name in ("state_layout", "action_layout", "fps"):
        mine, theirs = getattr(one, name), getattr(other, name)
        if mine != theirs:
            label = name.replace("_", " ")
            raise UsageError(
                f"{first} and {second} differ in their {label}: {mine} and {theirs}; "
                "train a policy for each"
            )


def _camera_roles(
    sets: Sequence[Demonstrations], folders: Sequence[Path], settings: Settings
) -> tuple[str, ...]:
    """Return the roles of the cameras to use: those in the settings, or all.

    Raises:
        UsageError: A folder lacks one of them, or there are none.
    """
    if settings.blind:
        return ()
    roles = settings.cameras or tuple(sorted(sets[0].cameras))
    for folder, one in zip(folders, sets, strict=True):
        for role in roles:
            require_known(f"camera in {folder}", role, one.cameras)
    if not roles:
        raise UsageError(
            f"{folders[0]} has no pictures; record them with --cameras, or train with --blind"
        )
    return roles


def _decode(parts: Sequence[StoredImages], pixels: int, folder: Path | None) -> NDArray[np.uint8]:
    """Decode a camera's pictures and resize them for the network.

    Args:
        parts: The pictures of each data set.
        pixels: Height and width after resizing.
        folder: The folder of a nameless file for the result; None for memory.
    """
    shape = (sum(map(len, parts)), pixels, pixels, 3)
    if folder is None:
        images: NDArray[np.uint8] = np.empty(shape, np.uint8)
    else:
        with tempfile.TemporaryFile(dir=folder) as file:
            images = np.memmap(file, np.uint8, "w+", shape=shape)
    firsts = np.cumsum([0, *map(len, parts)])
    blocks = [
        (part, first, start)
        for part, first in zip(parts, firsts, strict=False)
        for start in range(0, len(part), _BLOCK)
    ]

    def decode(block: tuple[StoredImages, int, int]) -> None:
        part, first, start = block
        rows = resize_images(part[start : start + _BLOCK], pixels)
        images[first + start : first + start + len(rows)] = rows

    # Pillow releases Python's lock while it decodes, and FFmpeg is another process.
    with ThreadPoolExecutor() as pool:
        deque(pool.map(decode, blocks), maxlen=0)
    return images


def _parts(layout: Layout | None) -> tuple[Part, ...]:
    return layout.parts if layout else ()


def _angle_indices(layout: Layout | None) -> list[int]:
    """Return which numbers are Euler angles."""
    euler = [["Euler" in part.meaning] * part.size for part in _parts(layout)]
    return [i for i, angle in enumerate(chain.from_iterable(euler)) if angle]


def _relative_indices(relative: int, corpus: Corpus) -> tuple[int | None, ...]:
    """Return `Normalization.relative` for the setting `relative`.

    Raises:
        UsageError: There are fewer numbers, or they are differences already.
    """
    if relative == 0:
        return ()
    size, states = corpus.chunk.shape[2], corpus.state.shape[1]
    if relative > min(size, states):
        raise UsageError(
            f"--relative {relative}: an action has {size} numbers and a state {states}"
        )
    first = 0
    for part in _parts(corpus.action_layout):
        if first < relative and "delta" in part.meaning:
            raise UsageError(
                f"--relative {relative}: {part} is a difference already; use --relative {first}"
            )
        first += part.size
    return tuple(range(relative)) + (None,) * (size - relative)
