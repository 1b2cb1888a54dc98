"""Movements and distances of actions with several meanings."""

import numpy as np
import pytest

from harness.contracts.environment import Observation
from harness.contracts.vectors import EEF_DELTA_ACTION, Layout, Part
from harness.preflight.answers import Answers, numbers_of
from harness.preflight.interview import PLAIN
from harness.preflight.scenes import Moment

POSE = Layout(
    (
        Part("eef_position", 3, "target in m"),
        Part("eef_orientation", 3, "target, extrinsic xyz Euler angles in rad"),
        Part("left_gripper", 1, "0 closed, 1 open"),
    )
)
NOTHING: Observation = {"image": {}, "state": np.zeros(1, np.float32), "instruction": ""}


def answers(plain: list[list[float]], other: list[list[float]], idle: list[float]) -> Answers:
    def chunks(rows: list[list[float]]) -> list[np.ndarray]:
        return [np.array([row], np.float32) for row in rows]

    still = np.array(idle, np.float32)
    moments = [
        Moment("t", episode, 0, NOTHING, still, np.zeros((0, 7), np.float32))
        for episode in range(len(plain))
    ]
    bounds = np.full(7, np.inf, np.float32)
    return Answers(moments, {PLAIN: chunks(plain), "x": chunks(other)}, -bounds, bounds, POSE)


def test_a_movement_starts_at_the_idle_action() -> None:
    idle = [0.5, 0, 0, 3.1, 0, 0, 1]
    found = answers([[0.6, 0, 0, -3.1, 0, 0, 1]], [[0.0] * 7], idle).policy_moves[0]
    # The angle passes pi; the gripper stays as it is.
    assert found == pytest.approx([0.1, 0, 0, 2 * np.pi - 6.2, 0, 0, 1], abs=1e-5)


def test_a_change_is_in_spreads_and_leaves_constant_numbers_out() -> None:
    plain = [[0.0, 0, 0, 0, 0, 0, 1], [2.0, 0, 0, 0, 0, 0, 1]]
    other = [[1.0, 0, 0, 0, 0, 0, 9], [2.0, 0, 0, 0, 0, 0, 9]]
    assert list(answers(plain, other, [0.0] * 7).change("x")) == pytest.approx([1, 0])


def test_angles_are_near_across_pi() -> None:
    plain = [[0, 0, 0, 3.1, 0, 0, 0], [0, 0, 0, 2.9, 0, 0, 0]]
    other = [[0, 0, 0, -3.1, 0, 0, 0], [0, 0, 0, 2.9, 0, 0, 0]]
    change = answers(plain, other, [0.0] * 7).change("x")
    assert change == pytest.approx([(2 * np.pi - 6.2) / 0.1, 0], abs=1e-3)


def test_numbers_know_their_kind() -> None:
    pose, delta = numbers_of(POSE), numbers_of(EEF_DELTA_ACTION)
    assert [n.label for n in pose][2:4] == ["eef_position 3", "eef_orientation 1"]
    assert [n.is_angle for n in pose] == [False] * 3 + [True] * 3 + [False]
    assert [n.is_gripper for n in delta] == [False] * 6 + [True]
    assert not any(n.is_angle for n in delta)
