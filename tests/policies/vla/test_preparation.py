"""Preparation of pictures, states, actions and prompts."""

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
from harness.demonstrations.column_statistics import number_statistics
from policies.vla.config import sized
from policies.vla.normalize import Normalization, Scaling
from policies.vla.preparation import Preparation, to_network
from policies.vla.prompts import PromptTokenizer, prompt, state_levels
from tests.helpers.vla import (
    CAMERAS,
    INSTRUCTIONS,
    network,
    normalization,
    pictures,
    tokenizer,
)

VALUES = arrays(np.float32, (30, 3), elements=st.floats(-50, 50, width=32))


@given(VALUES, st.sampled_from(["quantile", "gaussian"]))
def test_restore_inverts_normalize(values: np.ndarray, kind: str) -> None:
    scaling = Scaling.of(kind, number_statistics(values), floor=0.01)  # type: ignore[arg-type]
    np.testing.assert_allclose(scaling.restore(scaling.normalize(values)), values, atol=1e-4)


def test_scalings_are_the_paper_s() -> None:
    values = np.random.default_rng(0).normal(3, 5, (500, 2)).astype(np.float32)
    stats = number_statistics(values)
    low, high = stats["q01"], stats["q99"]
    quantile = (values - low) / (high - low + 1e-6) * 2 - 1
    np.testing.assert_allclose(Scaling.of("quantile", stats).normalize(values), quantile, atol=1e-5)
    gaussian = (values - stats["mean"]) / (stats["std"] + 1e-6)
    np.testing.assert_allclose(Scaling.of("gaussian", stats).normalize(values), gaussian, atol=1e-5)


def test_constant_numbers_are_not_scaled_up() -> None:
    stats = number_statistics(np.ones((10, 1), np.float32))
    assert abs(Scaling.of("quantile", stats, floor=0.1).normalize(np.array([[1.01]]))) < 0.2
    for centre, span in ((0.0, 0.0), (0.0, np.inf), (0.0, np.nan), (np.nan, 1.0), (np.inf, 1.0)):
        with pytest.raises(UsageError, match="finite centre and a positive span"):
            Scaling((centre,), (span,))


def test_relative_actions_are_offsets_from_the_state() -> None:
    rng = np.random.default_rng(0)
    state = rng.normal(size=(2, 4)).astype(np.float32)
    actions = rng.normal(size=(2, 5, 3)).astype(np.float32)
    plain = Scaling((0.0,) * 3, (2.0,) * 3)
    relative = Normalization(Scaling((), ()), plain, (3, None, 0))
    chunk = relative.chunk(actions, state)
    np.testing.assert_allclose(chunk[..., 0], (actions[..., 0] - state[:, None, 3]) / 2, atol=1e-6)
    np.testing.assert_allclose(chunk[..., 1], actions[..., 1] / 2, atol=1e-6)
    filled = np.concatenate([chunk, np.ones((2, 5, 9), np.float32)], axis=2)
    np.testing.assert_allclose(relative.actions(filled, state), actions, atol=1e-6)
    with pytest.raises(UsageError, match="relative"):
        Normalization(Scaling((), ()), plain, (0,))


def test_relative_angles_are_wrapped() -> None:
    plain = Scaling((0.0,) * 2, (1.0,) * 2)
    wrapped = Normalization(Scaling((), ()), plain, (0, 1), (1,))
    state = np.array([[3.0, 3.1], [3.0, -3.1]], np.float32)
    actions = np.array([[[-3.0, -3.1]], [[-3.0, 3.1]]], np.float32)
    chunk = wrapped.chunk(actions, state)
    np.testing.assert_allclose(chunk[:, 0, 0], -6)
    np.testing.assert_allclose(chunk[:, 0, 1], [0.083185, -0.083185], atol=1e-5)
    np.testing.assert_allclose(wrapped.actions(chunk, state), actions, atol=1e-5)
    with pytest.raises(UsageError, match="angles"):
        Normalization(Scaling((), ()), plain, (0, None), (1,))


def test_equal_angles_give_equal_states() -> None:
    state = np.array([[3.1, 3.1], [3.1, -3.1], [3.1, np.pi]], np.float32)
    scaling = Scaling((0.0, 3.0), (1.0, 0.5))
    plain = Normalization(scaling, Scaling((0.0,), (1.0,)))
    wrapped = replace(plain, state_angles=(1,))
    np.testing.assert_array_equal(wrapped.states(state)[:, 0], plain.states(state)[:, 0])
    wanted = [0.2, (2 * np.pi - 6.1) * 2, 2 * np.pi - 6]
    np.testing.assert_allclose(wrapped.states(state)[:, 1], wanted, atol=1e-5)
    assert Normalization.from_json(asdict(wrapped)) == wrapped
    with pytest.raises(UsageError, match="state_angles"):
        replace(plain, state_angles=(2,))


def test_pictures_are_resized_like_pillow_within_one_level() -> None:
    smooth = np.indices((60, 80)).sum(0)[..., None] * np.array([1, 1.5, 0.5])
    image = smooth.astype(np.uint8)
    shrunk = to_network(image[None], 40)
    assert shrunk.shape == (1, 3, 40, 40)
    expected = np.asarray(Image.fromarray(image).resize((40, 30), Image.Resampling.BILINEAR))
    inside = (shrunk[0].permute(1, 2, 0).numpy()[5:35] + 1) * 127.5
    assert np.abs(inside - expected).max() <= 1.01
    assert (shrunk[..., :5, :] == -1).all()
    assert (shrunk[..., 35:, :] == -1).all()


@pytest.mark.parametrize("shape", [(1, 500), (500, 1), (1, 1), (2, 4000)])
def test_a_picture_of_extreme_shape_is_a_line(shape: tuple[int, int]) -> None:
    line = to_network(np.full((1, *shape, 3), 255, np.uint8), 32)
    assert line.shape == (1, 3, 32, 32)
    assert line.amax((0, 1)).clamp(min=0).sum() == 32 * (32 if shape == (1, 1) else 1)


def test_a_picture_of_the_right_size_is_not_changed() -> None:
    image = pictures(1, 16)["main"]
    back = (to_network(image, 16).permute(0, 2, 3, 1) + 1) * 127.5
    np.testing.assert_array_equal(back.round().byte().numpy(), image)


def test_a_picture_does_not_depend_on_its_batch() -> None:
    images = pictures(5, 50)["main"]
    alone = torch.cat([to_network(image[None], 32) for image in images])
    assert torch.equal(to_network(images, 32), alone)


def test_a_missing_camera_is_marked_absent() -> None:
    config = network()
    seen = {"main": pictures(2)["main"]}
    prepared = Preparation(config, normalization(), tokenizer(config)).inputs(
        seen, np.zeros((2, 5), np.float32), INSTRUCTIONS
    )
    assert [prepared.present[role].tolist() for role in CAMERAS] == [[True] * 2, [False] * 2]


def test_unknown_words_are_encoded_as_bytes() -> None:
    config = network()
    known = tokenizer(config)
    tokens, mask = known.encode(INSTRUCTIONS, np.zeros((2, 5), np.float32))
    assert mask.sum(1).tolist() == [
        1 + len(instruction.split()) + 1 for instruction in INSTRUCTIONS
    ]
    unknown, there = known.encode(["grüße ein Äffchen"], np.zeros((1, 5), np.float32))
    assert there.sum() > 8
    other, _ = known.encode(["grüße einen Affen"], np.zeros((1, 5), np.float32))
    assert unknown.tolist() != other.tolist()
    assert int(tokens.max()) < config.vocabulary


def test_a_state_has_256_levels_in_the_prompt() -> None:
    values = np.array([-3.0, -1.0, 0.0, 0.999, 1.0, 7.0], np.float32)
    assert state_levels(values).tolist() == [-1, 0, 128, 255, 255, 255]
    pi05 = sized("dummy", cameras=CAMERAS, state_size=2, state="text")
    said = "Task: push it, State: 0 128;\nAction: "
    assert prompt("push_it\n", values[1:3], pi05) == said
    fast = sized("dummy", cameras=CAMERAS, state_size=2, state="text", acting="language")
    assert prompt("Push it", values[1:3], fast) == "Task: push it, State: 0 128;\n"
    pi0 = sized("dummy", cameras=CAMERAS, state_size=2)
    assert prompt("Push it", values[1:3], pi0) == "Push it\n"


def test_long_prompts_are_cut() -> None:
    config = network()
    tokens, _ = tokenizer(config).encode(["push " * 99], np.zeros((1, 5), np.float32))
    assert tokens.shape[1] == config.text_length


def test_a_tokenizer_of_another_model_is_refused() -> None:
    large, small = network("small"), network("dummy")
    many = PromptTokenizer.fitted([f"{a} {b}" for a in range(300) for b in "abcdefgh"], large)
    with pytest.raises(UsageError, match="belongs to another model"):
        PromptTokenizer(many._tokenizer, small)


def test_tokens_without_embedding_are_ignored() -> None:
    """PaliGemma's file may have a token for pictures."""
    config = replace(network("dummy"), vocabulary=300)
    known = tokenizer(config)
    theirs = Tokenizer.from_str(known.dumps())
    theirs.add_special_tokens(["<image>"])
    config = replace(config, vocabulary=known.count)
    assert PromptTokenizer(theirs, config).token_ids("push <image>") == known.token_ids("push ")
    assert PromptTokenizer(theirs, config).count == known.count
