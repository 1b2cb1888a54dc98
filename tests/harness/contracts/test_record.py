"""A record is read only if `run` could have written it."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.contracts.record import EpisodeRecord
from harness.contracts.spec import EpisodeSpec

LOGS = sorted((Path(__file__).parents[3] / "results").rglob("episodes.jsonl"))
RECORD = EpisodeRecord(
    spec=EpisodeSpec("mine@1", "points_two", "left", 3, 7, "points/plain@1234567890"),
    outcome="failure",
    success=False,
    progress=0.5,
    subgoals={"near": True},
    steps=30,
    reason="step_limit",
    instruction="reach left",
    actions_sha256="ab" * 32,
    state_sha256="cd" * 32,
    started=1.5,
    timing={"total": 0.5},
    cpu={"total": 0.5},
    batches={"2": 3},
    versions={"points": "1"},
)
DEEP = json.loads("[" * 500 + "]" * 500)
WRONG: list[tuple[str, Any]] = [
    *(("outcome", value) for value in ("banana", "success", "error", None, 1)),
    *(("success", value) for value in (True, None, "yes", 0)),
    *(("progress", value) for value in ("high", 1e9, -0.1, True, float("nan"), float("inf"))),
    *(("steps", value) for value in ("many", -5, 1.5, True, 10**30)),
    *(("started", value) for value in ("yesterday", -1, None)),
    *(("subgoals", value) for value in ({"near": 1}, ["near"], {"near": None}, {"n" * 501: True})),
    *(("reason", value) for value in ("success", None, "x" * 10_001)),
    *(("actions_sha256", value) for value in (None, "", "AB" * 32, "ab")),
    *(("timing", value) for value in ({"total": -1}, {"total": "1"}, {"total": DEEP}, None)),
    *(("batches", value) for value in ({"two": 1}, {"0": 1}, {"²": 1}, {"2": -1})),
    *(("batching", value) for value in ("slow", None)),
    *(("clipped", value) for value in (-0.1, 1.1, "0")),
    *(("versions", value) for value in ({"a": 1}, {str(k): "" for k in range(1001)})),
    *(("policy", value) for value in ("x" * 501, 1, None)),
    *(("episode", value) for value in (4, -1, "3", True)),
    *(("seed", value) for value in (8, 2**63, -1)),
    ("key", "0" * 20),
    ("colour", "red"),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_wrong_field_is_refused(name: str, value: Any) -> None:
    values = json.loads(RECORD.to_json()) | {name: value}
    with pytest.raises(ValueError, match=r".") as error:
        EpisodeRecord.from_json(json.dumps(values).encode())
    assert len(str(error.value)) < 400


@pytest.mark.parametrize(
    "line", [b"123", b"null", b'"x"', b"[]", b"{}", b"\xff", b"[" * 100_000, b'{"a":' * 100_000]
)
def test_what_is_no_record_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        EpisodeRecord.from_json(line)


def test_a_record_is_read_as_it_was_written() -> None:
    assert EpisodeRecord.from_json(RECORD.to_json().encode()) == RECORD


@pytest.mark.parametrize("log", LOGS, ids=lambda log: "-".join(log.parts[-3:-1]))
def test_every_shipped_log_is_accepted(log: Path) -> None:
    lines = log.read_bytes().splitlines()
    assert lines
    for line in lines:
        EpisodeRecord.from_json(line)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.sampled_from(sorted(json.loads(RECORD.to_json()))), JSON)
def test_any_value_in_any_field_is_taken_whole_or_refused(name: str, value: Any) -> None:
    line = json.dumps(json.loads(RECORD.to_json()) | {name: value}).encode()
    try:
        record = EpisodeRecord.from_json(line)
    except ValueError:
        return
    assert json.loads(record.to_json()) == json.loads(line)


@given(st.binary(max_size=200))
def test_any_bytes_are_refused(line: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        EpisodeRecord.from_json(line)
