"""Regression: one evaluation and no distribution. The baseline for every other head.

    a^ = f(q_1 .. q_H, o), with learned queries q
    loss = |a^ - a|,  smooth |a^ - a|  or  (a^ - a)^2

The optimum is the mean (`mse`) or the median (`l1`) of the demonstrated actions: between two modes,
it lies in the middle. OpenVLA-OFT's head is this one with `l1`; so is ACT's, without its latent.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from policies.heads.configs import RegressionConfig
from policies.heads.head import Expert, Head, hold_last, mean_over_valid

_LOSSES = {
    "l1": functional.l1_loss,
    "smooth_l1": functional.smooth_l1_loss,
    "mse": functional.mse_loss,
}


class RegressionHead(Head):
    """Predicts the mean or the median of the demonstrated actions."""

    config: RegressionConfig

    def __init__(self, config: RegressionConfig, width: int) -> None:
        """Create the queries and the output layer."""
        super().__init__(config, width)
        self.queries = nn.Parameter(nn.init.normal_(torch.empty(config.horizon, width)).mul_(0.02))
        self.action_out_proj = nn.Linear(width, config.action_size)

    def _predict(self, expert: Expert) -> Tensor:
        predicted: Tensor = self.action_out_proj(expert(self.queries.expand(expert.batch, -1, -1)))
        return predicted

    def loss(
        self, expert: Expert, actions: Tensor, valid: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Return the distance to the demonstrated actions."""
        del generator
        distance = _LOSSES[self.config.distance](
            self._predict(expert), hold_last(actions, valid), reduction="none"
        )
        return mean_over_valid(distance, valid)

    def sample_chunks(self, expert: Expert, streams: Sequence[np.random.Generator]) -> Tensor:
        """Return the predicted chunks; the streams are not used."""
        del streams
        self.evaluations += 1
        return self._predict(expert)
