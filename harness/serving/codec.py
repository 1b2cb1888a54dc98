"""openpi's messages: MessagePack, with arrays as maps of their bytes, type and shape.

Every message from the network is checked before an array is made: the type must be plain numbers,
and the shape must need exactly the bytes that came. Only arrays, numbers, strings, lists and maps
are accepted.
"""

import math
import re
from collections.abc import Mapping
from typing import Any

import msgpack
import numpy as np

LARGEST_MESSAGE = 64 * 2**20
"""Bytes of a message, at most. Three full HD images are 18 MiB."""
LONGEST_ERROR = 2000
"""Characters of an error frame, at most."""
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
    packed: bytes = msgpack.packb(value, default=_encoded)
    return packed


def printable(text: str) -> str:
    """Return a text with its control characters escaped, except line ends.

    An error may quote what a stranger sent, and no stranger may write to a terminal.
    """
    return "".join(
        letter
        if letter == "\n" or letter.isprintable()
        else letter.encode("unicode_escape").decode()
        for letter in text
    )


def error_line(text: str) -> str:
    """Return an error's text as one bounded line of printable letters."""
    start = " ".join(text[: 2 * LONGEST_ERROR].split())
    line = printable(start)
    if len(line) <= LONGEST_ERROR and len(text) <= 2 * LONGEST_ERROR:
        return line
    return line[: LONGEST_ERROR - 4] + " ..."


def unpack(message: bytes) -> Any:
    """Decode a message; its arrays are writable copies.

    Raises:
        WireError: The message is too long, truncated, or holds something that is not allowed.
    """
    if len(message) > LARGEST_MESSAGE:
        raise WireError(
            f"a message of {len(message)} bytes; at most {LARGEST_MESSAGE} are accepted"
        )
    try:
        value = msgpack.unpackb(
            message, object_hook=_decoded, list_hook=_checked_list, ext_hook=_refused_extension
        )
    except WireError:
        raise
    except (ValueError, TypeError, OverflowError, msgpack.UnpackException) as error:
        raise WireError(f"not a message of openpi's protocol: {error!r}") from error
    _require_plain(value)
    return value


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
            raise WireError(f"a key must be a string, got {key!r}")
        _require_plain(value)
    return fields


def _number(fields: Mapping[bytes, Any]) -> np.generic:
    dtype, number = _dtype(fields), fields.get(b"data")
    if not isinstance(number, int if dtype.kind in "iu" else int | float):
        raise WireError(f"a number of {dtype} is expected, got {number!r}")
    if dtype.kind in "iu" and not np.iinfo(dtype).min <= number <= np.iinfo(dtype).max:
        raise WireError(f"{number} is not a number of {dtype}")
    value: np.generic = dtype.type(number)
    return value


def _array(fields: Mapping[bytes, Any]) -> np.ndarray[Any, Any]:
    dtype, data, shape = _dtype(fields), fields.get(b"data"), fields.get(b"shape")
    if not isinstance(data, bytes) or not isinstance(shape, list) or len(shape) > MOST_DIMENSIONS:
        raise WireError("an array lacks its bytes or its shape")
    if not all(type(size) is int and 0 <= size <= LARGEST_MESSAGE for size in shape):
        raise WireError(f"{shape} is not the shape of an array")
    if math.prod(shape) * dtype.itemsize != len(data):
        raise WireError(f"{len(data)} bytes are not an array of {dtype} with shape {shape}")
    return np.ndarray(tuple(shape), dtype, data).copy()


def _dtype(fields: Mapping[bytes, Any]) -> np.dtype[Any]:
    name = fields.get(b"dtype")
    if not isinstance(name, str) or not PLAIN_DTYPE.fullmatch(name):
        raise WireError(f"{name!r} is not a type of plain numbers")
    return np.dtype(name)


def _checked_list(values: list[Any]) -> list[Any]:
    for value in values:
        _require_plain(value)
    return values


def _require_plain(value: Any) -> None:
    if not isinstance(value, PLAIN):
        raise WireError(f"{type(value).__name__} is not accepted; send arrays, numbers and strings")


def _refused_extension(code: int, data: bytes) -> Any:
    raise WireError(f"extension {code} is not accepted ({len(data)} bytes)")
