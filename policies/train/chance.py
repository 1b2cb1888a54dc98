"""All that is random in training, as a function of the seed and the step.

So nothing random has to be remembered: a run that continues draws what it would have drawn.
"""

import hashlib
from functools import lru_cache
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

Purpose = Literal["weights", "order", "pictures", "loss", "validation"]


def number(seed: int, purpose: Purpose, step: int) -> int:
    """Return what seeds the drawing for one purpose at one step."""
    drawn = hashlib.sha256(f"{seed}/{purpose}/{step}".encode()).digest()
    return int.from_bytes(drawn[:8], "little") >> 1


def generator(
    seed: int, purpose: Purpose, step: int = 0, device: torch.device | str = "cpu"
) -> torch.Generator:
    """Return the generator for one purpose at one step; on another device it draws others."""
    return torch.Generator(device).manual_seed(number(seed, purpose, step))


def batch(samples: int, size: int, seed: int, step: int) -> NDArray[np.int64]:
    """Return which samples a step learns from.

    All come once, in a random order, before any comes again; a batch may reach from one such round
    into the next.
    """
    places = np.arange(step * size, (step + 1) * size)
    rounds, offsets = np.divmod(places, samples)
    chosen = [_order(samples, seed, r)[offsets[rounds == r]] for r in np.unique(rounds).tolist()]
    return np.concatenate(chosen)


@lru_cache(maxsize=2)
def _order(samples: int, seed: int, round_: int) -> NDArray[np.int64]:
    """Return one round's order; the last two are kept, since a batch needs no more."""
    return np.random.default_rng(number(seed, "order", round_)).permutation(samples)
