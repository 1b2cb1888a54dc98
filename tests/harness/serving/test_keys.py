"""What a client sends becomes an observation, or is refused with a sentence."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.contracts.policy import PolicySpec
from harness.contracts.vectors import Layout, Part
from harness.serving.codec import WireError, pack, unpack
from harness.serving.keys import LARGEST_STATE, ObservationKeys

KEYS = ObservationKeys()
STATE = Layout((Part("position", 2, "m"), Part("gripper", 1, "m")))
SPEC = PolicySpec("seeing", ("main",), STATE)
WHOLE = {
    "observation/image": np.zeros((6, 8, 3), np.uint8),
    "observation/state": np.array([0.5, -0.25, 0.04]),
    "prompt": "push the cube",
}


def received(**changes: Any) -> dict[str, Any]:
    """Return the observation after a way over the wire."""
    message = WHOLE | {f"observation/{name}": value for name, value in changes.items()}
    return dict(KEYS.unpack(unpack(pack(message)), SPEC))


def test_a_whole_observation_is_accepted() -> None:
    observation = received()
    assert observation["state"].dtype == np.float32
    np.testing.assert_array_equal(observation["state"], np.array([0.5, -0.25, 0.04], np.float32))
    assert observation["instruction"] == "push the cube"
    assert observation["image"]["main"].shape == (6, 8, 3)


@pytest.mark.parametrize("missing", sorted(WHOLE))
def test_nothing_may_be_missing(missing: str) -> None:
    message = {key: value for key, value in WHOLE.items() if key != missing}
    with pytest.raises(WireError, match=f"{missing} is missing; sent: "):
        KEYS.unpack(message, SPEC)


def test_a_prompt_may_be_empty_but_must_be_text() -> None:
    assert KEYS.unpack(WHOLE | {"prompt": ""}, SPEC)["instruction"] == ""
    for prompt in (None, 5, ["push"], np.float32(1)):
        with pytest.raises(WireError, match="prompt must be a string"):
            KEYS.unpack(WHOLE | {"prompt": prompt}, SPEC)


@pytest.mark.parametrize(
    ("value", "shown"),
    [(np.nan, "nan"), (np.inf, "inf"), (-np.inf, "-inf"), (1.5e6, "1.5e+06"), (-3e38, "-3e+38")],
)
@pytest.mark.parametrize("kind", [np.array, np.float32, list])
def test_a_state_that_no_robot_has_is_refused(value: float, shown: str, kind: Any) -> None:
    for index in range(3):
        state = [0.1, 0.2, 0.3]
        state[index] = value
        with pytest.raises(WireError) as refused:
            received(state=kind(state))
        assert f"number {index} of observation/state is {shown.split('e')[0]}" in str(refused.value)
        assert "must be finite, from -1e+06 to 1e+06" in str(refused.value)


@given(st.lists(st.floats(), min_size=3, max_size=3))
def test_a_state_is_finite_and_within_its_bounds(numbers: list[float]) -> None:
    if all(-LARGEST_STATE <= number <= LARGEST_STATE for number in numbers):
        np.testing.assert_array_equal(
            received(state=numbers)["state"], np.array(numbers, np.float32)
        )
    else:
        with pytest.raises(WireError, match="must be finite"):
            received(state=numbers)


@pytest.mark.parametrize(
    "state",
    [["0.1", "nan", "0"], [None, 0.0, 0.0], [[0.0], [0.0, 1.0]], "0 0 0", {"x": 1.0}, None],
    ids=repr,
)
def test_a_state_of_something_else_than_numbers_is_refused(state: Any) -> None:
    with pytest.raises(WireError, match="observation/state must be numbers"):
        received(state=state)


@pytest.mark.parametrize("shape", [(2,), (4,), (1, 3), (0,)])
def test_a_state_of_another_size_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(WireError, match="must"):
        received(state=np.zeros(shape))


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((6, 8, 3)),
        np.full((6, 8, 3), np.nan, np.float32),
        np.zeros((3, 6, 8), np.uint8),
        np.zeros((1, 6, 8, 3), np.uint8),
        np.zeros((6, 8), np.uint8),
        np.zeros((6, 8, 4), np.uint8),
        np.zeros((0, 8, 3), np.uint8),
        [[[0, 0, 0]]],
        None,
    ],
    ids=lambda image: f"{getattr(image, 'dtype', type(image).__name__)}{np.shape(image)}",
)
def test_an_image_of_another_type_or_shape_is_refused(image: Any) -> None:
    with pytest.raises(WireError, match=r"image must be a uint8 array of shape \(height, width, 3"):
        received(image=image)


def test_an_image_that_no_camera_makes_is_refused() -> None:
    for shape in ((1, 500, 3), (500, 1, 3), (10, 161, 3)):
        with pytest.raises(WireError, match="one side is over 16 times the other"):
            received(image=np.zeros(shape, np.uint8))
    assert received(image=np.zeros((10, 160, 3), np.uint8))["image"]["main"].shape == (10, 160, 3)
