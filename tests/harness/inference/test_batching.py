"""How a policy actor finds its batches: sizes that pay, and waits that pay."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.inference.batching import LARGEST, BatchSize, ReturnTimes, worthwhile_wait


def learnt(seconds: Callable[[int], float], others: int = 1000) -> int:
    """Return the limit after many full batches of a policy that takes `seconds(size)`."""
    size = BatchSize(None)
    for _ in range(100):
        size.learn(min(size.limit, others), seconds(size.limit), others > size.limit)
    return size.limit


@pytest.mark.parametrize(
    ("seconds", "limit"),
    [
        (lambda size: 1.0, LARGEST),
        (lambda size: 0.01 * size, 1),
        (lambda size: max(1.0, size / 8), 8),
        (lambda size: 1.0 + 0.5 * size, 16),
    ],
    ids=["fixed cost", "no gain", "full at eight", "a fixed part"],
)
def test_the_batch_grows_while_that_pays(seconds: Callable[[int], float], limit: int) -> None:
    assert learnt(seconds) == limit


def test_the_batch_does_not_outgrow_those_who_ask() -> None:
    assert learnt(lambda size: 1.0, others=4) == 4


def test_a_size_that_is_given_stays_and_a_failure_halves_it() -> None:
    size = BatchSize(16)
    for _ in range(10):
        size.learn(16, 1.0, more_wait=True)
    assert size.limit == 16
    size.shrink()
    assert size.limit == 8


def test_who_is_away_is_expected_after_as_long_as_last_time() -> None:
    times = ReturnTimes()
    times.answered("a", 10.0)
    times.asked("a", 12.0)
    assert times.expected(12.0) == []
    times.answered("a", 13.0)
    assert times.expected(14.0) == [1.0]
    assert times.expected(16.0) == [0.4]
    assert times.expected(17.5) == []


@pytest.mark.parametrize(
    ("waiting", "expected", "seconds", "wait"),
    [
        (1, [], 1.0, 0.0),
        (1, [0.1], 1.0, 0.1),
        (1, [0.9], 1.0, 0.0),
        (8, [0.3], 1.0, 0.0),
        (1, [0.1, 0.2, 0.2], 1.0, 0.2),
        (1, [0.1], 0.0, 0.0),
    ],
)
def test_waiting_pays_when_it_saves_more_than_it_costs(
    waiting: int, expected: list[float], seconds: float, wait: float
) -> None:
    assert worthwhile_wait(waiting, 16, expected, seconds) == wait


@given(
    st.integers(1, 32),
    st.integers(0, 32),
    st.lists(st.floats(0, 10)).map(sorted),
    st.floats(0, 10),
)
def test_nobody_waits_longer_than_a_batch_takes(
    waiting: int, room: int, expected: list[float], seconds: float
) -> None:
    wait = worthwhile_wait(waiting, room, expected, seconds)
    assert 0 <= wait <= seconds
    assert wait == 0 or room > 0
