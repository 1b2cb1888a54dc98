"""Samplers with a perfect network, and the conversion of actions to tokens."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from policies.heads.bins import BinsHead
from policies.heads.configs import BinsConfig, DiffusionConfig, FlowConfig, MaskedConfig
from policies.heads.denoising import draw_times, embed_times
from policies.heads.diffusion import DiffusionHead, signal_kept
from policies.heads.flow import FlowHead
from policies.heads.masked import MaskedHead
from policies.heads.tokens import sample_tokens, to_actions, to_tokens
from tests.helpers.toy_network import ACTION_SIZE, HORIZON, ToyNetwork

WIDTH, BATCH = 16, 3
LENGTH = HORIZON * ACTION_SIZE


def streams(count: int = BATCH) -> list[np.random.Generator]:
    return [np.random.default_rng(row) for row in range(count)]


def test_flow_reaches_a_known_chunk_in_ten_evaluations(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    head = FlowHead(FlowConfig(horizon=HORIZON, action_size=ACTION_SIZE), WIDTH)
    chunk, times = torch.rand(BATCH, HORIZON, ACTION_SIZE), []

    def velocity(expert: object, noisy: Tensor, time: Tensor) -> Tensor:
        times.append(round(float(time[0]), 6))
        return (noisy - chunk) / time[:, None, None]

    monkeypatch.setattr(head, "predict", velocity)
    drawn = head.sample(ToyNetwork(1, WIDTH, False).bind(torch.zeros(BATCH, 1)), streams())
    assert times == [1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1]
    assert torch.allclose(drawn, chunk, atol=1e-5)


@pytest.mark.parametrize("predicts", ["noise", "chunk"])
@pytest.mark.parametrize("steps", [1, 7, 10, 100])
def test_diffusion_reaches_a_known_chunk(
    monkeypatch: pytest.MonkeyPatch, predicts: str, steps: int
) -> None:
    config = DiffusionConfig(
        horizon=HORIZON, action_size=ACTION_SIZE, steps=steps, predicts=predicts
    )
    head = DiffusionHead(config, WIDTH)
    chunk, levels = torch.rand(BATCH, HORIZON, ACTION_SIZE), []

    def predict(expert: object, noisy: Tensor, level: Tensor) -> Tensor:
        levels.append(int(level[0]))
        kept = head.kept[level[0]]
        return chunk if predicts == "chunk" else (noisy - kept.sqrt() * chunk) / (1 - kept).sqrt()

    monkeypatch.setattr(head, "_predict_at", predict)
    drawn = head.sample(ToyNetwork(1, WIDTH, False).bind(torch.zeros(BATCH, 1)), streams())
    assert levels[0] == 99
    assert len(levels) == steps
    assert levels == sorted(set(levels), reverse=True)
    assert torch.allclose(drawn, chunk, atol=1e-3)


def test_the_noise_schedule_is_the_published_squared_cosine() -> None:
    kept = signal_kept(100).double()
    left = [math.cos((k / 100 + 0.008) / 1.008 * math.pi / 2) ** 2 for k in range(101)]
    assert torch.allclose(kept[:-1], torch.tensor(left[1:-1], dtype=torch.float64) / left[0])
    # At the last level the schedule would keep no signal, so the loss of signal is limited.
    assert kept[-1] == pytest.approx(float(kept[-2]) * 0.001, rel=1e-3)


def test_times_follow_the_beta_distribution_above_zero() -> None:
    generator = torch.Generator().manual_seed(0)
    times = draw_times(torch.empty(20000), 1.5, generator).double()
    assert times.min() >= 0.001
    assert times.max() <= 1
    grid = torch.linspace(0.01, 1, 50, dtype=torch.float64)
    share = (times[:, None] <= grid).double().mean(0)
    # The limit of the Kolmogorov-Smirnov test at 0.1 %.
    assert (share - ((grid - 0.001) / 0.999) ** 1.5).abs().max() < 1.95 / math.sqrt(20000)


def test_the_time_embedding_has_the_given_periods() -> None:
    embedded = embed_times(torch.tensor([0.003, 0.25]), 8)
    periods = [0.004 * 1000 ** (place / 3) for place in range(4)]
    for row, time in enumerate([0.003, 0.25]):
        angles = [2 * math.pi * time / period for period in periods]
        expected = [*map(math.sin, angles), *map(math.cos, angles)]
        assert embedded[row].tolist() == pytest.approx(expected, abs=1e-5)


@given(st.integers(2, 3000), st.lists(st.floats(-1, 1, width=32), min_size=6, max_size=6))
def test_a_number_is_at_most_half_a_bin_from_its_bin(bins: int, numbers: list[float]) -> None:
    actions = torch.tensor(numbers).view(1, 3, 2)
    tokens = to_tokens(actions, bins)
    assert tokens.min() >= 0
    assert tokens.max() < bins
    centres = to_actions(tokens, bins, 2)
    assert (centres - actions).abs().max() <= 1 / bins + 1e-6
    assert torch.equal(to_tokens(centres, bins), tokens)
    assert torch.allclose(to_actions(tokens, bins, 2, place=0.0), centres - 1 / bins, atol=1e-6)


def test_tokens_are_in_time_order() -> None:
    actions = torch.tensor([[[-0.9, -0.5], [0.1, 0.9]]])
    assert to_tokens(actions, 10).tolist() == [[0, 2, 5, 9]]
    assert to_tokens(torch.tensor([[[-7.0, 7.0]]]), 10).tolist() == [[0, 9]]


def test_tokens_are_sampled_with_their_probability() -> None:
    likely = torch.tensor([0.0, 0.1, 0.2, 0.7])
    drawn = sample_tokens(likely.log().expand(1, 20000, 4), streams(1))
    share = drawn[0].bincount(minlength=4) / 20000
    assert share[0] == 0
    assert (share - likely).abs().max() < 0.015
    assert sample_tokens(likely.log().expand(1, 5, 4), streams(1), temperature=0).tolist() == [
        [3] * 5
    ]


def test_generation_with_memory_agrees_with_the_training_pass() -> None:
    torch.manual_seed(0)
    config = BinsConfig(horizon=HORIZON, action_size=ACTION_SIZE, bins=16)
    head, network = BinsHead(config, WIDTH), ToyNetwork(1, WIDTH, False)
    observations = torch.rand(BATCH, 1)
    with torch.no_grad():
        generated = head.generate(network.bind(observations), streams(), LENGTH, 0.0, 16)
        before = torch.cat([head.start.expand(BATCH, 1, -1), head.embed(generated[:, :-1])], dim=1)
        logits = head.out_proj(network.bind(observations)(before, causal=True))
    assert torch.equal(logits.argmax(-1), generated)


@pytest.mark.parametrize("steps", [1, 2, 4, 12])
def test_masked_decoding_follows_the_schedule(steps: int) -> None:
    torch.manual_seed(0)
    config = MaskedConfig(horizon=HORIZON, action_size=ACTION_SIZE, bins=16, steps=steps)
    head, network = MaskedHead(config, WIDTH), ToyNetwork(1, WIDTH, False)
    decoding = head.decode(network.bind(torch.rand(BATCH, 1)), streams())
    assert decoding.tokens.max() < 16
    for done in range(1, steps + 1):
        hidden = math.floor(LENGTH * math.cos(math.pi / 2 * done / steps) + 1e-9)
        assert ((decoding.rounds >= done).sum(1) == hidden).all()


def test_without_noise_the_most_probable_token_is_unmasked_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = MaskedConfig(
        horizon=HORIZON, action_size=ACTION_SIZE, bins=4, steps=LENGTH, temperature=0.0
    )
    head, network = MaskedHead(config, WIDTH), ToyNetwork(1, WIDTH, False)
    confidence = torch.randperm(LENGTH)
    logits = torch.zeros(1, LENGTH, 4)
    logits[0, :, 2] = 20.0 + confidence
    monkeypatch.setattr(head, "logits", lambda expert, tokens: logits.double())
    decoding = head.decode(network.bind(torch.zeros(1, 1)), streams(1))
    rounds = decoding.rounds[0][confidence.argsort(descending=True)].tolist()
    assert rounds == sorted(rounds)
    assert (decoding.tokens == 2).all()


def test_remask_masks_improbable_tokens_again(monkeypatch: pytest.MonkeyPatch) -> None:
    size = {"horizon": HORIZON, "action_size": ACTION_SIZE, "bins": 4, "steps": 4}
    network = ToyNetwork(1, WIDTH, False)
    last = {}
    for remask in (0.0, 1.0):
        head = MaskedHead(MaskedConfig(**size, remask=remask), WIDTH)
        seen: list[Tensor] = []

        def logits(expert: object, tokens: Tensor, seen: list[Tensor] = seen) -> Tensor:
            seen.append(tokens)
            return torch.zeros(1, LENGTH, 4)

        monkeypatch.setattr(head, "logits", logits)
        head.decode(network.bind(torch.zeros(1, 1)), streams(1))
        last[remask] = int((seen[-1] == 4).sum())
    assert last[0.0] == math.floor(LENGTH * math.cos(math.pi / 2 * 3 / 4))
    assert last[1.0] > last[0.0]
