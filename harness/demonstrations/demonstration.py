"""One recorded episode of an expert."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from harness.contracts.registry import SAFE_NAME


def _no_steps() -> NDArray[np.int64]:
    return np.empty(0, np.int64)


@dataclass(frozen=True, kw_only=True, eq=False)
class Demonstration:
    """An episode of T steps, K of which have images.

    Attributes:
        benchmark: The benchmark's name.
        task: The task's name within it.
        episode: The episode's index.
        seed: The seed of its scene.
        protocol: The label of its protocol.
        instruction: The instruction that a policy would receive.
        fps: Control steps per second.
        state: The state vector before each action, (T, S).
        action: The expert's actions, (T, A). During a perturbation the executed action differs.
        image: The images by camera role, (K, H, W, 3).
        image_steps: The steps that have images, in ascending order, (K,).
        perturbed_steps: The steps during a perturbation, in ascending order.
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
    image_steps: NDArray[np.int64] = field(default_factory=_no_steps)
    perturbed_steps: NDArray[np.int64] = field(default_factory=_no_steps)

    def __post_init__(self) -> None:
        """Check that the arrays fit together.

        Raises:
            ValueError: Lengths, types or values do not.
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
            raise ValueError(f"{self.fps} frames per second, episode {self.episode}")
        for name in ("image_steps", "perturbed_steps"):
            self._check_steps(name, getattr(self, name))
        self._check_images()

    def _check_steps(self, name: str, steps: NDArray[np.int64]) -> None:
        if steps.dtype != np.int64 or steps.ndim != 1:
            raise ValueError(f"{name} is {_kind(steps)}, not a row of int64")
        if len(steps) and (steps[0] < 0 or steps[-1] >= len(self) or any(np.diff(steps) < 1)):
            raise ValueError(f"{name} does not ascend within the {len(self)} steps")

    def _check_images(self) -> None:
        count = len(self.image_steps)
        if bool(self.image) != bool(count):
            raise ValueError(f"{len(self.image)} cameras, but {count} steps with images")
        for role, images in self.image.items():
            whole = images.ndim == 4 and images.shape[3] == 3 and images.size
            if images.dtype != np.uint8 or not whole or len(images) != count:
                raise ValueError(f"camera {role} has {_kind(images)} for {count} steps")

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
