"""The test of signs against values known from counting."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.preflight.chance import LEVEL, family_flip_p, scene_means, sign_flip_p


def test_all_positive_has_one_pattern_of_all() -> None:
    assert sign_flip_p(np.ones(10)) == pytest.approx(1 / 2**10)
    assert sign_flip_p(-np.ones(10)) == 1.0


def test_nine_of_ten_equal_values_is_the_binomial_tail() -> None:
    values = np.array([1.0] * 9 + [-1.0])
    assert sign_flip_p(values) == pytest.approx(11 / 2**10)


def test_zeros_and_nothing_are_no_evidence() -> None:
    assert sign_flip_p(np.zeros(10)) == 1.0
    assert sign_flip_p(np.array([])) == 1.0
    assert sign_flip_p(np.array([0.0, 1.0, 0.0])) == 0.5


def test_many_scenes_are_drawn() -> None:
    assert sign_flip_p(np.ones(40)) == pytest.approx(1e-4)


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=8))
def test_both_sides_cover_everything(values: list[float]) -> None:
    both = sign_flip_p(np.array(values)) + sign_flip_p(-np.array(values))
    assert both >= 1 - 1e-9


def test_noise_is_seldom_called_an_effect() -> None:
    rng = np.random.default_rng(3)
    share = np.mean([sign_flip_p(rng.normal(size=10)) < LEVEL for _ in range(2000)])
    assert share < 0.016


def test_a_family_is_corrected() -> None:
    rng = np.random.default_rng(4)
    families = [rng.normal(size=(7, 10)) for _ in range(1000)]
    assert np.mean([family_flip_p(family).min() < LEVEL for family in families]) < 0.018
    assert family_flip_p(np.ones((3, 10))) == pytest.approx(1 / 2**10)  # One test three times.


def test_the_states_of_a_scene_count_once() -> None:
    scenes = np.array([0, 0, 0, 1])
    assert list(scene_means(np.array([1.0, 2.0, np.nan, 5.0]), scenes)) == [1.5, 5.0]
