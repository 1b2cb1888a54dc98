"""Demonstrations as what a policy learns from, in memory or, where they do not fit, in a file."""

import hashlib
import tempfile
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.contracts.errors import UsageError, require_known
from harness.contracts.vectors import Layout, Part
from harness.demonstrations.pictures import Pictures
from harness.demonstrations.reader import Demonstrations
from harness.demonstrations.statistics import of_numbers
from policies.train.settings import Settings
from policies.vla.normalize import Normalization, Scaling, mean_angles, near
from policies.vla.preparation import as_bytes

BLOCK = 64
"""Pictures that are decoded at once."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Corpus:
    """What is learned from, a row a sample.

    Attributes:
        state: What is sensed, (N, S).
        chunk: What is to be done, (N, H, A).
        valid: Which of it was done, (N, H): not what lies behind an episode's end.
        cut: Which chunks end before that, (N,), so that what came next is not known.
        images: What each camera sees, by its role, (N, pixels, pixels, 3).
        instruction: What is told, as indices into `instructions`, (N,).
        episode: Which demonstration it is of, (N,).
        instructions: Every instruction once.
        state_layout: What the states' numbers mean, where that is known.
        action_layout: The same of the actions.
        tasks: Every task once, as ``benchmark/task``.
        fps: Control steps in a second.
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
        """How many demonstrations there are."""
        return int(self.episode[-1]) + 1

    def digest(self) -> str:
        """Return a hash of all but the pictures, which tells one data set from another."""
        found = hashlib.sha256("\n".join(self.instructions).encode())
        for values in (self.state, self.chunk, self.valid, self.instruction, self.episode):
            found.update(np.ascontiguousarray(values).tobytes())
        return found.hexdigest()[:16]

    def validation(self, every: int) -> NDArray[np.bool_]:
        """Return which samples are held out: whole demonstrations, over all instructions.

        Args:
            every: One of so many; 0 holds none out.
        """
        firsts = np.unique(self.episode, return_index=True)[1]
        # By instruction, and on across them: some have fewer demonstrations than that.
        order = np.argsort(self.instruction[firsts], kind="stable")
        held = order[every - 1 :: every] if every else order[:0]
        return np.isin(self.episode, held)

    def normalization(self, settings: Settings, chosen: NDArray[np.int64]) -> Normalization:
        """Return how these samples' states and actions are normalised.

        Raises:
            UsageError: `relative` does not fit the data.
        """
        relative = counted_from(settings.relative, self)
        angles = tuple(i for i in angles_in(self.action_layout) if i < settings.relative)
        plain = (0.0,) * self.chunk.shape[2], (1.0,) * self.chunk.shape[2]
        raw = Normalization(Scaling((), ()), Scaling(*plain), relative, angles)
        done = raw.chunk(self.chunk[chosen], self.state[chosen])[self.valid[chosen]]
        turning = tuple(angles_in(self.state_layout))
        state = near(self.state[chosen], mean_angles(self.state[chosen]), turning)
        kind, floor = settings.normalization, settings.floor
        return Normalization(
            Scaling.of(kind, of_numbers(state), floor),
            Scaling.of(kind, of_numbers(done), floor),
            relative,
            angles,
            turning,
        )


def read_corpus(
    folders: Sequence[Path], settings: Settings, pixels: int, memory: float, cache: Path
) -> Corpus:
    """Read demonstrations of one or more folders; nothing of them is decoded again later.

    Args:
        folders: Data sets whose states, actions and cameras mean the same.
        settings: Says how long chunks are, and which cameras are looked at.
        pixels: Height and width of the pictures that the network takes.
        memory: GiB of pictures that are kept in memory; more are kept in a file.
        cache: Where this file is; it goes when the process does.

    Raises:
        UsageError: A folder cannot be read, or two of them do not fit together.
    """
    sets = [Demonstrations(folder) for folder in folders]
    if not sets:
        raise UsageError("--data is missing; record some with python -m benchmarks.demos")
    for folder, one in zip(folders[1:], sets[1:], strict=True):
        require_alike(folders[0], sets[0], folder, one)
    roles = cameras_of(sets, folders, settings)
    if settings.idle and any("delta" in part.meaning for part in parts_of(sets[0].action_layout)):
        raise UsageError("--idle 0, since these actions are differences: some would be lost")
    parts = [one.samples(settings.horizon, roles, settings.idle) for one in sets]
    if not sum(map(len, parts)):
        raise UsageError(f"{folders[0]} holds no sample; is it empty?")
    if len({(part.state.shape[1], part.chunk.shape[2]) for part in parts}) > 1:
        raise UsageError("the folders' states or actions differ in size; train a policy of each")
    texts = tuple(dict.fromkeys(text for one in sets for text in one.instructions))
    told = [
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
            role: decoded([p.image[role] for p in parts], pixels, None if in_memory else cache)
            for role in roles
        },
        instruction=np.concatenate(told),
        episode=np.concatenate(
            [part.episode + first for part, first in zip(parts, before, strict=False)]
        ),
        instructions=texts,
        state_layout=sets[0].state_layout,
        action_layout=sets[0].action_layout,
        tasks=tuple(dict.fromkeys(task for one in sets for task in one.tasks)),
        fps=sets[0].fps,
    )


def require_alike(first: Path, one: Demonstrations, second: Path, other: Demonstrations) -> None:
    """Refuse two data sets that one policy could not tell apart though they differ.

    Raises:
        UsageError: They mean different things.
    """
    for name in ("state_layout", "action_layout", "fps"):
        mine, theirs = getattr(one, name), getattr(other, name)
        if mine != theirs:
            what = name.replace("_", " ")
            raise UsageError(
                f"{first} and {second} differ in their {what}: {mine} and {theirs}; "
                "train a policy of each"
            )


def cameras_of(
    sets: Sequence[Demonstrations], folders: Sequence[Path], settings: Settings
) -> tuple[str, ...]:
    """Return the roles that are looked at: those that are asked for, or all.

    Raises:
        UsageError: A folder lacks one, or there are none.
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


def decoded(parts: Iterable[Pictures], pixels: int, folder: Path | None) -> NDArray[np.uint8]:
    """Decode a camera's pictures and resize them as the policy will.

    Args:
        parts: The pictures of each data set.
        pixels: Height and width that they get.
        folder: Where to keep them in a nameless file; None keeps them in memory.
    """
    parts = list(parts)
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
        for start in range(0, len(part), BLOCK)
    ]

    def decode(block: tuple[Pictures, int, int]) -> None:
        part, first, start = block
        found = part[start : start + BLOCK]
        if found.shape[1:3] != (pixels, pixels):
            found = as_bytes(found, pixels)
        images[first + start : first + start + len(found)] = found

    # Pillow decodes outside Python's lock.
    with ThreadPoolExecutor() as pool:
        deque(pool.map(decode, blocks), maxlen=0)
    return images


def parts_of(layout: Layout | None) -> tuple[Part, ...]:
    """Return a layout's parts; none if it is not known."""
    return layout.parts if layout else ()


def angles_in(layout: Layout | None) -> list[int]:
    """Return which numbers are Euler's angles."""
    euler = [["Euler" in part.meaning] * part.size for part in parts_of(layout)]
    return [i for i, angle in enumerate(chain.from_iterable(euler)) if angle]


def counted_from(relative: int, corpus: Corpus) -> tuple[int | None, ...]:
    """Return for each number of an action the number of the state that it is counted from.

    Raises:
        UsageError: There are not so many, or they already are differences.
    """
    if relative == 0:
        return ()
    size, states = corpus.chunk.shape[2], corpus.state.shape[1]
    if relative > min(size, states):
        raise UsageError(
            f"--relative {relative}: an action has {size} numbers and a state {states}"
        )
    first = 0
    for part in parts_of(corpus.action_layout):
        if first < relative and "delta" in part.meaning:
            raise UsageError(
                f"--relative {relative}: {part} is a difference already; use --relative {first}"
            )
        first += part.size
    return tuple(range(relative)) + (None,) * (size - relative)
