"""Random numbers of training depend only on seed and step; the optimizer."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from policies.train import randomness
from policies.train.optimizer import Optimizer, learning_rate
from policies.train.settings import Settings


@given(samples=st.integers(1, 40), size=st.integers(1, 50), seed=st.integers(0, 5))
def test_every_epoch_contains_every_sample_once(samples: int, size: int, seed: int) -> None:
    steps = -(-2 * samples // size)
    batches = (randomness.batch_rows(samples, size, seed, step) for step in range(steps))
    rows = np.concatenate(list(batches))
    for start in (0, samples):
        assert sorted(rows[start : start + samples]) == list(range(samples))


def test_a_batch_does_not_depend_on_earlier_batches() -> None:
    forwards = [randomness.batch_rows(23, 7, 3, step) for step in range(20)]
    backwards = [randomness.batch_rows(23, 7, 3, step) for step in reversed(range(20))]
    np.testing.assert_array_equal(forwards, backwards[::-1])
    assert (randomness.batch_rows(23, 23, 3, 0) != randomness.batch_rows(23, 23, 3, 1)).any()
    assert (randomness.batch_rows(23, 23, 3, 0) != randomness.batch_rows(23, 23, 4, 0)).any()


def test_purposes_have_different_seeds() -> None:
    seeds = {
        randomness.derived_seed(seed, purpose, step)
        for seed in range(3)
        for purpose in ("weights", "order", "pictures", "loss", "validation")
        for step in range(50)
    }
    assert len(seeds) == 3 * 5 * 50
    assert 0 <= min(seeds) <= max(seeds) < 2**63


def test_the_learning_rate_has_a_warm_up_and_a_cosine() -> None:
    settings = Settings(learning_rate=1e-2, final_learning_rate=1e-4, warmup=10, steps=110)
    rates = [learning_rate(settings, step) for step in range(111)]
    assert rates[:11] == pytest.approx([1e-2 * (step + 1) / 11 for step in range(11)])
    assert all(later < sooner for sooner, later in pairwise(rates[10:]))
    assert rates[60] == pytest.approx((1e-2 + 1e-4) / 2)
    assert rates[110] == pytest.approx(1e-4)


def line(weight: float) -> torch.nn.Linear:
    """Return y = weight x."""
    model = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(model.weight, weight)
    return model


def test_accumulated_parts_equal_the_whole_batch() -> None:
    inputs = torch.randn(8, 1, generator=torch.Generator().manual_seed(0))
    found = []
    for parts in (1, 4):
        model = line(3.0)
        optimizer = Optimizer(model, Settings(batch=8, accumulate=parts, warmup=0))
        losses = [
            lambda part=part, model=model: (model(part) - 2 * part).square().mean()  # type: ignore[misc]
            for part in inputs.chunk(parts)
        ]
        found.append([*optimizer.update(losses), model.weight.item()])
    assert found[0] == pytest.approx(found[1], rel=1e-5)
    assert found[0][0] == pytest.approx(inputs.square().mean().item())


def test_the_gradient_is_clipped_and_its_norm_reported() -> None:
    model = line(1.0)
    optimizer = Optimizer(model, Settings(clip=0.5, warmup=0))
    assert optimizer.update([lambda: (model.weight * 7).sum()])[2] == pytest.approx(7)
    # AdamW's second moment contains the clipped gradient: 0.05 * 0.5 ** 2.
    squared = optimizer.state()["adam/exp_avg_sq/weight"].item()
    assert squared == pytest.approx((1 - Settings().beta2) * 0.5**2, rel=1e-3)


@pytest.mark.parametrize("ema", [0.0, 0.5, 0.999])
def test_the_average_is_an_exponential_moving_average(ema: float) -> None:
    model = line(1.0)
    optimizer = Optimizer(model, Settings(ema=ema, learning_rate=0.1, warmup=0, steps=30))
    expected = 1.0
    for step in range(30):
        optimizer.update([lambda: model.weight.sum()])
        share = min(ema, (1 + step) / (10 + step))
        expected = share * expected + (1 - share) * model.weight.item()
    own = model.weight.item()
    with optimizer.averaged():
        assert model.weight.item() == pytest.approx(expected, rel=1e-5)
    assert model.weight.item() == own
    assert (expected == pytest.approx(own)) is (ema == 0)


def test_only_matrices_decay() -> None:
    model = torch.nn.Linear(1, 1)
    with torch.no_grad():
        model.weight.fill_(1.0)
        model.bias.fill_(1.0)
    settings = Settings(weight_decay=0.5, learning_rate=0.1, final_learning_rate=0.1, warmup=0)
    Optimizer(model, settings).update([lambda: 0 * (model.weight.sum() + model.bias.sum())])
    assert model.weight.item() == pytest.approx(1 - 0.1 * 0.5)
    assert model.bias.item() == 1
