"""Samplers end where they should when the network is right, and tokens stand for what they say."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from policies.heads.bins import BinsConfig, BinsHead
from policies.heads.diffusion import DiffusionConfig, DiffusionHead, signal_kept
from policies.heads.flow import FlowConfig, FlowHead
from policies.heads.masked import MaskedConfig, MaskedHead
from policies.heads.timed import draw_times, embed_times
from policies.heads.tokens import pick, to_actions, to_tokens
from tests.helpers.toy_network import ACTION_SIZE, HORIZON, ToyNetwork

WIDTH, BATCH = 16, 3
LENGTH = HORIZON * ACTION_SIZE


def streams(count: int = BATCH) -> list[np.random.Generator]:
    return [np.random.default_rng(row) for row in range(count)]


def test_the_flow_of_a_known_chunk_ends_there_after_ten_evaluations(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    head = FlowHead(FlowConfig(horizon=HORIZON, action_size=ACTION_SIZE), WIDTH)
    chunk, times = torch.rand(BATCH, HORIZON, ACTION_SIZE), []

    def velocity(expert: object, noisy: Tensor, time: Tensor) -> Tensor:
        times.append(round(float(time[0]), 6))
        return (noisy - chunk) / time[:, None, None]

    monkeypatch.setattr(head, "velocity", velocity)
    drawn = head.sample(ToyNetwork(1, WIDTH, False).bind(torch.zeros(BATCH, 1)), streams())
    assert times == [1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1]
    assert torch.allclose(drawn, chunk, atol=1e-5)


@pytest.mark.parametrize("predicts", ["noise", "chunk"])
@pytest.mark.parametrize("steps", [1, 7, 10, 100])
def test_diffusion_of_a_known_chunk_ends_there(
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

    monkeypatch.setattr(head, "_predict", predict)
    drawn = head.sample(ToyNetwork(1, WIDTH, False).bind(torch.zeros(BATCH, 1)), streams())
    assert levels[0] == 99
    assert len(levels) == steps
    assert levels == sorted(set(levels), reverse=True)
    assert torch.allclose(drawn, chunk, atol=1e-3)


def test_the_squared_cosine_schedule_is_the_published_one() -> None:
    kept = signal_kept(100).double()
    left = [math.cos((k / 100 + 0.008) / 1.008 * math.pi / 2) ** 2 for k in range(101)]
    assert torch.allclose(kept[:-1], torch.tensor(left[1:-1], dtype=torch.float64) / left[0])
    # At the last level the schedule itself would leave nothing, so the loss is limited there.
    assert kept[-1] == pytest.approx(float(kept[-2]) * 0.001, rel=1e-3)


def test_times_are_of_the_distribution_and_keep_off_zero() -> None:
    generator = torch.Generator().manual_seed(0)
    times = draw_times(torch.empty(20000), 1.5, generator).double()
    assert times.min() >= 0.001
    assert times.max() <= 1
    grid = torch.linspace(0.01, 1, 50, dtype=torch.float64)
    share = (times[:, None] <= grid).double().mean(0)
    # The Kolmogorov-Smirnov limit at 0.1 %.
    assert (share - ((grid - 0.001) / 0.999) ** 1.5).abs().max() < 1.95 / math.sqrt(20000)


def test_a_time_is_told_by_periods_from_the_shortest_to_the_longest() -> None:
    told = embed_times(torch.tensor([0.003, 0.25]), 8)
    periods = [0.004 * 1000 ** (place / 3) for place in range(4)]
    for row, time in enumerate([0.003, 0.25]):
        angles = [2 * math.pi * time / period for period in periods]
        wanted = [*map(math.sin, angles), *map(math.cos, angles)]
        assert told[row].tolist() == pytest.approx(wanted, abs=1e-5)


@given(st.integers(2, 3000), st.lists(st.floats(-1, 1, width=32), min_size=6, max_size=6))
def test_a_number_and_its_bin_are_half_a_bin_apart(bins: int, numbers: list[float]) -> None:
    actions = torch.tensor(numbers).view(1, 3, 2)
    tokens = to_tokens(actions, bins)
    assert tokens.min() >= 0
    assert tokens.max() < bins
    centres = to_actions(tokens, bins, 2)
    assert (centres - actions).abs().max() <= 1 / bins + 1e-6
    assert torch.equal(to_tokens(centres, bins), tokens)
    assert torch.allclose(to_actions(tokens, bins, 2, place=0.0), centres - 1 / bins, atol=1e-6)


def test_tokens_are_in_the_order_of_time() -> None:
    actions = torch.tensor([[[-0.9, -0.5], [0.1, 0.9]]])
    assert to_tokens(actions, 10).tolist() == [[0, 2, 5, 9]]
    assert to_tokens(torch.tensor([[[-7.0, 7.0]]]), 10).tolist() == [[0, 9]]


def test_tokens_are_drawn_as_often_as_is_likely() -> None:
    likely = torch.tensor([0.0, 0.1, 0.2, 0.7])
    drawn = pick(likely.log().expand(1, 20000, 4), streams(1))
    share = drawn[0].bincount(minlength=4) / 20000
    assert share[0] == 0
    assert (share - likely).abs().max() < 0.015
    assert pick(likely.log().expand(1, 5, 4), streams(1), temperature=0).tolist() == [[3] * 5]


def test_writing_with_memory_is_what_was_trained() -> None:
    torch.manual_seed(0)
    config = BinsConfig(horizon=HORIZON, action_size=ACTION_SIZE, bins=16)
    head, network = BinsHead(config, WIDTH), ToyNetwork(1, WIDTH, False)
    observations = torch.rand(BATCH, 1)
    with torch.no_grad():
        written = head.write(network.bind(observations), streams(), LENGTH, 0.0, 16)
        shown = torch.cat([head.start.expand(BATCH, 1, -1), head.embed(written[:, :-1])], dim=1)
        logits = head.out_proj(network.bind(observations)(shown, causal=True))
    assert torch.equal(logits.argmax(-1), written)


@pytest.mark.parametrize("steps", [1, 2, 4, 12])
def test_a_masked_path_shows_as_many_tokens_as_the_schedule(steps: int) -> None:
    torch.manual_seed(0)
    config = MaskedConfig(horizon=HORIZON, action_size=ACTION_SIZE, bins=16, steps=steps)
    head, network = MaskedHead(config, WIDTH), ToyNetwork(1, WIDTH, False)
    path = head.path(network.bind(torch.rand(BATCH, 1)), streams())
    assert path.tokens.max() < 16
    for done in range(1, steps + 1):
        hidden = math.floor(LENGTH * math.cos(math.pi / 2 * done / steps) + 1e-9)
        assert ((path.rounds >= done).sum(1) == hidden).all()


def test_without_chance_the_surest_token_is_shown_first(monkeypatch: pytest.MonkeyPatch) -> None:
    config = MaskedConfig(
        horizon=HORIZON, action_size=ACTION_SIZE, bins=4, steps=LENGTH, temperature=0.0
    )
    head, network = MaskedHead(config, WIDTH), ToyNetwork(1, WIDTH, False)
    sure = torch.randperm(LENGTH)
    logits = torch.zeros(1, LENGTH, 4)
    logits[0, :, 2] = 20.0 + sure
    monkeypatch.setattr(head, "logits", lambda expert, tokens: logits.double())
    path = head.path(network.bind(torch.zeros(1, 1)), streams(1))
    rounds = path.rounds[0][sure.argsort(descending=True)].tolist()
    assert rounds == sorted(rounds)
    assert (path.tokens == 2).all()


def test_a_doubted_token_is_hidden_again(monkeypatch: pytest.MonkeyPatch) -> None:
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
        head.path(network.bind(torch.zeros(1, 1)), streams(1))
        last[remask] = int((seen[-1] == 4).sum())
    assert last[0.0] == math.floor(LENGTH * math.cos(math.pi / 2 * 3 / 4))
    assert last[1.0] > last[0.0]
