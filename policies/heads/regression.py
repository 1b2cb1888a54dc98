"""Regression: one evaluation, and no distribution at all. The control for every other head.

    a^ = f(q_1 .. q_H, o), with learnt queries q;   loss = |a^ - a|,  smooth |a^ - a|  or (a^ - a)^2

The best such answer is the mean of what was done (`mse`) or its median (`l1`): where two ways are
right, it lies between them. OpenVLA-OFT's head is this one with `l1`, ACT's without its latent.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from policies.heads.head import Expert, Head, HeadConfig, hold_last, mean_over_valid

LOSSES = {
    "l1": functional.l1_loss,
    "smooth_l1": functional.smooth_l1_loss,
    "mse": functional.mse_loss,
}


@dataclass(frozen=True, kw_only=True)
class RegressionConfig(HeadConfig):
    """What the regression head is told.

    Attributes:
        distance: What is minimised.
    """

    distance: Literal["l1", "smooth_l1", "mse"] = "l1"


class RegressionHead(Head):
    """Answers at once with the middle of what was done."""

    config: RegressionConfig

    def __init__(self, config: RegressionConfig, width: int) -> None:
        """Make the queries and what reads the answer."""
        super().__init__(config, width)
        self.queries = nn.Parameter(torch.randn(config.horizon, width) * 0.02)
        self.action_out_proj = nn.Linear(width, config.action_size)

    def _answer(self, expert: Expert) -> Tensor:
        answer: Tensor = self.action_out_proj(expert(self.queries.expand(expert.batch, -1, -1)))
        return answer

    def loss(
        self, expert: Expert, actions: Tensor, valid: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Return the distance to what was done."""
        del generator
        distance = LOSSES[self.config.distance](
            self._answer(expert), hold_last(actions, valid), reduction="none"
        )
        return mean_over_valid(distance, valid)

    @torch.no_grad()
    def sample(self, expert: Expert, streams: Sequence[np.random.Generator]) -> Tensor:
        """Return the same chunks whatever the streams."""
        del streams
        self.evaluations += 1
        return self._answer(expert)
