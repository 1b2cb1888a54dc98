"""The observation space that the families' environments share."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium import spaces

_PRINTABLE = frozenset(map(chr, range(32, 127)))


def image_space(sizes: Mapping[str, tuple[int, int]]) -> spaces.Dict:
    """Return the space of the images, from each camera's height and width."""
    return spaces.Dict(
        {role: spaces.Box(0, 255, (*size, 3), np.uint8) for role, size in sizes.items()}
    )


def observation_space(
    image_sizes: Mapping[str, tuple[int, int]], state_size: int, instruction: str
) -> spaces.Space[Any]:
    """Return the space of observations whose instruction never changes.

    Args:
        image_sizes: Height and width of each camera's images.
        state_size: The length of the state vector.
        instruction: The task's instruction.
    """
    return spaces.Dict(
        image=image_space(image_sizes),
        state=spaces.Box(-np.inf, np.inf, (state_size,), np.float32),
        instruction=spaces.Text(max(len(instruction), 1), charset=_PRINTABLE | set(instruction)),
    )
