"""Experts that drive a simulator themselves and return one action at a time."""

import threading

import numpy as np
import pytest

from benchmarks.expert_thread import Emit, ExpertThread

IDLE = np.zeros(2, np.float32)


def action(number: float) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return np.full(2, number, np.float32)


def test_the_expert_runs_on_only_after_its_last_action_was_executed() -> None:
    happened: list[str] = []

    def play(emit: Emit) -> None:
        for number in (1, 2):
            happened.append(f"planned {number}")
            emit(action(number))

    expert = ExpertThread(play, IDLE)
    assert not happened
    for number in (1, 2, 2, 2):  # A finished expert repeats its last action.
        np.testing.assert_array_equal(expert.act(), action(number))
        happened.append(f"executed {number}")
    assert happened[:4] == ["planned 1", "executed 1", "planned 2", "executed 2"]
    expert.close()


def test_an_expert_without_actions_idles() -> None:
    expert = ExpertThread(lambda emit: None, IDLE)
    np.testing.assert_array_equal(expert.act(), IDLE)


def test_act_raises_the_experts_exception_and_then_repeats_its_last_action() -> None:
    def play(emit: Emit) -> None:
        emit(action(1))
        raise ValueError("no way")

    expert = ExpertThread(play, IDLE)
    expert.act()
    with pytest.raises(ValueError, match="no way"):
        expert.act()
    np.testing.assert_array_equal(expert.act(), action(1))


def test_close_ends_the_thread_of_an_unfinished_expert() -> None:
    before = threading.active_count()

    def play(emit: Emit) -> None:
        while True:
            emit(action(1))

    expert = ExpertThread(play, IDLE)
    expert.act()
    assert threading.active_count() == before + 1
    expert.close()
    assert threading.active_count() == before
