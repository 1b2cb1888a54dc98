"""A demonstration: what an expert saw and did in one episode that succeeded."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from harness.contracts.registry import SAFE_NAME


def _none() -> NDArray[np.int64]:
    return np.empty(0, np.int64)


@dataclass(frozen=True, kw_only=True, eq=False)
class Demonstration:
    """One episode of T steps, looked at K times.

    Attributes:
        benchmark: The benchmark's name.
        task: The task's name within it.
        episode: The episode's index.
        seed: The seed of its scene.
        protocol: The label of the protocol that it was recorded under.
        instruction: What a policy would have been told.
        fps: Control steps in a second.
        state: What a policy would have sensed before each action, (T, S).
        action: What the expert did, (T, A); where it was pushed, what it wanted to do.
        image: Pictures by camera role, (K, H, W, 3).
        looked: The steps at which they were taken, in order, (K,). Pictures are dear, so they
            may be of every k-th step only.
        pushed: The steps in which something else was done, in order.
    """

    benchmark: str
    task: str
    episode: int
    seed: int
    protocol: str
    instruction: str
    fps: int
    state: NDArray[np.float32]
    action: NDArray[np.float32]
    image: Mapping[str, NDArray[np.uint8]] = field(default_factory=dict)
    looked: NDArray[np.int64] = field(default_factory=_none)
    pushed: NDArray[np.int64] = field(default_factory=_none)

    def __post_init__(self) -> None:
        """Refuse what a reader could misread.

        Raises:
            ValueError: Lengths, types or values do not fit together.
        """
        for name in ("state", "action"):
            values = getattr(self, name)
            if values.dtype != np.float32 or values.ndim != 2 or not values.size:
                raise ValueError(f"{name} is {_kind(values)}, not some rows of float32")
            if not np.isfinite(values).all():
                raise ValueError(f"{name} holds numbers that are not finite")
        if len(self.state) != len(self.action):
            raise ValueError(f"{len(self.state)} states for {len(self.action)} actions")
        if self.fps < 1 or self.episode < 0:
            raise ValueError(f"{self.fps} frames a second, episode {self.episode}")
        for name in ("looked", "pushed"):
            self._check_steps(name, getattr(self, name))
        self._check_pictures()

    def _check_steps(self, name: str, steps: NDArray[np.int64]) -> None:
        if steps.dtype != np.int64 or steps.ndim != 1:
            raise ValueError(f"{name} is {_kind(steps)}, not a row of int64")
        if len(steps) and (steps[0] < 0 or steps[-1] >= len(self) or any(np.diff(steps) < 1)):
            raise ValueError(f"{name} does not rise within the {len(self)} steps")

    def _check_pictures(self) -> None:
        looked = self.looked
        if bool(self.image) != bool(len(looked)):
            raise ValueError(f"{len(self.image)} cameras, but {len(looked)} looks")
        for role, pictures in self.image.items():
            whole = pictures.ndim == 4 and pictures.shape[3] == 3 and pictures.size
            if pictures.dtype != np.uint8 or not whole or len(pictures) != len(looked):
                raise ValueError(f"camera {role} has {_kind(pictures)} for {len(looked)} looks")

    def __len__(self) -> int:
        """Return the number of steps."""
        return len(self.action)


def require_safe(kind: str, name: str) -> str:
    """Return a name that may become part of a path or of a column's name.

    Raises:
        ValueError: It may not.
    """
    if not SAFE_NAME.fullmatch(name):
        raise ValueError(f"the {kind} {name!r} cannot be part of a file's name")
    return name


def _kind(values: NDArray[np.generic]) -> str:
    return f"{values.dtype}{list(values.shape)}"
