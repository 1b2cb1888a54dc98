"""Keeps the global random generators of a simulator from the policy in its process."""

import ctypes
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

_WORDS = 624
"""Numbers of 32 bits in the state of a Mersenne Twister, which both generators are."""
_STATE = 4 * (_WORDS + 1)
"""Bytes of the state with the position in it."""


class Generators:
    """The states of Python's, NumPy's and PyTorch's global generators in an episode.

    A simulator may draw from them. Then nothing that a policy draws, or how it seeds them, may
    change the simulation, as nothing does if the policy has a process of its own.
    """

    def __init__(self) -> None:
        """Know no state yet."""
        self._seen = b""
        self._states: Any = None

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Restore the states after a block of code that may change them."""
        before = _memory()
        if not before or before != self._seen:
            # Reading a state through its interface takes 40 us, and few simulators change it.
            self._seen = before
            self._states = random.getstate(), np.random.get_state(legacy=False)
        torch = sys.modules.get("torch")
        drawn = torch.get_rng_state() if torch is not None else None
        try:
            yield
        finally:
            if not before or _memory() != before:
                random.setstate(self._states[0])
                np.random.set_state(self._states[1])
            if torch is not None:
                torch.set_rng_state(drawn)


def _memory() -> bytes:
    """Return the bytes of both states; nothing if this Python or NumPy keeps them elsewhere."""
    if not _KNOWN:
        return b""
    bits = np.random.get_bit_generator()
    if type(bits) is not np.random.MT19937:
        return b""
    numpy = ctypes.string_at(bits.ctypes.state_address, _STATE)
    return numpy + ctypes.string_at(id(_PYTHON) + object.__basicsize__, _STATE)


def _is_known() -> bool:
    """Return whether the memory of Python's generator holds a position and then the numbers."""
    if type(_PYTHON).__basicsize__ < object.__basicsize__ + _STATE:
        return False
    found = ctypes.string_at(id(_PYTHON) + object.__basicsize__, _STATE)
    *numbers, position = _PYTHON.getstate()[1]
    return bool(np.frombuffer(found, np.uint32).tolist() == [position, *numbers])


_PYTHON: random.Random = random.seed.__self__  # type: ignore[attr-defined]
"""The generator behind the functions of `random`."""
_KNOWN = _is_known()
