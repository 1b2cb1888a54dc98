"""All random numbers of a training are functions of its seed and the step.

So a resumed training draws the same numbers without storing a generator's state.
"""

import hashlib
from functools import lru_cache
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

_Purpose = Literal["weights", "order", "pictures", "loss", "validation"]


def derived_seed(seed: int, purpose: _Purpose, step: int) -> int:
    """Return the seed for one purpose at one step."""
    digest = hashlib.sha256(f"{seed}/{purpose}/{step}".encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def generator(
    seed: int, purpose: _Purpose, step: int = 0, device: torch.device | str = "cpu"
) -> torch.Generator:
    """Return the generator for one purpose at one step. Other devices draw other numbers."""
    return torch.Generator(device).manual_seed(derived_seed(seed, purpose, step))


def batch_rows(samples: int, size: int, seed: int, step: int) -> NDArray[np.int64]:
    """Return the rows of a step's batch.

    Every epoch has its own random order of all samples. A batch may reach into the next epoch.
    """
    places = np.arange(step * size, (step + 1) * size)
    epochs, offsets = np.divmod(places, samples)
    rows = [_order(samples, seed, e)[offsets[epochs == e]] for e in np.unique(epochs).tolist()]
    return np.concatenate(rows)


@lru_cache(maxsize=2)  # A batch needs no more than two epochs.
def _order(samples: int, seed: int, epoch: int) -> NDArray[np.int64]:
    return np.random.default_rng(derived_seed(seed, "order", epoch)).permutation(samples)
