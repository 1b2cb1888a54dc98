"""openpi's message format: the values that pass, and the messages that are refused."""

from contextlib import suppress
from fractions import Fraction
from typing import Any

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from harness.contracts.foreign_text import LONGEST_ERROR, error_line, printable
from harness.serving.codec import (
    DEEPEST_MESSAGE,
    LARGEST_MESSAGE,
    MOST_ELEMENTS,
    WireError,
    pack,
    unpack,
)

NUMBERS = st.one_of(
    arrays.boolean_dtypes(),
    arrays.integer_dtypes(endianness="?"),
    arrays.unsigned_integer_dtypes(endianness="?"),
    arrays.floating_dtypes(endianness="?"),
)
ARRAYS = arrays.arrays(NUMBERS, arrays.array_shapes(min_dims=0, min_side=0, max_dims=4))
PLAIN = st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.text())
MESSAGES = st.dictionaries(
    st.text(), st.one_of(ARRAYS, PLAIN, st.lists(PLAIN), st.dictionaries(st.text(), ARRAYS))
)


def array(data: bytes = bytes(8), dtype: Any = "<f4", shape: Any = (2,)) -> bytes:
    fields = {b"__ndarray__": True, b"data": data, b"dtype": dtype, b"shape": shape}
    return bytes(msgpack.packb({"actions": fields}))


def same(one: Any, other: Any) -> bool:
    """Compare bit by bit, so a NaN equals itself."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, np.ndarray):
        meta = (one.dtype, one.shape) == (other.dtype, other.shape)
        return meta and one.tobytes() == other.tobytes()
    return type(one) is type(other) and bool(one == other)


@given(MESSAGES)
def test_messages_arrive_bit_by_bit(message: dict[str, Any]) -> None:
    assert same(unpack(pack(message)), message)


def test_scalars_keep_their_type_and_arrays_are_writable() -> None:
    sent: dict[str, Any] = {
        "n": np.uint64(2**64 - 1),
        "x": np.float32(0.1),
        "a": np.arange(6).reshape(2, 3),
    }
    got = unpack(pack(sent))
    assert {name: got[name].dtype for name in sent} == {n: v.dtype for n, v in sent.items()}
    assert got["n"] == sent["n"]
    got["a"][0, 0] = 7


@pytest.mark.parametrize(
    "value",
    [
        np.array([Fraction(1, 2)]),
        np.zeros(2, [("a", "i4")]),
        np.zeros(2, np.complex64),
        np.array(["text"]),
        np.datetime64("2026-01-01"),
        {1, 2},
        Fraction(1, 2),
    ],
    ids=repr,
)
def test_other_types_cannot_be_sent(value: Any) -> None:
    with pytest.raises(WireError, match="cannot be sent"):
        pack({"actions": value})


@pytest.mark.parametrize(
    "message",
    [
        array(dtype="|O"),
        array(dtype="|V8"),
        array(dtype="<c8", shape=(1,)),
        array(dtype="i4,i4", shape=(1,)),
        array(dtype="(2,)<f4", shape=(1,)),
        array(dtype="<M8[s]", shape=(1,)),
        array(dtype=4),
        array(shape=(3,)),
        array(shape=(-2,)),
        array(shape=(2.0,)),
        array(shape=(True, 2)),
        array(data=b"", shape=(0, 2**62)),
        array(shape=[1] * 9 + [2]),
        array(shape=[[2]]),
        array(shape="2"),
        array(data="text"),  # type: ignore[arg-type]
        msgpack.packb({b"__ndarray__": True}),
        msgpack.packb({b"__npgeneric__": True, b"data": "1", b"dtype": "<f4"}),
        msgpack.packb({b"__npgeneric__": True, b"data": 300, b"dtype": "|u1"}),
        msgpack.packb({b"__npgeneric__": True, b"data": 1, b"dtype": "|O"}),
        msgpack.packb({"a": b"bytes"}),
        msgpack.packb([b"bytes"]),
        msgpack.packb(b"bytes"),
        msgpack.packb({b"key": 1}),
        msgpack.packb({1: 1}),
        msgpack.packb({"a": msgpack.ExtType(5, b"x")}),
        msgpack.packb({"a": msgpack.Timestamp(0)}),
        msgpack.packb(msgpack.Timestamp(0)),
        b"\x91" * 2000 + b"\x00",
        b"\x81" * 2000,
        pack({"a": 1})[:-1],
        pack({"a": 1}) + b"\x00",
        b"\xa1\xff",
        b"\xc1",
        b"",
        b"\xdd\xff\xff\xff\xff",
    ],
    ids=lambda message: repr(message[:50]),
)
def test_malformed_message_is_refused(message: bytes) -> None:
    with pytest.raises(WireError):
        unpack(message)


@given(st.binary(max_size=60))
def test_random_bytes_are_refused_or_can_be_packed_again(noise: bytes) -> None:
    with suppress(WireError):
        pack(unpack(noise))


def test_too_large_message_is_refused() -> None:
    with pytest.raises(WireError, match="at most"):
        unpack(bytes(LARGEST_MESSAGE + 1))


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (bytes(10**6), "ExtraData in 1000000 bytes"),
        (msgpack.packb({"a" * 10**6: b""}), "bytes is not accepted"),
        (array(dtype="x" * 10**6), "not a text of length 1000000"),
        (array(shape=["y" * 10**6]), "must hold its sizes"),
        (msgpack.packb({b"k" * 10**6: 1}), "got bytes of length 1000000"),
        (msgpack.packb({b"__npgeneric__": 1, b"data": "z" * 9999, b"dtype": "<f4"}), "9999"),
        (b"\x82\xa1a\x01\xa1a\x02", "a key twice"),
        (msgpack.packb([1] * (MOST_ELEMENTS + 1)), "at most 10000 values"),
        (msgpack.packb([[1] * 4000] * 3), "more than 10000 values"),
        (msgpack.packb([{}] * 8000), "more than 10000 values"),
        (b"\x91" * (DEEPEST_MESSAGE + 1) + b"\x01", "more than 16 lists"),
        (b"\x81\xa1a" * 300 + b"\x01", "more than 16 lists"),
        (b"\xdc\xff\xff" * 500, "at most 10000 values"),
    ],
    ids=lambda value: repr(value[:20]),
)
def test_a_malformed_frame_is_described_and_never_echoed(message: bytes, reason: str) -> None:
    with pytest.raises(WireError, match=reason) as refused:
        unpack(message)
    assert len(str(refused.value)) < 200


def test_deep_and_long_messages_within_the_bounds_pass() -> None:
    for message in (b"\x91" * DEEPEST_MESSAGE + b"\x01", msgpack.packb([1] * (MOST_ELEMENTS - 1))):
        assert unpack(message)


@given(st.text() | st.text(min_size=1000).map(lambda text: 20 * text))
def test_an_error_is_one_bounded_printable_line(text: str) -> None:
    line = error_line(text)
    assert len(line) <= LONGEST_ERROR
    assert line.isprintable()
    line.encode()
    assert len(error_line(text + "x" * 5000)) <= LONGEST_ERROR
    assert printable(text).replace("\n", "").isprintable()


def test_an_error_keeps_its_words_and_shows_control_characters() -> None:
    assert (
        error_line("ValueError: wrong\n  size: 3 \u2260 4\n")
        == "ValueError: wrong size: 3 \u2260 4"
    )
    assert error_line("red \x1b[31m \x07 \ud800") == "red \\x1b[31m \\x07 \\ud800"
    for long in ("x" * 2001, "\x00" * 1000):
        assert error_line(long).endswith(" ...")
        assert len(error_line(long)) == 2000
    assert error_line("x" * 2000) == "x" * 2000


@given(MESSAGES)
def test_openpi_codec_writes_and_reads_the_same_bytes(message: dict[str, Any]) -> None:
    theirs = pytest.importorskip(
        "openpi_client.msgpack_numpy", reason="openpi-client is not installed"
    )
    assert theirs.packb(message) == pack(message)
    assert same(theirs.unpackb(pack(message)), message)
