"""How arrays travel between processes whose numpy may not be the same.

numpy 2 pickles an array as something that numpy 1 does not know, and a benchmark may have a Python
of its own. So what its workers send and receive holds no numpy object: arrays go as plain bytes.
The pictures of a worker in this process's Python do not: that would double what sending them costs.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

PLAIN_KINDS = "biuf"
"""numpy's letters for the kinds of numbers whose bytes say everything."""


@dataclass(frozen=True)
class PlainArray:
    """An array without numpy.

    Attributes:
        dtype: numpy's short name, with the order of the bytes.
        shape: Its shape.
        data: Its bytes in C order.
    """

    dtype: str
    shape: tuple[int, ...]
    data: bytes


def plain(value: Any) -> Any:
    """Return a value with every array in it plain; one of objects stays as it is."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if type(value) is np.ndarray and value.dtype.kind in PLAIN_KINDS:
        return PlainArray(value.dtype.str, value.shape, value.tobytes())
    return value


def whole(value: Any) -> Any:
    """Return what `plain` was given; as with Ray's own, nobody writes to the arrays."""
    if isinstance(value, dict):
        return {key: whole(item) for key, item in value.items()}
    if isinstance(value, PlainArray):
        return np.frombuffer(value.data, np.dtype(value.dtype)).reshape(value.shape)
    return value


def plain_stream(stream: np.random.Generator) -> Any:
    """Return where a random stream stands."""
    return plain(stream.bit_generator.state)


def whole_stream(state: Any) -> np.random.Generator:
    """Return the stream that stands there; every policy's stream is a Philox."""
    bits = np.random.Philox()
    bits.state = whole(state)
    return np.random.Generator(bits)
