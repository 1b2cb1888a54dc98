"""The one YAML reader: what it takes, what it refuses, and how much it costs."""

import os
from pathlib import Path
from typing import Any

import pytest

from harness.contracts.errors import UsageError
from harness.contracts.yaml_files import LARGEST_YAML, MOST_VALUES, parse_yaml, read_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: 1\nb: [x, 1.5, true, null, '1']", {"a": 1, "b": ["x", 1.5, True, None, "1"]}),
        ("- {a: {b: []}}", [{"a": {"b": []}}]),
        ('{"a": 1e-3, "b": "2026-01-01"}', {"a": "1e-3", "b": "2026-01-01"}),
        ("# nothing", None),
        ("é", "é"),
    ],
)
def test_plain_values_are_read(text: str, value: Any) -> None:
    assert parse_yaml(text) == value


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: 1\nb:\n  c: 1\n  c: 2", "line 4: the key c stands twice; keep one"),
        ("a: &x [1]\nb: *x", "line 1: a reference"),
        ("a: *x", "line 1: a reference"),
        ("<<: {a: 1}", "<< is not allowed"),
        ("a: !!python/object/apply:os.system [ls]", "is not YAML of plain values"),
        ("a: !!binary aGk=", "is not YAML of plain values"),
        ("!!set {a}", "is not YAML of plain values"),
        ("a: 2026-01-01", "a date; put it in quotes"),
        ("episodes: 25:50", "25:50 is no number; put it in quotes"),
        ("1: a", "the key 1 must be text"),
        ("on: 1", "the key on must be text"),
        ("? [a]\n: 1", "must be text"),
        ("a: " + "9" * 5000, "a number of 5000 characters"),
        ("a: !!int x", "'x' is no int"),
        ("a: [", "it is not YAML: line 1"),
        ("a: \x00", "it is not YAML"),
        ("--- a\n--- b", "another document"),
        ("[" * 1000, "nested too deeply"),
        ("- " * 1000, "nested too deeply"),
        ("[" + "1," * MOST_VALUES + "]", "more than 10000 values"),
        ("!" * 5000 + " x", "is not YAML|the tag"),
        ("#" * (LARGEST_YAML + 1), "more than 262144"),
    ],
    ids=lambda text: text[:30],
)
def test_the_reason_is_one_bounded_line(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as refused:
        parse_yaml(text)
    assert len(str(refused.value)) < 250
    assert str(refused.value).isprintable()


def test_pipes_devices_folders_and_other_encodings_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "zero.yaml").symlink_to("/dev/zero")
    (tmp_path / "wide.yaml").write_bytes("a: 1".encode("utf-16"))
    (tmp_path / "long.yaml").write_bytes(b"#" * (LARGEST_YAML + 1))
    for name, reason in (
        ("pipe.yaml", "is no regular file"),
        ("zero.yaml", "is no regular file"),
        ("", "is no regular file"),
        ("wide.yaml", "utf-8"),
        ("long.yaml", "more than 262144 bytes"),
        ("none.yaml", "No such file"),
    ):
        with pytest.raises(UsageError, match=rf"cannot read the plan .*{reason}"):
            read_yaml(tmp_path / name, "plan")
