"""The digest of an object: what changes it, what does not, and what has none."""

import enum
import functools
import subprocess
import sys
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from policies import state_digest as module
from policies.state_digest import CannotHashError, state_digest

SCALE = 1.0


def digest(value: Any) -> str:
    return state_digest(value, "it")


class Color(enum.Enum):
    """Two names."""

    RED = 1
    BLUE = 2


@dataclass
class Pair:
    """Two values."""

    left: Any
    right: Any


class Slotted:
    """An object without a dict."""

    __slots__ = ("value",)

    def __init__(self, value: int) -> None:
        self.value = value


class Scaled:
    """A callable that uses a global."""

    factor = 2

    def __call__(self, observation: float) -> float:
        return observation * SCALE * self.factor


def closing(number: Any) -> Any:
    return lambda: number


def network(seed: int) -> torch.nn.Module:
    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Dropout(0.1))


DIFFERENT: list[tuple[Any, Any]] = [
    (1, 1.0),
    (True, 1),
    ("a", b"a"),
    (["a", "bc"], ["ab", "c"]),
    ([1, [2]], [1, 2]),
    ([1, 2], (1, 2)),
    ({"a": 1}, {"a": 2}),
    ({1, 2}, frozenset({1, 3})),
    (np.zeros(4, np.float32), np.zeros(2, np.float64)),
    (np.zeros((2, 3)), np.zeros((3, 2))),
    (np.array(["a", 1], object), np.array(["a", 2], object)),
    (torch.zeros(3), torch.zeros(3, dtype=torch.int32)),
    (torch.zeros(2, dtype=torch.bfloat16), torch.ones(2, dtype=torch.bfloat16)),
    (Color.RED, Color.BLUE),
    (Path("a"), Path("b")),
    (Pair(1, 2), Pair(2, 1)),
    (Slotted(1), Slotted(2)),
    (closing(1), closing(2)),
    (functools.partial(max, 1), functools.partial(max, 2)),
    (np.random.default_rng(1), np.random.default_rng(2)),
    (np.random.RandomState(1), np.random.RandomState(2)),
    (len, max),
    (np.sin, np.cos),
    (OrderedDict(a=1), OrderedDict(a=2)),
    (network(1), network(2)),
    (network(1), network(1).eval()),
]


@pytest.mark.parametrize(("one", "other"), DIFFERENT, ids=lambda value: type(value).__name__)
def test_different_objects_have_different_digests(one: Any, other: Any) -> None:
    assert digest(one) == digest(one)
    assert digest(one) != digest(other)


@given(st.recursive(st.integers() | st.text(), lambda part: st.lists(part) | st.sets(st.text())))
def test_equal_values_have_equal_digests(value: Any) -> None:
    copy = eval(repr(value), {})
    assert digest(copy) == digest(value)


def test_equal_networks_are_equal() -> None:
    assert digest(network(1)) == digest(network(1))
    assert digest({"b": 1, "a": 2}) == digest({"a": 2, "b": 1})


def test_code_and_globals_count(monkeypatch: pytest.MonkeyPatch) -> None:
    before = digest(Scaled())
    monkeypatch.setattr(Scaled, "factor", 3)
    factor = digest(Scaled())
    monkeypatch.setattr(sys.modules[__name__], "SCALE", 2.0)
    scale = digest(Scaled())
    monkeypatch.setattr(Scaled, "__call__", lambda self, observation: observation)
    assert len({before, factor, scale, digest(Scaled())}) == 4


def test_circles_end() -> None:
    circle: list[Any] = [1]
    circle.append(circle)
    other: list[Any] = [2]
    other.append(other)
    assert digest(circle) != digest(other)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (Pair(1, threading.Lock()), r"it\.right is a lock, which has no digest"),
        ([(value for value in ())], r"it\[0\] is a generator"),
        (Pair(sys.stdout, 1), r"it\.left is a "),
        (torch.zeros(2).to_sparse(), "it is a tensor without plain bytes"),
    ],
)
def test_what_has_no_digest(value: Any, message: str) -> None:
    with pytest.raises(CannotHashError, match=message):
        digest(value)


def test_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(CannotHashError, match="nested too deeply"):
        digest(deep)
    monkeypatch.setattr(module, "MOST_OBJECTS", 100)
    with pytest.raises(CannotHashError, match="more than 100 objects"):
        digest([[index] for index in range(200)])


def test_another_process_finds_the_same_digest(tmp_path: Path) -> None:
    source = """
import numpy, torch
from policies.state_digest import state_digest
class Mine:
    names = {"a", "b", "c", "d"}
    def __init__(self):
        self.weights, self.tags = torch.arange(3.0), {"x", "y", "z"}
    def __call__(self, observation):
        return numpy.zeros(3) if observation in {"left", "right", "up"} else helper(observation)
def helper(observation):
    return [Mine, lambda: observation]
print(state_digest(Mine(), "it"))
"""
    found = {
        subprocess.run(
            [sys.executable, "-c", source], capture_output=True, text=True, check=True
        ).stdout
        for _ in range(2)
    }
    assert len(found) == 1
