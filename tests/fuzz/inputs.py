"""Strategies of hostile input, and the rule that every reader has to keep."""

import copy
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.contracts.errors import UsageError
from harness.serving.codec import WireError

BRIEFLY_AND_LONG = pytest.mark.parametrize(
    "examples",
    [pytest.param(60, id="briefly"), pytest.param(300, id="long", marks=pytest.mark.slow)],
)
MOST_SECONDS = 2.0
"""Seconds of CPU that a reader may take for one input."""
LONGEST_REFUSAL = 5000
"""Characters of a refusal; a path and a few names fit."""

HUGE = [2**31, 2**53 + 1, 2**63, 2**64, -(10**18), 10**12, 10**400]
NUMBERS = st.sampled_from([0, 1, -1, 2, 7, *HUGE]) | st.sampled_from(
    [0.5, 1e308, -1e-300, float("nan"), float("inf"), float("-inf")]
)
WORDS = st.sampled_from(
    ["", "yes", "null", "²", "../../etc/passwd", "/dev/zero", "\x1b[31m", "a" * 5000, "\u2028"]
)
SCALARS = st.none() | st.booleans() | NUMBERS | WORDS | st.text(max_size=20)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=10,
)


def damaged(whole: Any) -> st.SearchStrategy[Any]:
    """Return copies of a JSON value with one to three places changed, removed or added."""

    @st.composite
    def change(draw: st.DrawFn) -> Any:
        value = copy.deepcopy(whole)
        for _ in range(draw(st.integers(1, 3))):
            value = _changed(draw, value)
        return value

    return change()


def _changed(draw: st.DrawFn, value: Any) -> Any:
    if not isinstance(value, dict | list) or not value or draw(st.integers(0, 5)) == 0:
        return draw(VALUES)
    keys = sorted(value) if isinstance(value, dict) else list(range(len(value)))
    key = draw(st.sampled_from(keys))
    match draw(st.sampled_from(["inside"] * 5 + ["remove", "add"])):
        case "inside":
            value[key] = _changed(draw, value[key])
        case "remove":
            del value[key]
        case _ if isinstance(value, dict):
            value[draw(st.text(max_size=8))] = draw(VALUES)
        case _:
            value.append(draw(VALUES))
    return value


def damaged_text(whole: Any) -> st.SearchStrategy[bytes]:
    """Return JSON texts, which are YAML too: damaged values, and damaged bytes of a whole one."""
    texts = damaged(whole).map(lambda value: json.dumps(value).encode())
    return texts | damaged_bytes(json.dumps(whole, indent=1).encode()) | st.binary(max_size=50)


def damaged_bytes(whole: bytes) -> st.SearchStrategy[bytes]:
    """Return copies of some bytes in which a part is cut out, replaced or repeated."""
    place = st.integers(0, len(whole))
    new = st.binary(max_size=8) | st.sampled_from(
        [b"[" * 5000, b"&a *a", b"\x00" * 5000, b"9" * 5000]
    )

    def cut(one: int, other: int, put: bytes) -> bytes:
        return whole[: min(one, other)] + put + whole[max(one, other) :]

    return st.builds(cut, place, place, new)


def read_all(
    inputs: st.SearchStrategy[Any],
    read: Callable[[Any], Any],
    examples: int,
    *allowed: type[Exception],
) -> None:
    """Require that `read` takes every input, or refuses it in a bounded line and bounded time."""

    @settings(max_examples=examples, suppress_health_check=list(HealthCheck))
    @given(inputs)
    def check(one: Any) -> None:
        start = time.process_time()
        try:
            read(one)
        except (UsageError, WireError, *allowed) as refusal:
            text = str(refusal)
            assert "\n" not in text, text
            assert len(text) <= LONGEST_REFUSAL, text[:300]
        assert time.process_time() - start < MOST_SECONDS

    check()
