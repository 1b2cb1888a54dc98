"""Random perturbations of a robot, so that demonstrations show how to recover from errors."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.contracts.environment import BenchmarkEnv

_DURATION = (3, 9)
"""Steps that a perturbation lasts: at least, and one more than at most."""


class Perturber:
    """Adds a random offset to the actions of a few steps, now and then.

    A policy trained only on states of perfect episodes cannot recover from its first error. The
    demonstration records the expert's action, not the perturbed one (DART, Laskey et al. 2017).
    """

    def __init__(self, env: BenchmarkEnv, rate: float, seed: int) -> None:
        """Draw the offsets from the environment's bounds.

        Args:
            env: The environment.
            rate: The share of steps at which a perturbation begins.
            seed: The seed of all draws.
        """
        self._space: Any = env.action_space
        self._bounds = env.perturbations
        self._rate, self._random = rate, np.random.default_rng(seed)
        self._left = 0

    def apply(self, action: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the action to execute: a perturbed copy, or the same object outside of one."""
        if self._bounds is None:
            return action
        if not self._left and self._random.random() < self._rate:
            self._left = int(self._random.integers(*_DURATION))
            self._offset = self._random.uniform(*self._bounds).astype(np.float32)
        if not self._left:
            return action
        self._left -= 1
        perturbed: NDArray[np.float32] = np.clip(
            action + self._offset, self._space.low, self._space.high
        )
        return perturbed
