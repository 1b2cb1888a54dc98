"""Frames of a policy server and of its clients."""

from typing import Any

import msgpack
import numpy as np
from hypothesis import strategies as st

from harness.contracts.policy import PolicySpec
from harness.contracts.vectors import Layout, Part
from harness.serving.codec import pack, unpack
from harness.serving.greeting import Greeting, read_greeting
from harness.serving.keys import ObservationKeys
from tests.fuzz.inputs import BRIEFLY_AND_LONG, VALUES, damaged, damaged_bytes, read_all

LAYOUT = Layout((Part("position", 2, "m"),))
SPEC = PolicySpec("p@1", ("main",), LAYOUT, LAYOUT, (4, 4), 8)
KEYS = ObservationKeys()
REQUEST = {
    KEYS.images["main"]: np.zeros((4, 4, 3), np.uint8),
    "observation/state": np.zeros(2, np.float32),
    "prompt": "reach",
    "assay/episode": {"client": "c", "call": 0, "step": 0},
}
FIELDS = [b"__ndarray__", b"__npgeneric__", b"data", b"dtype", b"shape", "a"]
ARRAYS = st.fixed_dictionaries(
    {b"__ndarray__": st.just(True)},
    optional={
        b"data": st.binary(max_size=16) | VALUES,
        b"dtype": st.sampled_from(["<f4", "|u1", "|O", ">i8", "f" * 99]) | VALUES,
        b"shape": st.lists(st.integers(-2, 5) | st.just(2**62), max_size=9) | VALUES,
    },
)
NUMBERS = st.fixed_dictionaries(
    {b"__npgeneric__": st.just(True)},
    optional={b"data": VALUES, b"dtype": st.sampled_from(["<f4", "|u1", "|b1", "|O"])},
)
MESSAGES = st.dictionaries(
    st.sampled_from([*REQUEST, *FIELDS]) | st.text(max_size=9),
    ARRAYS | NUMBERS | VALUES,
    max_size=6,
)


def packed(value: Any) -> bytes:
    try:
        return bytes(msgpack.packb(value))
    except (OverflowError, UnicodeEncodeError):
        return b""


FRAMES = (
    MESSAGES.map(packed)
    | damaged_bytes(pack(REQUEST))
    | st.binary(max_size=200)
    | st.lists(
        st.sampled_from([b"\x91", b"\x81\xa1a", b"\xdd\xff\xff\xff\xff", b"\xdf\x00\x00\xff\xff"])
    ).map(lambda parts: b"".join(60 * parts))
)


@BRIEFLY_AND_LONG
def test_a_frame_is_an_observation_or_a_wire_error(examples: int) -> None:
    def read(frame: bytes) -> None:
        message = unpack(frame)
        pack(message)
        if isinstance(message, dict):
            seen = KEYS.unpack(message, SPEC)
            assert seen["state"].shape == (2,)

    read_all(FRAMES, read, examples)


@BRIEFLY_AND_LONG
def test_metadata_is_a_greeting_or_a_wire_error(examples: int) -> None:
    whole = Greeting(SPEC, KEYS).plain()

    def read(metadata: Any) -> None:
        greeting = read_greeting(unpack(pack(metadata)))
        if greeting is not None:
            assert len(str(greeting)) < 100_000

    read_all(damaged(whole), read, examples)
