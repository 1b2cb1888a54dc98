"""openpi's messages: MessagePack, with arrays as maps of their bytes, type and shape.

Every message from the network is checked before an array is made: the type must be plain numbers,
and the shape must need exactly the bytes that came. Only arrays, numbers, strings, lists and maps
are accepted, a bounded number of them. An error says what is wrong and repeats no content.
"""

import math
import re
from collections.abc import Mapping
from typing import Any

import msgpack
import numpy as np

from harness.contracts.foreign_text import outline

LARGEST_MESSAGE = 64 * 2**20
"""Bytes of a message, at most. Three full HD images are 18 MiB."""
MOST_ELEMENTS = 10_000
"""Values in the lists and maps of a message, at most; an array counts as about ten."""
DEEPEST_MESSAGE = 16
"""Lists and maps within each other, at most."""
MOST_DIMENSIONS = 8
PLAIN_DTYPE = re.compile(r"[<>|=]?(b1|[iu][1248]|f[248])")
PLAIN = (str, int, float, bool, list, dict, np.ndarray, np.generic, type(None))


class WireError(ValueError):
    """A message that openpi's protocol does not allow."""


def pack(value: Any) -> bytes:
    """Encode a value.

    Raises:
        WireError: The value holds something else than plain values and arrays of numbers.
    """
    try:
        packed: bytes = msgpack.packb(value, default=_encoded)
    except (OverflowError, UnicodeEncodeError) as error:
        raise WireError(f"a value cannot be sent: {type(error).__name__}") from error
    return packed


def unpack(message: bytes) -> Any:
    """Decode a message; its arrays are writable copies.

    Raises:
        WireError: The message is too long, too deep, truncated, or holds something that is not
            allowed.
    """
    if len(message) > LARGEST_MESSAGE:
        raise WireError(
            f"a message of {len(message)} bytes; at most {LARGEST_MESSAGE} are accepted"
        )
    values = _Values()
    try:
        value = msgpack.unpackb(
            message,
            object_pairs_hook=values.take_map,  # With object_hook it would intern keys, for ever.
            list_hook=values.take_list,
            ext_hook=_refused_extension,
            max_array_len=MOST_ELEMENTS,
            max_map_len=MOST_ELEMENTS,
        )
    except WireError:
        raise
    except (ValueError, TypeError, OverflowError, msgpack.UnpackException) as error:
        # Not the exception's text, which may hold all of the message.
        raise WireError(
            f"not a message of openpi's protocol ({type(error).__name__} in {len(message)} bytes; "
            f"at most {MOST_ELEMENTS} values are accepted)"
        ) from error
    _require_plain(value)
    _require_shallow(value)
    return value


class _Values:
    """Decodes the lists and maps of one message, and counts their elements."""

    def __init__(self) -> None:
        self._count = 0

    def take_list(self, values: list[Any]) -> list[Any]:
        """Check a list."""
        self._add(len(values))
        for value in values:
            _require_plain(value)
        return values

    def take_map(self, pairs: list[tuple[Any, Any]]) -> Any:
        """Check a map, and make the array that it may describe."""
        self._add(len(pairs))
        fields = dict(pairs)
        if len(fields) < len(pairs):
            raise WireError("a map has a key twice")
        return _decoded(fields)

    def _add(self, count: int) -> None:
        self._count += count + 1  # An empty list counts, too.
        if self._count > MOST_ELEMENTS:
            raise WireError(f"a message has more than {MOST_ELEMENTS} values")


def _require_shallow(value: Any) -> None:
    level = [value]
    for _ in range(DEEPEST_MESSAGE + 1):
        groups = [each for each in level if isinstance(each, dict | list)]
        if not groups:
            return
        level = [v for g in groups for v in (g.values() if isinstance(g, dict) else g)]
    raise WireError(f"a message has more than {DEEPEST_MESSAGE} lists and maps within each other")


def _encoded(value: Any) -> dict[bytes, Any]:
    if not isinstance(value, np.ndarray | np.generic):
        raise WireError(f"{type(value).__name__} cannot be sent; send arrays, numbers and strings")
    if not PLAIN_DTYPE.fullmatch(value.dtype.str):
        raise WireError(f"an array of {value.dtype} cannot be sent; send numbers")
    if isinstance(value, np.generic):
        return {b"__npgeneric__": True, b"data": value.item(), b"dtype": value.dtype.str}
    return {
        b"__ndarray__": True,
        b"data": value.tobytes(),
        b"dtype": value.dtype.str,
        b"shape": value.shape,
    }


def _decoded(fields: dict[Any, Any]) -> Any:
    if b"__ndarray__" in fields:
        return _array(fields)
    if b"__npgeneric__" in fields:
        return _number(fields)
    for key, value in fields.items():
        if not isinstance(key, str):
            raise WireError(f"a key must be a string, got {outline(key)}")
        _require_plain(value)
    return fields


def _number(fields: Mapping[bytes, Any]) -> np.generic:
    dtype, number = _dtype(fields), fields.get(b"data")
    if not isinstance(number, int if dtype.kind in "iu" else int | float):
        raise WireError(f"a number of {dtype} is expected, got {outline(number)}")
    if dtype.kind in "iu" and not np.iinfo(dtype).min <= number <= np.iinfo(dtype).max:
        raise WireError(f"{outline(number)} is not a number of {dtype}")
    value: np.generic = dtype.type(number)
    return value


def _array(fields: Mapping[bytes, Any]) -> np.ndarray[Any, Any]:
    dtype, data, shape = _dtype(fields), fields.get(b"data"), fields.get(b"shape")
    if not isinstance(data, bytes) or not isinstance(shape, list) or len(shape) > MOST_DIMENSIONS:
        raise WireError("an array lacks its bytes or its shape")
    if not all(type(size) is int and 0 <= size <= LARGEST_MESSAGE for size in shape):
        raise WireError("the shape of an array must hold its sizes, whole numbers")
    if math.prod(shape) * dtype.itemsize != len(data):
        raise WireError(f"{len(data)} bytes are not an array of {dtype} with shape {shape}")
    return np.ndarray(tuple(shape), dtype, data).copy()


def _dtype(fields: Mapping[bytes, Any]) -> np.dtype[Any]:
    name = fields.get(b"dtype")
    if not isinstance(name, str) or not PLAIN_DTYPE.fullmatch(name):
        raise WireError(f"the type of an array must be one of plain numbers, not {outline(name)}")
    return np.dtype(name)


def _require_plain(value: Any) -> None:
    if not isinstance(value, PLAIN):
        raise WireError(f"{type(value).__name__} is not accepted; send arrays, numbers and strings")


def _refused_extension(code: int, data: bytes) -> Any:
    raise WireError(f"extension {code} is not accepted ({len(data)} bytes)")
