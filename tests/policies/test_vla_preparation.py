"""What is done to pictures, states, actions and instructions before and after the network."""

from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from tokenizers import Tokenizer

from harness.contracts.errors import UsageError
from harness.demonstrations.statistics import of_numbers
from policies.vla.config import sized
from policies.vla.normalize import Normalization, Scaling
from policies.vla.preparation import Preparation, pictures
from policies.vla.text import Text, levels, prompt
from tests.helpers.vla import (
    CAMERAS,
    INSTRUCTIONS,
    network,
    normalization,
    text,
)
from tests.helpers.vla import pictures as some_pictures

VALUES = arrays(np.float32, (30, 3), elements=st.floats(-50, 50, width=32))


@given(VALUES, st.sampled_from(["quantile", "gaussian"]))
def test_a_scaling_can_be_undone(values: np.ndarray, kind: str) -> None:
    scaling = Scaling.of(kind, of_numbers(values), floor=0.01)  # type: ignore[arg-type]
    np.testing.assert_allclose(scaling.back(scaling.forth(values)), values, atol=1e-4)


def test_scalings_are_those_of_the_paper() -> None:
    values = np.random.default_rng(0).normal(3, 5, (500, 2)).astype(np.float32)
    stats = of_numbers(values)
    low, high = stats["q01"], stats["q99"]
    quantile = (values - low) / (high - low + 1e-6) * 2 - 1
    np.testing.assert_allclose(Scaling.of("quantile", stats).forth(values), quantile, atol=1e-5)
    gaussian = (values - stats["mean"]) / (stats["std"] + 1e-6)
    np.testing.assert_allclose(Scaling.of("gaussian", stats).forth(values), gaussian, atol=1e-5)


def test_numbers_that_never_change_are_not_blown_up() -> None:
    stats = of_numbers(np.ones((10, 1), np.float32))
    assert abs(Scaling.of("quantile", stats, floor=0.1).forth(np.array([[1.01]]))) < 0.2
    with pytest.raises(UsageError, match="positive span"):
        Scaling((0.0,), (0.0,))


def test_actions_are_counted_from_the_state_and_back() -> None:
    drawn = np.random.default_rng(0)
    state = drawn.normal(size=(2, 4)).astype(np.float32)
    actions = drawn.normal(size=(2, 5, 3)).astype(np.float32)
    plain = Scaling((0.0,) * 3, (2.0,) * 3)
    counted = Normalization(Scaling((), ()), plain, (3, None, 0))
    chunk = counted.chunk(actions, state)
    np.testing.assert_allclose(chunk[..., 0], (actions[..., 0] - state[:, None, 3]) / 2, atol=1e-6)
    np.testing.assert_allclose(chunk[..., 1], actions[..., 1] / 2, atol=1e-6)
    filled = np.concatenate([chunk, np.ones((2, 5, 9), np.float32)], axis=2)
    np.testing.assert_allclose(counted.actions(filled, state), actions, atol=1e-6)
    with pytest.raises(UsageError, match="relative"):
        Normalization(Scaling((), ()), plain, (0,))


def test_angles_are_counted_the_short_way_round() -> None:
    plain = Scaling((0.0,) * 2, (1.0,) * 2)
    turning = Normalization(Scaling((), ()), plain, (0, 1), (1,))
    state = np.array([[3.0, 3.1], [3.0, -3.1]], np.float32)
    actions = np.array([[[-3.0, -3.1]], [[-3.0, 3.1]]], np.float32)
    chunk = turning.chunk(actions, state)
    np.testing.assert_allclose(chunk[:, 0, 0], -6)
    np.testing.assert_allclose(chunk[:, 0, 1], [0.083185, -0.083185], atol=1e-5)
    np.testing.assert_allclose(turning.actions(chunk, state), actions, atol=1e-5)
    with pytest.raises(UsageError, match="angles"):
        Normalization(Scaling((), ()), plain, (0, None), (1,))


def test_a_pose_is_one_state_whichever_way_its_angles_are_written() -> None:
    state = np.array([[3.1, 3.1], [3.1, -3.1], [3.1, np.pi]], np.float32)
    scaling = Scaling((0.0, 3.0), (1.0, 0.5))
    plain = Normalization(scaling, Scaling((0.0,), (1.0,)))
    turning = replace(plain, state_angles=(1,))
    np.testing.assert_array_equal(turning.states(state)[:, 0], plain.states(state)[:, 0])
    wanted = [0.2, (2 * np.pi - 6.1) * 2, 2 * np.pi - 6]
    np.testing.assert_allclose(turning.states(state)[:, 1], wanted, atol=1e-5)
    assert Normalization.from_json(asdict(turning)) == turning
    with pytest.raises(UsageError, match="state_angles"):
        replace(plain, state_angles=(2,))


def test_pictures_are_resized_like_pillow_does_within_one_level() -> None:
    smooth = np.indices((60, 80)).sum(0)[..., None] * np.array([1, 1.5, 0.5])
    image = smooth.astype(np.uint8)
    shrunk = pictures(image[None], 40)
    assert shrunk.shape == (1, 3, 40, 40)
    expected = np.asarray(Image.fromarray(image).resize((40, 30), Image.Resampling.BILINEAR))
    inside = (shrunk[0].permute(1, 2, 0).numpy()[5:35] + 1) * 127.5
    assert np.abs(inside - expected).max() <= 1.01
    assert (shrunk[..., :5, :] == -1).all()
    assert (shrunk[..., 35:, :] == -1).all()


def test_a_picture_of_the_right_size_is_not_touched() -> None:
    image = some_pictures(1, 16)["main"]
    back = (pictures(image, 16).permute(0, 2, 3, 1) + 1) * 127.5
    np.testing.assert_array_equal(back.round().byte().numpy(), image)


def test_a_picture_does_not_depend_on_its_batch() -> None:
    images = some_pictures(5, 50)["main"]
    alone = torch.cat([pictures(image[None], 32) for image in images])
    assert torch.equal(pictures(images, 32), alone)


def test_a_missing_camera_is_not_there() -> None:
    config = network()
    seen = {"main": some_pictures(2)["main"]}
    prepared = Preparation(config, normalization(), text(config)).inputs(
        seen, np.zeros((2, 5), np.float32), INSTRUCTIONS
    )
    assert [prepared.present[role].tolist() for role in CAMERAS] == [[True] * 2, [False] * 2]


def test_words_become_tokens_and_unknown_ones_letters() -> None:
    config = network()
    known = text(config)
    tokens, mask = known.encode(INSTRUCTIONS, np.zeros((2, 5), np.float32))
    assert mask.sum(1).tolist() == [1 + len(told.split()) + 1 for told in INSTRUCTIONS]
    unknown, there = known.encode(["grüße ein Äffchen"], np.zeros((1, 5), np.float32))
    assert there.sum() > 8
    other, _ = known.encode(["grüße einen Affen"], np.zeros((1, 5), np.float32))
    assert unknown.tolist() != other.tolist()
    assert int(tokens.max()) < config.vocabulary


def test_a_state_is_written_in_256_steps() -> None:
    values = np.array([-3.0, -1.0, 0.0, 0.999, 1.0, 7.0], np.float32)
    assert levels(values).tolist() == [-1, 0, 128, 255, 255, 255]
    pi05 = sized("dummy", cameras=CAMERAS, state_size=2, state="text")
    said = "Task: push it, State: 0 128;\nAction: "
    assert prompt("push_it\n", values[1:3], pi05) == said
    fast = sized("dummy", cameras=CAMERAS, state_size=2, state="text", acting="language")
    assert prompt("Push it", values[1:3], fast) == "Task: push it, State: 0 128;\n"
    pi0 = sized("dummy", cameras=CAMERAS, state_size=2)
    assert prompt("Push it", values[1:3], pi0) == "Push it\n"


def test_long_instructions_are_cut_off() -> None:
    config = network()
    tokens, _ = text(config).encode(["push " * 99], np.zeros((1, 5), np.float32))
    assert tokens.shape[1] == config.text_length


def test_a_tokenizer_of_another_model_is_refused() -> None:
    large, small = network("small"), network("dummy")
    many = Text.fitted([f"{a} {b}" for a in range(300) for b in "abcdefgh"], large)
    with pytest.raises(UsageError, match="belongs to another model"):
        Text(many._tokenizer, small)


def test_tokens_on_top_of_the_vocabulary_are_no_words() -> None:
    """PaliGemma's file may have one for pictures, for which there is no embedding."""
    config = replace(network("dummy"), vocabulary=300)
    known = text(config)
    theirs = Tokenizer.from_str(known.dumps())
    theirs.add_special_tokens(["<image>"])
    config = replace(config, vocabulary=known.count)
    assert Text(theirs, config).words("push <image>") == known.words("push ")
    assert Text(theirs, config).count == known.count
