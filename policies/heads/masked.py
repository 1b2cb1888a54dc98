"""Masked discrete diffusion, as Discrete Diffusion VLA (2508.20072): masks instead of noise.

    training: a share gamma = cos(pi/2 u), u uniform, of the L tokens is replaced by [MASK];
        loss = mean over masked tokens of -log p(k_i | unmasked tokens, o)
    sampling in K rounds, first with all masked; after round r, floor(L cos(pi/2 r/K)) stay masked:
        draw k^_i from p_i for every masked i
        rank by  log p_i(k^_i) + temperature (1 - r/K) Gumbel;  the last ones stay masked
        mask unmasked tokens again if p_i(k_i) < remask r/K;  the last round unmasks all

K = 1 is parallel decoding: it chooses every token independently. K is 12 in the paper, and {1, 2,
4} in dVLA-RL. The paper's threshold, 0.5 (1 - t/T) with t counting down, is `remask` 0.5. The
default is 0, for two reasons. A motion that spreads over several bins has low probabilities without
being wrong. And the loss does not train the network's output for unmasked tokens.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from policies.heads.configs import MaskedConfig
from policies.heads.head import Expert, Head, draw_uniforms, hold_last
from policies.heads.tokens import sample_tokens, to_actions, to_tokens


@dataclass(frozen=True)
class Decoding:
    """Tokens and the order of unmasking. Without re-masking, this order factorises p(tokens).

    Attributes:
        tokens: The chosen tokens, (batch, L).
        rounds: The round, counted from 0, that unmasked each for the last time, (batch, L).
    """

    tokens: Tensor
    rounds: Tensor


class MaskedHead(Head):
    """Unmasks tokens from the most to the least probable."""

    config: MaskedConfig

    def __init__(self, config: MaskedConfig, width: int) -> None:
        """Create the input and output layers; the last embedding is the mask's."""
        super().__init__(config, width)
        self.embed = nn.Embedding(config.bins + 1, width)
        self.out_proj = nn.Linear(width, config.bins)

    def logits(self, expert: Expert, tokens: Tensor) -> Tensor:
        """Return the logits of each token, (batch, L, bins). Token number `bins` is the mask."""
        logits: Tensor = self.out_proj(expert(self.embed(tokens)))
        return logits

    def loss(
        self, expert: Expert, actions: Tensor, valid: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Return the cross-entropy of the masked tokens."""
        config = self.config
        tokens = to_tokens(hold_last(actions, valid), config.bins)
        drawn = torch.rand(len(tokens), 1, generator=generator, device=generator.device)
        count = (torch.cos(math.pi / 2 * drawn) * config.length).ceil().clamp(min=1)
        order = torch.rand(tokens.shape, generator=generator, device=generator.device)
        masked = (order.argsort(1).argsort(1) < count).to(tokens.device)
        logits = self.logits(expert, tokens.masked_fill(masked, config.bins))
        losses = functional.cross_entropy(logits.transpose(1, 2), tokens, reduction="none")
        weights = (masked & valid.repeat_interleave(config.action_size, 1)).to(losses)
        return (losses * weights).sum(1) / weights.sum(1).clamp(min=1)

    def sample_chunks(self, expert: Expert, streams: Sequence[np.random.Generator]) -> Tensor:
        """Return the chunks that `decode` gives."""
        tokens = self.decode(expert, streams).tokens
        return to_actions(tokens, self.config.bins, self.config.action_size)

    @torch.no_grad()
    def decode(self, expert: Expert, streams: Sequence[np.random.Generator]) -> Decoding:
        """Return the tokens and the order in which they were unmasked."""
        config = self.config
        shape = (expert.batch, config.length)
        tokens = torch.full(shape, config.bins, device=expert.device)
        rounds = torch.zeros(shape, dtype=torch.long, device=expert.device)
        for step in range(config.steps):
            done = (step + 1) / config.steps
            masked = tokens == config.bins
            logits = expert.watch(self.logits(expert, tokens))
            self.evaluations += 1
            tokens = torch.where(masked, sample_tokens(logits, streams), tokens)
            rounds = torch.where(masked, step, rounds)
            if step + 1 == config.steps:
                break
            scores = logits.log_softmax(-1).gather(-1, tokens[..., None])[..., 0]
            remasked = ~masked & (scores.exp() < config.remask * done)
            noise = _gumbel(streams, config.length).to(expert.device)
            ranked = scores + config.temperature * (1 - done) * noise
            ranked = ranked.masked_fill(~masked, math.inf).argsort(1).argsort(1)
            waiting = ranked < math.floor(config.length * math.cos(math.pi / 2 * done))
            tokens = tokens.masked_fill(waiting | remasked, config.bins)
        return Decoding(tokens, rounds)


def _gumbel(streams: Sequence[np.random.Generator], length: int) -> Tensor:
    """Return standard Gumbel numbers, (batch, length), each row from its own stream."""
    drawn = draw_uniforms(streams, (length,)).clamp(1e-7, 1 - 1e-7)
    return -torch.log(-torch.log(drawn))
