"""A small network for tests of action heads, and a task with two correct answers."""

import math
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from policies.heads.head import Expert, Head

HORIZON, ACTION_SIZE = 4, 2
CLOSE = 0.1
"""Largest error of every number of a chunk that counts as an answer."""
PLACES = 64


@dataclass
class ToyMemory:
    """Keys and values by layer, and the number of their tokens."""

    kept: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)
    count: int = 0


class ToyLayer(nn.Module):
    """Attention and two linear layers; a condition scales, shifts and gates them."""

    def __init__(self, width: int, heads: int, adaptive: bool) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.seen = nn.Linear(width, 3 * width), nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        self.norms = nn.ModuleList(nn.RMSNorm(width) for _ in range(2))
        self.adapt = nn.ModuleList(nn.Linear(width, 3 * width) for _ in range(2 * adaptive))

    def split(self, values: Tensor) -> Tensor:
        parted = values.view(*values.shape[:-1], self.heads, -1)
        return parted.transpose(1, 2)

    def attend(
        self, tokens: Tensor, seen: Tensor, causal: bool, layer: int, m: ToyMemory
    ) -> Tensor:
        query, key, value = map(self.split, self.qkv(tokens).chunk(3, -1))
        if layer in m.kept:
            key = torch.cat([m.kept[layer][0], key], 2)
            value = torch.cat([m.kept[layer][1], value], 2)
        m.kept[layer] = key, value
        first_key, first_value = map(self.split, self.seen(seen).chunk(2, -1))
        key, value = torch.cat([first_key, key], 2), torch.cat([first_value, value], 2)
        n, before = tokens.shape[1], key.shape[2] - tokens.shape[1]
        mask = torch.ones(n, n, dtype=torch.bool)
        mask = torch.cat(
            [torch.ones(n, before, dtype=torch.bool), mask.tril() if causal else mask], 1
        )
        output = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        out: Tensor = self.out(output.transpose(1, 2).flatten(2))
        return out

    def forward(
        self,
        x: Tensor,
        seen: Tensor,
        condition: Tensor | None,
        causal: bool,
        layer: int,
        m: ToyMemory,
    ) -> Tensor:
        for part in range(2):
            scale, shift, gate = 0.0, 0.0, 1.0
            if condition is not None:
                scale, shift, gate = self.adapt[part](condition)[:, None].chunk(3, -1)
            inner = self.norms[part](x) * (1 + scale) + shift
            if part == 0:
                inner = self.attend(inner, seen, causal, layer, m)
            else:
                inner = self.down(functional.gelu(self.up(inner)))
            x = x + inner * gate
        return x


class ToyNetwork(nn.Module):
    """A network whose observations are vectors and whose prefix is one token."""

    def __init__(self, observed: int, width: int, adaptive: bool, layers: int = 2) -> None:
        super().__init__()
        self.look = nn.Linear(observed, width)
        self.places = nn.Parameter(torch.randn(PLACES, width) * 0.02)
        self.layers = nn.ModuleList(ToyLayer(width, 4, adaptive) for _ in range(layers))
        self.norm = nn.RMSNorm(width)

    def bind(self, observations: Tensor) -> "ToyExpert":
        return ToyExpert(self, observations)


class ToyExpert(Expert):
    """The network, bound to a batch of vectors."""

    def __init__(self, network: ToyNetwork, observations: Tensor) -> None:
        super().__init__(len(observations), observations.device)
        self._network, self._seen = network, network.look(observations)[:, None]
        self.calls = 0

    def memory(self) -> ToyMemory:
        return ToyMemory()

    def run(
        self, tokens: Tensor, condition: Tensor | None, causal: bool, memory: ToyMemory | None
    ) -> Tensor:
        self.calls += 1
        memory = memory or ToyMemory()
        places = self._network.places[memory.count : memory.count + tokens.shape[1]]
        memory.count += tokens.shape[1]
        x = tokens + places
        for number, layer in enumerate(self._network.layers):
            x = layer(x, self._seen, condition, causal, number, memory)
        normed: Tensor = self._network.norm(x)
        return normed


def answers(observations: Tensor) -> Tensor:
    """Return one of the two correct chunks for each observation; the other is its negative."""
    steps = torch.arange(HORIZON)[:, None] * 0.3 + torch.arange(ACTION_SIZE) * 0.8
    return (0.3 + 0.4 * observations[:, :, None]) * torch.cos(steps)


def examples(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return observations, and one of the two answers for each, equally often."""
    observations = torch.rand(count, 1, generator=generator)
    signs = torch.randint(0, 2, (count, 1, 1), generator=generator) * 2 - 1
    return observations, signs * answers(observations)


def train(
    head: Head, network: ToyNetwork, steps: int, batch: int = 64, rate: float = 3e-3, seed: int = 0
) -> None:
    """Train on new examples in every step, with a warm-up and a cosine."""
    generator = torch.Generator().manual_seed(seed)
    head.fit(examples(2000, generator)[1].numpy())
    weights = [*head.parameters(), *network.parameters()]
    optimizer = torch.optim.AdamW(weights, rate)
    valid = torch.ones(batch, HORIZON, dtype=torch.bool)
    for step in range(steps):
        share = min(1.0, (step + 1) / 20) * (1 + math.cos(math.pi * step / steps)) / 2
        optimizer.param_groups[0]["lr"] = rate * share
        observations, chunks = examples(batch, generator)
        loss = head.loss(network.bind(observations), chunks, valid, generator).mean()
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()


def draw(head: Head, network: ToyNetwork, count: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Return observations and a sampled chunk for each."""
    observations = torch.rand(count, 1, generator=torch.Generator().manual_seed(seed + 1))
    streams = [np.random.default_rng((seed, row)) for row in range(count)]
    with torch.no_grad():
        return observations, head.sample(network.bind(observations), streams)


@dataclass(frozen=True)
class Verdict:
    """Which of the two answers sampled chunks give.

    Attributes:
        consistent: Which chunks are close to one answer in all their numbers.
        positive: Which chunks are closer to the first answer than to the second.
        errors: The largest distance to the closer answer.
    """

    consistent: Tensor
    positive: Tensor
    errors: Tensor


def judge(observations: Tensor, chunks: Tensor) -> Verdict:
    """Compare sampled chunks with the answers."""
    right = answers(observations)
    first, second = (chunks - right).abs().amax((1, 2)), (chunks + right).abs().amax((1, 2))
    errors = torch.minimum(first, second)
    return Verdict(errors < CLOSE, first < second, errors)
