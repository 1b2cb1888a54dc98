"""Device handling, tested without a GPU.

Tensors on the device `meta` have no numbers. PyTorch refuses operations between it and the CPU, as
it does between a GPU and the CPU.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from harness.contracts.environment import Observation
from harness.contracts.policy import Query
from policies.augment.pictures import Augmentation
from policies.augment.spherical import Spherical
from policies.heads import HEADS
from policies.learned import LearnedPolicy
from policies.vla.checkpoint import contract_of, save
from policies.vla.model import VLA, Batch
from tests.helpers.vla import (
    ACTION,
    CAMERAS,
    HORIZON,
    STATE,
    inputs,
    model,
    network,
    normalization,
    streams,
    tokenizer,
)

ELSEWHERE = torch.device("meta")
OPTIONS: dict[str, dict[str, Any]] = {"e0": {"bins": 32}, "e0-hybrid": {"bins": 32}}
NEEDS_NUMBERS = {"bins", "fast"}
"""Heads that read sampled tokens on the CPU."""
CASES = [*((head, "dummy") for head in HEADS), ("regression", "tiny")]
"""With both image encoders."""


def fitted(head: str, size: str = "dummy") -> VLA:
    config = network(size)
    if size == "dummy":  # One layer is enough.
        parts = {name: replace(getattr(config, name), depth=1) for name in ("language", "expert")}
        config = replace(config, images=replace(config.images, depth=1), **parts)
    vla = model(config, head, **OPTIONS.get(head, {}))
    chunks = np.random.default_rng(0).uniform(-0.3, 0.3, (50, HORIZON, ACTION))
    vla.head.fit(chunks.astype(np.float32))
    return vla


def batch(vla: VLA, device: torch.device) -> Batch:
    actions = torch.linspace(-1, 1, 2 * HORIZON * ACTION).view(2, HORIZON, ACTION)
    valid = torch.ones(2, HORIZON, dtype=torch.bool)
    return Batch(inputs(vla.config).to(device), actions.to(device), valid.to(device))


@pytest.mark.parametrize(("head", "size"), CASES)
def test_everything_is_computed_on_the_model_s_device(head: str, size: str) -> None:
    vla = fitted(head, size).to(ELSEWHERE)
    if head != "fast":  # It encodes its tokens on the CPU.
        loss = vla.loss(batch(vla, ELSEWHERE), torch.Generator().manual_seed(0))
        loss.mean().backward()
        assert loss.device == ELSEWHERE
        assert all(weight.grad is not None for weight in vla.head.parameters())
    if head not in NEEDS_NUMBERS:
        chunk = vla.act(batch(vla, ELSEWHERE).inputs, streams(2))
        assert (chunk.device, chunk.shape) == (ELSEWHERE, (2, HORIZON, ACTION))


def test_augmentation_keeps_the_device() -> None:
    changes = Augmentation(spherical=Spherical(share=0.5))
    shown = {role: torch.rand(2, 3, 28, 28, device=ELSEWHERE) for role in CAMERAS}
    changed, moved = changes(shown, torch.Generator().manual_seed(0))
    assert {each.device for each in (*changed.values(), *moved.values())} == {ELSEWHERE}


@pytest.mark.parametrize(("head", "size"), CASES)
def test_bfloat16_gives_almost_the_same_as_float32(head: str, size: str) -> None:
    """As on a GPU: float32 weights under autocast."""
    vla = fitted(head, size)
    exact = vla.loss(batch(vla, torch.device("cpu")), torch.Generator().manual_seed(0)).mean()
    with torch.autocast("cpu", torch.bfloat16):
        loss = vla.loss(batch(vla, torch.device("cpu")), torch.Generator().manual_seed(0)).mean()
        chunk = vla.act(inputs(vla.config), streams(2))
    loss.backward()
    assert abs(loss.item() - exact.item()) < 0.05 * exact.item()
    grads = [weight.grad for weight in vla.head.parameters()]
    assert all(grad is not None and grad.isfinite().all() for grad in grads)
    assert chunk.isfinite().all()


@pytest.mark.parametrize("mixed", [False, True])
def test_a_bfloat16_checkpoint_infers(mixed: bool, tmp_path: Path) -> None:
    """LeRobot stores the image encoder and the norms of its 16-bit models in 32 bits."""
    vla = fitted("flow")
    exact, half = tmp_path / "exact", tmp_path / "half"
    contract = contract_of(vla, normalization())
    save(exact, vla, tokenizer(vla.config), contract)
    vla.to(torch.bfloat16)
    for name, module in vla.named_modules():
        if mixed and (name == "trunk.embedding.images" or name.endswith("_norm")):
            module.float()
    save(half, vla, tokenizer(vla.config), contract)
    seen: Observation = {
        "image": {role: np.full((28, 28, 3), 90, np.uint8) for role in CAMERAS},
        "state": np.zeros(STATE, np.float32),
        "instruction": "push the cube to the goal",
    }
    chunks = []
    for folder in (exact, half):
        policy = LearnedPolicy(str(folder))
        policy.load()
        chunks.append(policy.infer([Query(seen, np.random.default_rng(0))])[0])
    assert chunks[0].dtype == chunks[1].dtype == np.float32
    # 16 bits round, so the actions differ a little.
    assert 0 < np.abs(chunks[0] - chunks[1]).max() < 0.2 * np.abs(chunks[0]).max()
