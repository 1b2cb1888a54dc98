"""Devices and dtypes of the networks, tested without a GPU: see tests/helpers/elsewhere.py."""

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from harness.contracts.environment import Observation
from harness.contracts.errors import UsageError
from harness.contracts.policy import Query
from policies import learned
from policies.augment.pictures import Augmentation
from policies.augment.spherical import Spherical
from policies.heads import HEADS
from policies.learned import LearnedPolicy
from policies.vla.checkpoint import contract_of, save
from policies.vla.model import VLA, Batch
from tests.helpers.elsewhere import ELSEWHERE, Elsewhere, MisplacedError
from tests.helpers.vla import (
    ACTION,
    CAMERAS,
    HORIZON,
    INSTRUCTIONS,
    STATE,
    inputs,
    model,
    network,
    normalization,
    streams,
    tokenizer,
)

OPTIONS: dict[str, dict[str, Any]] = {
    "e0": {"bins": 32},
    "e0-hybrid": {"bins": 32},
    "fast": {"fitting": True},
}
BATCHES = (1, 3, 8)
BFLOAT16 = {
    "regression": (1.0, 0.05),
    "flow": (1.0, 0.05),
    "diffusion": (1.0, 0.1),
    "e0-hybrid": (0.95, 0.05),
    "bins": (0.8, 0.0),
    "e0": (0.8, 0.0),
    "fast": (0.8, 0.0),
    "masked": (0.8, 0.0),
}
"""The share of a chunk's numbers that bfloat16 changes by at most so much; actions are about 1."""
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


def queries(number: int) -> list[Query]:
    """Return different observations, each with its own stream."""
    found = []
    for seed in range(number):
        rng = np.random.default_rng(seed)
        seen: Observation = {
            "image": {role: rng.integers(0, 256, (28, 28, 3), dtype=np.uint8) for role in CAMERAS},
            "state": rng.normal(size=STATE).astype(np.float32),
            "instruction": INSTRUCTIONS[seed % 2],
        }
        found.append(Query(seen, np.random.default_rng(100 + seed)))
    return found


def batch(vla: VLA, device: torch.device) -> Batch:
    actions = torch.linspace(-1, 1, 2 * HORIZON * ACTION).view(2, HORIZON, ACTION)
    valid = torch.ones(2, HORIZON, dtype=torch.bool)
    return Batch(inputs(vla.config).to(device), actions.to(device), valid.to(device))


def gradients(vla: VLA, device: torch.device) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Return the loss of each sample, and the gradients of the weights that have one."""
    loss = vla.loss(batch(vla, device), torch.Generator().manual_seed(0))
    torch.autograd.backward(loss.mean())
    found = {name: p.grad.cpu() for name, p in vla.named_parameters() if p.grad is not None}
    vla.zero_grad()
    return loss.detach().cpu(), found


@pytest.mark.parametrize(("head", "size"), CASES)
def test_everything_is_computed_on_the_model_s_device(head: str, size: str) -> None:
    """And with the CPU's bits; attention in training has another kernel there."""
    vla = fitted(head, size)
    chunks = {n: vla.act(inputs(vla.config, n), streams(n)) for n in BATCHES}
    loss, grads = gradients(vla, torch.device("cpu"))
    with Elsewhere() as elsewhere:
        vla.to(ELSEWHERE)
        for number, chunk in chunks.items():
            moved = vla.act(inputs(vla.config, number).to(ELSEWHERE), streams(number))
            assert moved.device == ELSEWHERE
            assert torch.equal(moved.cpu(), chunk)
        moved_loss, moved_grads = gradients(vla, ELSEWHERE)
    assert elsewhere.computed > 100
    assert elsewhere.drawn == [], "noise is drawn on the CPU, from the generator or the streams"
    torch.testing.assert_close(moved_loss, loss)
    torch.testing.assert_close(moved_grads, grads, atol=1e-4, rtol=1e-3)


def test_a_tensor_that_stays_on_the_cpu_is_found() -> None:
    """Otherwise the test above could not fail."""
    vla = fitted("flow")
    with Elsewhere() as elsewhere:
        vla.to(ELSEWHERE)
        moved = inputs(vla.config).to(ELSEWHERE)
        for name in ("tokens", "token_mask", "state"):
            left = replace(moved, **{name: getattr(moved, name).cpu()})
            with pytest.raises(MisplacedError, match="gets tensors of two devices"):
                vla.act(left, streams(2))
        assert elsewhere.drawn == []
        torch.rand(2, device=ELSEWHERE)
        assert elsewhere.drawn == ["aten::rand"]
        with pytest.raises(RuntimeError, match="numpy"):
            moved.state.numpy()


def test_augmentation_keeps_the_device() -> None:
    changes = Augmentation(spherical=Spherical(share=0.5))
    shown = {role: torch.rand(2, 3, 28, 28) for role in CAMERAS}
    expected = changes(shown, torch.Generator().manual_seed(0))
    with Elsewhere() as elsewhere:
        there = {role: picture.to(ELSEWHERE) for role, picture in shown.items()}
        for moved, here in zip(
            changes(there, torch.Generator().manual_seed(0)), expected, strict=True
        ):
            assert {each.device for each in moved.values()} == {ELSEWHERE}
            torch.testing.assert_close({role: each.cpu() for role, each in moved.items()}, here)
    assert elsewhere.drawn == []


@pytest.mark.parametrize(
    ("head", "stored"), [*((head, torch.float32) for head in HEADS), ("flow", torch.float16)]
)
def test_a_checkpoint_infers_on_the_device_as_on_the_cpu(
    head: str, stored: torch.dtype, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the files to the actions, alone and in batches."""
    vla = fitted(head)
    contract = contract_of(vla, normalization())
    save(tmp_path, vla.to(stored), tokenizer(vla.config), contract)
    policy = LearnedPolicy(str(tmp_path))
    policy.load()
    expected = [policy.infer(queries(number)) for number in BATCHES]
    monkeypatch.setattr(learned, "find_device", lambda: ELSEWHERE)
    with Elsewhere() as elsewhere:
        moved = pickle.loads(pickle.dumps(LearnedPolicy(str(tmp_path))))  # noqa: S301
        moved.load()
        assert {weight.device for weight in moved._model.parameters()} == {ELSEWHERE}
        elsewhere.drawn.clear()  # Weights, which the file's have replaced.
        for number, chunks in zip(BATCHES, expected, strict=True):
            # Weights lie elsewhere in memory than those of a file, which changes last bits.
            np.testing.assert_allclose(moved.infer(queries(number)), chunks, atol=1e-5)
    assert elsewhere.computed > 100
    assert elsewhere.drawn == []


@pytest.mark.parametrize(("head", "size"), CASES)
def test_bfloat16_gives_almost_the_same_as_float32(head: str, size: str) -> None:
    """As on a GPU: float32 weights under autocast. A token may be another one, a chunk may not."""
    vla = fitted(head, size)
    exact = vla.loss(batch(vla, torch.device("cpu")), torch.Generator().manual_seed(0)).mean()
    whole = vla.act(inputs(vla.config, 8), streams(8))
    with torch.autocast("cpu", torch.bfloat16):
        loss = vla.loss(batch(vla, torch.device("cpu")), torch.Generator().manual_seed(0)).mean()
        chunk = vla.act(inputs(vla.config, 8), streams(8))
    loss.backward()
    assert abs(loss.item() - exact.item()) < 0.05 * exact.item()
    grads = [weight.grad for weight in vla.head.parameters()]
    assert all(grad is not None and grad.isfinite().all() for grad in grads)
    assert chunk.isfinite().all()
    share, most = BFLOAT16[head]
    difference = (chunk.float() - whole).abs()
    assert (difference <= most).float().mean() >= share, difference.flatten().sort().values


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
    chunks = []
    for folder in (exact, half):
        policy = LearnedPolicy(str(folder))
        policy.load()
        chunks.append(policy.infer(queries(1))[0])
    assert chunks[0].dtype == chunks[1].dtype == np.float32
    # 16 bits round, so the actions differ a little.
    assert 0 < np.abs(chunks[0] - chunks[1]).max() < 0.2 * np.abs(chunks[0]).max()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("wanted", ["0", "1,2", "GPU-8a56", "MIG-1"])
def test_a_gpu_that_is_asked_for_and_absent_is_one_line(
    wanted: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vla = fitted("regression")
    save(tmp_path, vla, tokenizer(vla.config), contract_of(vla, normalization()))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", wanted)
    policy = LearnedPolicy(str(tmp_path))
    with pytest.raises(
        UsageError, match=rf"CUDA_VISIBLE_DEVICES={wanted} .*--policy-gpus"
    ) as raised:
        policy.load()
    assert "\n" not in str(raised.value)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("hidden", [None, "", "-1", "NoDevFiles"])
def test_hidden_gpus_leave_the_cpu(hidden: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if hidden is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    assert learned.find_device() == torch.device("cpu")


def test_convolutions_on_a_gpu_keep_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert learned.find_device() == torch.device("cuda")
    assert not torch.backends.cudnn.allow_tf32
    assert not torch.backends.cuda.matmul.allow_tf32
