"""Uniform bins written one by one, as RT-2 and OpenVLA do.

    k_i = bin of the i-th number;   p(k_1 .. k_L | o) = prod_i p(k_i | k_<i, o);   a^ = bin centres
    sampling: k_i = argmax p (`temperature` 0, as published), or drawn from p^(1/temperature)

L = horizon * action_size evaluations a chunk: the published models wrote one action only.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from policies.heads.head import Expert, HeadConfig, hold_last, mean_over_valid, require_within
from policies.heads.tokens import to_actions, to_tokens
from policies.heads.writing import WritingHead


@dataclass(frozen=True, kw_only=True)
class BinsConfig(HeadConfig):
    """What the head of uniform bins is told.

    Attributes:
        bins: Into how many bins [-1, 1] is divided.
        temperature: Of drawing tokens; 0 takes the likeliest, which of two ways is always the same.
    """

    bins: int = 256
    temperature: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        super().__post_init__()
        require_within("bins", self.bins, 2)
        require_within("temperature", self.temperature, 0)


class BinsHead(WritingHead):
    """Writes a token for each number."""

    config: BinsConfig

    def __init__(self, config: BinsConfig, width: int) -> None:
        """Make the two ends."""
        super().__init__(config, width, config.bins)

    def loss(
        self, expert: Expert, actions: Tensor, valid: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Return the cross-entropy of each token, given those before it."""
        del generator
        tokens = to_tokens(hold_last(actions, valid), self.config.bins)
        losses = self.token_losses(expert, tokens)
        return mean_over_valid(losses.view(len(tokens), self.config.horizon, -1), valid)

    @torch.no_grad()
    def sample(self, expert: Expert, streams: Sequence[np.random.Generator]) -> Tensor:
        """Return chunks after one evaluation for each number."""
        config = self.config
        tokens = self.write(expert, streams, config.length, config.temperature, config.bins)
        return to_actions(tokens, config.bins, config.action_size)
