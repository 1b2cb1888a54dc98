"""E0's theory (the paper's appendix L) on a distribution with a known posterior."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from policies.heads.configs import E0Config
from policies.heads.denoising import draw_times
from policies.heads.e0 import E0Head
from tests.helpers.toy_network import ToyNetwork

PRIOR = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64)
BINS, WIDTH = len(PRIOR), 32
TIME, SMOOTHING = 0.5, 1.5


def head() -> E0Head:
    torch.manual_seed(0)
    config = E0Config(horizon=1, action_size=1, bins=BINS, smoothing=SMOOTHING)
    return E0Head(config, WIDTH)


def noised(model: E0Head, count: int, time: float, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Return tokens drawn from the prior and the head's z for them, both with N = 1."""
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.multinomial(PRIOR, count, replacement=True, generator=generator)[:, None]
    noise = torch.randn(count, 1, BINS, generator=generator, dtype=torch.float64)
    return tokens, model.noised(tokens, torch.full((count,), time), noise)


def signal_and_noise(time: float) -> tuple[float, float]:
    return (1 - time) * SMOOTHING, time


def log_marginal(z: Tensor, time: float) -> Tensor:
    """Return log p(z), a mixture of Gaussians, up to a constant."""
    signal, noise = signal_and_noise(time)
    distances = (z[:, 0, None] - signal * torch.eye(BINS, dtype=z.dtype)).square().sum(-1)
    return torch.logsumexp(PRIOR.log() - distances / (2 * noise**2), -1)


def posterior(z: Tensor, time: float) -> Tensor:
    signal, noise = signal_and_noise(time)
    return functional.softmax(PRIOR.log() + signal * z[:, 0] / noise**2, -1)


def score(z: Tensor, time: float) -> Tensor:
    z = z.detach().requires_grad_()
    return torch.autograd.grad(log_marginal(z, time).sum(), z)[0][:, 0]


def score_of(expected: Tensor, z: Tensor, time: float) -> Tensor:
    """Return the score of z by Tweedie's identity, from the expected one-hot vector."""
    signal, noise = signal_and_noise(time)
    return (signal * expected - z[:, 0]) / noise**2


@pytest.mark.parametrize("time", [0.02, 0.1, 0.5, 0.9, 1.0])
def test_tweedie_s_identity_holds_for_the_head_s_noise(time: float) -> None:
    _, z = noised(head(), 500, time)
    exact = score(z, time)
    assert torch.allclose(score_of(posterior(z, time), z, time), exact, rtol=1e-8, atol=1e-8)
    signal, noise = signal_and_noise(time)
    if time < 1:
        expected = (z[:, 0] + noise**2 * exact) / signal
        assert torch.allclose(expected, posterior(z, time), rtol=1e-7, atol=1e-9)


def test_the_noise_is_the_paper_s() -> None:
    model = head()
    tokens, z = noised(model, 20000, TIME)
    signal, noise = signal_and_noise(TIME)
    left = z[:, 0] - signal * functional.one_hot(tokens[:, 0], BINS)
    assert left.mean(0).abs().max() < 4 * noise / math.sqrt(20000)
    assert (left.T.cov() - noise**2 * torch.eye(BINS)).abs().max() < 0.01


@pytest.fixture(scope="module")
def beliefs() -> dict[str, Tensor]:
    """Return the predictions of an untrained and a trained head, and the true posterior."""
    model, network = head(), ToyNetwork(1, WIDTH, False, layers=1)
    nothing = torch.zeros(256, 1)
    valid = torch.ones(256, 1, dtype=torch.bool)
    generator = torch.Generator().manual_seed(0)
    _, z = noised(model, 4000, TIME, seed=1)
    found = {"z": z, "truth": posterior(z, TIME)}

    def believe() -> Tensor:
        with torch.no_grad():
            expert = network.bind(torch.zeros(len(z), 1))
            logits = model.logits(expert, z.float(), torch.full((len(z),), TIME))
        return logits[:, 0].double().softmax(-1)

    found["new"] = believe()
    weights = [*model.parameters(), *network.parameters()]
    optimizer = torch.optim.AdamW(weights, 5e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 250)
    for _ in range(250):
        tokens = torch.multinomial(PRIOR, 256, replacement=True, generator=generator)
        actions = ((tokens + 0.5) / BINS * 2 - 1).float().view(256, 1, 1)
        optimizer.zero_grad()
        model.loss(network.bind(nothing), actions, valid, generator).mean().backward()
        optimizer.step()
        schedule.step()
    return found | {"trained": believe()}


def excess(beliefs: dict[str, Tensor], whose: str) -> Tensor:
    """Return KL(truth, belief) at each z; its mean is the excess of the cross-entropy."""
    truth, belief = beliefs["truth"], beliefs[whose]
    return (truth * (truth.log() - belief.log())).sum(-1)


def divergence(beliefs: dict[str, Tensor], whose: str) -> Tensor:
    """Return the squared error of the score at each z; the true score is differentiated."""
    z = beliefs["z"]
    return (score(z, TIME) - score_of(beliefs[whose], z, TIME)).square().sum(-1)


def test_cross_entropy_training_finds_the_posterior(beliefs: dict[str, Tensor]) -> None:
    assert excess(beliefs, "trained").mean() < 0.02
    assert excess(beliefs, "new").mean() > 0.2


@pytest.mark.parametrize("whose", ["new", "trained"])
def test_excess_risk_lies_between_multiples_of_the_fisher_divergence(
    beliefs: dict[str, Tensor], whose: str
) -> None:
    signal, noise = signal_and_noise(TIME)
    least = beliefs[whose].min(-1).values
    scaled = divergence(beliefs, whose) * noise**4 / signal**2
    risk = excess(beliefs, whose)
    assert (risk >= scaled / 2 - 1e-12).all()
    assert (risk <= scaled / least + 1e-12).all()
    # So the means obey the theorem, with the smallest probability as the margin.
    assert scaled.mean() / 2 <= risk.mean() <= scaled.mean() / least.min()


def test_training_lowers_risk_and_divergence_together(beliefs: dict[str, Tensor]) -> None:
    for measure in (excess, divergence):
        assert measure(beliefs, "trained").mean() < measure(beliefs, "new").mean() / 10


def test_no_margin_holds_for_every_z() -> None:
    """The theorem assumes a margin. But noise is unbounded, so some z excludes any token."""
    signal, noise = signal_and_noise(TIME)
    for margin in (1e-2, 1e-6, 1e-12):
        reach = noise**2 / signal * math.log(1 / margin)
        z = torch.zeros(1, 1, BINS, dtype=torch.float64)
        z[..., -1] = reach
        assert posterior(z, TIME).min() < margin
    # A margin also depends on the number of classes B: the smallest probability is at most 1/B.
    assert posterior(noised(head(), 1000, TIME)[1], TIME).min(-1).values.max() <= 1 / BINS


def test_the_two_directions_of_time_are_one_process() -> None:
    """The paper's first version: tau alpha onehot + (1 - tau) eps, with tau from noise to data."""
    model = head()
    tokens = torch.tensor([[2], [0]])
    noise = torch.randn(2, 1, BINS)
    tau = torch.tensor([0.3, 0.8])[:, None, None]
    first = tau * SMOOTHING * functional.one_hot(tokens, BINS) + (1 - tau) * noise
    assert torch.allclose(model.noised(tokens, 1 - tau[:, 0, 0], noise), first)


def test_few_training_times_recover_tokens_at_the_paper_s_smoothing() -> None:
    """Find the times at which argmax z is the token for half of the tokens."""
    generator = torch.Generator().manual_seed(0)
    times = draw_times(torch.empty(100000), 1.5, generator)
    noise = torch.randn(2000, 2048, generator=generator)

    def recovered(smoothing: float, time: float) -> float:
        z = time * noise
        z[:, 0] += (1 - time) * smoothing
        return float((z.argmax(1) == 0).float().mean())

    assert recovered(0.1, 0.05) < 0.12
    assert recovered(0.1, 0.025) > 0.5
    assert (times < 0.03).float().mean() < 0.01
    assert recovered(1.0, 0.22) > 0.5
