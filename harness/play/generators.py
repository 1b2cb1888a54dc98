"""Keeps the global random generators of a simulator from the policy in its process."""

import ctypes
import random
import sys
from typing import Any

import numpy as np

_WORDS = 624
"""Numbers of 32 bits in the state of a Mersenne Twister, which both generators are."""
_Memory = tuple[bytes, bytes] | None
_STATE = 4 * (_WORDS + 1)
"""Bytes of the state with the position in it."""


class Generators:
    """The states of Python's, NumPy's and PyTorch's global generators while a policy works.

    A simulator may draw from them. Then nothing that a policy draws, or how it seeds them, may
    change the simulation, as nothing does if the policy has a process of its own. So the states
    are restored after each block `with generators:`. PyTorch has a generator on each GPU too,
    once something in this process uses GPUs.
    """

    def __init__(self) -> None:
        """Know no state yet."""
        self._before: _Memory = None
        self._states: Any = None
        self._torch: Any = None
        self._gpus: Any = None

    def __enter__(self) -> None:
        """Keep the states."""
        before = _memory()
        if before is None or before != self._before:
            # Reading a state through its interface takes 40 us, and few simulators change it.
            self._before = before
            self._states = random.getstate(), np.random.get_state(legacy=False)
        torch = _torch()
        self._torch = torch and torch.get_rng_state()
        self._gpus = torch and torch.cuda.is_initialized() and torch.cuda.get_rng_state_all()

    def __exit__(self, *_: object) -> None:
        """Restore the states that changed."""
        if self._before is None or _memory() != self._before:
            random.setstate(self._states[0])
            np.random.set_state(self._states[1])
        torch = _torch()
        if torch is None:
            return
        # A generator that is new in this block gets a seed from the system, as it had at first.
        if self._torch is None:
            torch.default_generator.seed()
        else:
            torch.set_rng_state(self._torch)
        if self._gpus:
            torch.cuda.set_rng_state_all(self._gpus)
        elif torch.cuda.is_initialized():
            torch.cuda.seed_all()


def _torch() -> Any:
    """Return PyTorch if something has imported all of it; a stand-in has no version."""
    torch = sys.modules.get("torch")
    whole = hasattr(torch, "__version__") and hasattr(torch, "default_generator")
    return torch if whole else None


def _memory() -> _Memory:
    """Return the bytes of both states; None if this Python or NumPy keeps them elsewhere."""
    bits = np.random.get_bit_generator()
    if not _KNOWN or type(bits) is not np.random.MT19937:
        return None
    return ctypes.string_at(bits.ctypes.state_address, _STATE), ctypes.string_at(_AT, _STATE)


def _is_known() -> bool:
    """Return whether the memory of Python's generator holds a position and then the numbers."""
    if type(_PYTHON).__basicsize__ < object.__basicsize__ + _STATE:
        return False
    found = ctypes.string_at(_AT, _STATE)
    *numbers, position = _PYTHON.getstate()[1]
    return bool(np.frombuffer(found, np.uint32).tolist() == [position, *numbers])


_PYTHON: random.Random = random.seed.__self__  # type: ignore[attr-defined]
"""The generator behind the functions of `random`."""
_AT = id(_PYTHON) + object.__basicsize__
_KNOWN = _is_known()
