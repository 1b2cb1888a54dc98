"""Uniform bins, generated one by one, as in RT-2 and OpenVLA.

    k_i = bin of the i-th number;   p(k_1 .. k_L | o) = prod_i p(k_i | k_<i, o);   a^ = bin centres
    sampling: k_i = argmax p (`temperature` 0, as published), or drawn from p^(1/temperature)

A chunk takes L = horizon * action_size evaluations. The published models predict one action only.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from policies.heads.autoregressive import AutoregressiveHead
from policies.heads.configs import BinsConfig
from policies.heads.head import Expert, hold_last, mean_over_valid
from policies.heads.tokens import to_actions, to_tokens


class BinsHead(AutoregressiveHead):
    """Generates one token for each number."""

    config: BinsConfig

    def __init__(self, config: BinsConfig, width: int) -> None:
        """Create the input and output layers."""
        super().__init__(config, width, config.bins)

    def loss(
        self, expert: Expert, actions: Tensor, valid: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Return the cross-entropy of each token given the earlier ones."""
        del generator
        tokens = to_tokens(hold_last(actions, valid), self.config.bins)
        losses = self.token_losses(expert, tokens)
        return mean_over_valid(losses.view(len(tokens), self.config.horizon, -1), valid)

    def sample_chunks(self, expert: Expert, streams: Sequence[np.random.Generator]) -> Tensor:
        """Return chunks after one evaluation for each number."""
        config = self.config
        tokens = self.generate(expert, streams, config.length, config.temperature, config.bins)
        return to_actions(tokens, config.bins, config.action_size)
