"""Sends arrays between processes with different versions of numpy.

numpy 1 cannot unpickle an array of numpy 2, and a benchmark's virtual environment may have the
other version. So its workers send and receive arrays as plain bytes. Workers in this process's
Python send arrays directly, since the conversion doubles the cost of an image.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

PLAIN_KINDS = "biuf"
"""numpy's letters for plain numbers."""


@dataclass(frozen=True)
class PlainArray:
    """An array as plain bytes.

    Attributes:
        dtype: numpy's short name, with the byte order.
        shape: Its shape.
        data: Its bytes in C order.
    """

    dtype: str
    shape: tuple[int, ...]
    data: bytes


def to_plain(value: Any) -> Any:
    """Convert every array of numbers in a value; other values stay as they are."""
    if isinstance(value, dict):
        return {key: to_plain(item) for key, item in value.items()}
    if type(value) is np.ndarray and value.dtype.kind in PLAIN_KINDS:
        return PlainArray(value.dtype.str, value.shape, value.tobytes())
    return value


def from_plain(value: Any) -> Any:
    """Convert back what `to_plain` returned; the arrays are read-only, like Ray's."""
    if isinstance(value, dict):
        return {key: from_plain(item) for key, item in value.items()}
    if isinstance(value, PlainArray):
        return np.frombuffer(value.data, np.dtype(value.dtype)).reshape(value.shape)
    return value


def plain_stream(stream: np.random.Generator) -> Any:
    """Return the state of a random stream."""
    return to_plain(stream.bit_generator.state)


def stream_from_plain(state: Any) -> np.random.Generator:
    """Return the stream with this state; every policy's stream is a Philox."""
    bits = np.random.Philox()
    bits.state = from_plain(state)
    return np.random.Generator(bits)
