"""Tests of every head: it learns, uses all its weights, and keeps rows independent."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from policies.heads import HEADS, build
from policies.heads.head import Head
from tests.helpers.toy_network import ACTION_SIZE, HORIZON, ToyNetwork, examples

WIDTH, BATCH = 32, 6
CASES: list[tuple[str, dict[str, Any]]] = [
    ("regression", {"distance": "l1"}),
    ("regression", {"distance": "smooth_l1"}),
    ("regression", {"distance": "mse"}),
    ("flow", {}),
    ("flow", {"adaptive": True}),
    ("diffusion", {"predicts": "noise"}),
    ("diffusion", {"predicts": "chunk", "adaptive": True}),
    ("bins", {"bins": 32}),
    ("fast", {"vocabulary": 64}),
    ("masked", {"bins": 32, "steps": 4}),
    ("masked", {"bins": 32, "steps": 4, "remask": 0.5}),
    ("e0", {"bins": 32, "smoothing": 3.0}),
    ("e0", {"bins": 32, "adaptive": True, "decode": "argmax", "edge": "lower"}),
    ("e0", {"bins": 32, "renoise": "fixed"}),
    ("e0-hybrid", {"bins": 32}),
    ("e0-hybrid", {"bins": 32, "decay_noise": True}),
]
EVERY = pytest.mark.parametrize(("name", "options"), CASES, ids=lambda value: str(value))


def built(name: str, options: dict[str, Any]) -> tuple[Head, ToyNetwork]:
    torch.manual_seed(0)
    head = build(name, {"horizon": HORIZON, "action_size": ACTION_SIZE, **options}, WIDTH)
    head.fit(examples(500, torch.Generator().manual_seed(0))[1].numpy())
    return head, ToyNetwork(BATCH, WIDTH, head.adaptive)


def batch() -> tuple[Tensor, Tensor, Tensor]:
    observations = torch.eye(BATCH)
    chunks = examples(BATCH, torch.Generator().manual_seed(1))[1]
    return observations, chunks, torch.ones(BATCH, HORIZON, dtype=torch.bool)


def streams(rows: range) -> list[np.random.Generator]:
    return [np.random.default_rng(row) for row in rows]


def test_every_head_is_in_the_cases() -> None:
    assert {name for name, _ in CASES} == set(HEADS)


# One variant of each head; other variants sample differently or are in test_joint.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options", "steps"),
    [
        ("regression", {}, 150),
        ("flow", {}, 300),
        # Predicting noise also learns this, but takes several times as long.
        ("diffusion", {"predicts": "chunk"}, 300),
        ("bins", {"bins": 32}, 100),
        ("fast", {"vocabulary": 64}, 100),
        ("masked", {"bins": 32}, 150),
        ("e0", {"bins": 32}, 200),
        ("e0-hybrid", {"bins": 32}, 300),
    ],
)
def test_a_head_overfits_one_batch(name: str, options: dict[str, Any], steps: int) -> None:
    head, network = built(name, options)
    observations, chunks, _ = batch()
    several = [tensor.repeat(4, *[1] * (tensor.ndim - 1)) for tensor in batch()]
    weights = [*head.parameters(), *network.parameters()]
    optimizer = torch.optim.AdamW(weights, 4e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    generator = torch.Generator().manual_seed(0)
    for _ in range(steps):
        loss = head.loss(network.bind(several[0]), several[1], several[2], generator).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        sampled = head.sample(network.bind(observations), streams(range(BATCH)))
    # Chunks of different rows differ by 0.1 to 1 on average; half a bin is 0.03.
    assert (sampled - chunks).abs().mean((1, 2)).max() < 0.08


@EVERY
def test_every_weight_gets_a_gradient(name: str, options: dict[str, Any]) -> None:
    head, network = built(name, options)
    observations, chunks, valid = batch()
    losses = head.loss(network.bind(observations), chunks, valid, torch.Generator().manual_seed(0))
    assert losses.shape == (BATCH,)
    losses.sum().backward()
    for part in (head, network):
        for label, weight in part.named_parameters():
            assert weight.grad is not None, label
            assert weight.grad.isfinite().all(), label
            assert weight.grad.any(), label


@EVERY
def test_invalid_actions_do_not_change_the_loss(name: str, options: dict[str, Any]) -> None:
    head, network = built(name, options)
    observations, chunks, valid = batch()
    valid[0, 2:], valid[1, 1:] = False, False
    found = []
    for padding in (0.7, float("nan")):
        padded = torch.where(valid[..., None], chunks, padding)
        generator = torch.Generator().manual_seed(0)
        found.append(head.loss(network.bind(observations), padded, valid, generator))
    assert torch.equal(found[0], found[1])
    whole = head.loss(network.bind(observations), chunks, torch.ones_like(valid), generator)
    assert whole.isfinite().all()


@pytest.mark.slow
@EVERY
def test_rows_are_independent(name: str, options: dict[str, Any]) -> None:
    if name in ("bins", "fast"):
        options = options | {"temperature": 1.0}
    head, network = built(name, options)
    observations = batch()[0]
    together, apart = streams(range(BATCH)), streams(range(BATCH))
    with torch.no_grad():
        chunks = head.sample(network.bind(observations), together)
        for row in range(BATCH):
            expert = network.bind(observations[row : row + 1])
            alone = head.sample(expert, apart[row : row + 1])[0]
            assert torch.allclose(alone, chunks[row], atol=1e-5)
    assert chunks.shape == (BATCH, HORIZON, ACTION_SIZE)
    states = [[s.bit_generator.state for s in each] for each in (together, apart)]
    assert states[0] == states[1]


@EVERY
def test_evaluations_count_the_calls_of_the_expert(name: str, options: dict[str, Any]) -> None:
    head, network = built(name, options)
    expert = network.bind(batch()[0])
    for _ in range(2):
        with torch.no_grad():
            head.sample(expert, streams(range(BATCH)))
    assert head.evaluations == expert.calls > 0


@EVERY
def test_the_loss_draws_only_from_its_generator(name: str, options: dict[str, Any]) -> None:
    head, network = built(name, options)
    observations, chunks, valid = batch()
    found = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        generator = torch.Generator().manual_seed(0)
        found.append(head.loss(network.bind(observations), chunks, valid, generator))
    assert torch.equal(found[0], found[1])


@EVERY
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_outputs_that_are_not_finite_give_no_action(
    name: str, options: dict[str, Any], value: float
) -> None:
    """Argmax and clamps would make finite actions of them."""
    head, network = built(name, options)
    observations = batch()[0]
    last = [each for label, each in head.named_parameters() if label.endswith("out_proj.bias")]
    with torch.no_grad():
        last[-1][0] = value
    chunks = head.sample(network.bind(observations), streams(range(BATCH)))
    assert not chunks.isfinite().flatten(1).all(1).any()


@EVERY
def test_an_observation_that_is_not_finite_spoils_only_its_own_row(
    name: str, options: dict[str, Any]
) -> None:
    head, network = built(name, options)
    observations = batch()[0]
    whole = head.sample(network.bind(observations), streams(range(BATCH)))
    observations[2] = float("nan")
    chunks = head.sample(network.bind(observations), streams(range(BATCH)))
    others = [row for row in range(BATCH) if row != 2]
    assert chunks[2].isnan().all()
    assert torch.allclose(chunks[others], whole[others], atol=1e-5)
