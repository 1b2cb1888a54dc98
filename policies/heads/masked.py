"""Masked discrete diffusion, as Discrete Diffusion VLA (2508.20072): tokens are hidden, not noised.

    training: a share gamma = cos(pi/2 u), u uniform, of the L tokens is replaced by [MASK];
        loss = mean over the hidden ones of -log p(k_i | what is left, o)
    sampling in K rounds from all hidden; after round r, floor(L cos(pi/2 r/K)) stay hidden:
        draw k^_i from p_i for every hidden i
        rank by  log p_i(k^_i) + temperature (1 - r/K) Gumbel;  the last ones stay hidden
        what was shown before is hidden again where p_i(k_i) < remask r/K; the last round shows all

K = 1 decides every token without the others, which is parallel decoding; K is 12 in the paper, and
{1, 2, 4} in dVLA-RL. The paper's threshold, 0.5 (1 - t/T) with t counting down, is `remask` 0.5.
The default is 0. A token's probability is small wherever a motion is spread over several bins, not
only where the token is wrong; and where a token is shown, the loss never taught the network what to
answer.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from policies.heads.head import Expert, Head, HeadConfig, hold_last, require_within, uniform
from policies.heads.tokens import pick, to_actions, to_tokens


@dataclass(frozen=True, kw_only=True)
class MaskedConfig(HeadConfig):
    """What the masked head is told.

    Attributes:
        bins: Into how many bins [-1, 1] is divided.
        steps: In how many rounds tokens are shown.
        temperature: How much chance there is in which tokens are shown first.
        remask: Below which probability a shown token is hidden again, at the end; it rises from 0.
    """

    bins: int = 256
    steps: int = 12
    temperature: float = 1.0
    remask: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        super().__post_init__()
        require_within("bins", self.bins, 2)
        require_within("steps", self.steps, 1)
        require_within("temperature", self.temperature, 0)
        require_within("remask", self.remask, 0, 1)


@dataclass(frozen=True)
class Path:
    """How a chunk came about; without re-masking, its probability is a product along this.

    Attributes:
        tokens: What was decided, (batch, L).
        rounds: In which round each was shown for good, counted from 0, (batch, L).
    """

    tokens: Tensor
    rounds: Tensor


class MaskedHead(Head):
    """Shows tokens from the surest to the least sure."""

    config: MaskedConfig

    def __init__(self, config: MaskedConfig, width: int) -> None:
        """Make the two ends; the last embedding is the mask's."""
        super().__init__(config, width)
        self.embed = nn.Embedding(config.bins + 1, width)
        self.out_proj = nn.Linear(width, config.bins)

    def logits(self, expert: Expert, tokens: Tensor) -> Tensor:
        """Return how likely each token is, (batch, L, bins); `bins` is the mask."""
        logits: Tensor = self.out_proj(expert(self.embed(tokens)))
        return logits

    def loss(
        self, expert: Expert, actions: Tensor, valid: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Return the cross-entropy of what was hidden."""
        config = self.config
        tokens = to_tokens(hold_last(actions, valid), config.bins)
        drawn = torch.rand(len(tokens), 1, generator=generator, device=generator.device)
        count = (torch.cos(math.pi / 2 * drawn) * config.length).ceil().clamp(min=1)
        order = torch.rand(tokens.shape, generator=generator, device=generator.device)
        hidden = (order.argsort(1).argsort(1) < count).to(tokens.device)
        logits = self.logits(expert, tokens.masked_fill(hidden, config.bins))
        losses = functional.cross_entropy(logits.transpose(1, 2), tokens, reduction="none")
        weights = (hidden & valid.repeat_interleave(config.action_size, 1)).to(losses)
        return (losses * weights).sum(1) / weights.sum(1).clamp(min=1)

    def sample(self, expert: Expert, streams: Sequence[np.random.Generator]) -> Tensor:
        """Return what a path ends in."""
        tokens = self.path(expert, streams).tokens
        return to_actions(tokens, self.config.bins, self.config.action_size)

    @torch.no_grad()
    def path(self, expert: Expert, streams: Sequence[np.random.Generator]) -> Path:
        """Return decided tokens, and in which order they were."""
        config = self.config
        shape = (expert.batch, config.length)
        tokens = torch.full(shape, config.bins, device=expert.device)
        rounds = torch.zeros(shape, dtype=torch.long, device=expert.device)
        for step in range(config.steps):
            done = (step + 1) / config.steps
            hidden = tokens == config.bins
            logits = self.logits(expert, tokens)
            self.evaluations += 1
            tokens = torch.where(hidden, pick(logits, streams), tokens)
            rounds = torch.where(hidden, step, rounds)
            if step + 1 == config.steps:
                break
            scores = logits.log_softmax(-1).gather(-1, tokens[..., None])[..., 0]
            doubted = ~hidden & (scores.exp() < config.remask * done)
            noise = gumbel(streams, config.length).to(expert.device)
            ranked = scores + config.temperature * (1 - done) * noise
            ranked = ranked.masked_fill(~hidden, math.inf).argsort(1).argsort(1)
            waiting = ranked < math.floor(config.length * math.cos(math.pi / 2 * done))
            tokens = tokens.masked_fill(waiting | doubted, config.bins)
        return Path(tokens, rounds)


def gumbel(streams: Sequence[np.random.Generator], length: int) -> Tensor:
    """Return standard Gumbel numbers, (batch, length), each row from its own stream."""
    drawn = uniform(streams, (length,)).clamp(1e-7, 1 - 1e-7)
    return -torch.log(-torch.log(drawn))
