"""Flow matching: pi0's head and, with `adaptive`, pi0.5's.

x_t = t n + (1 - t) a,   n ~ N(0, I),   t = 0.999 b + 0.001,   b ~ Beta(1.5, 1)
loss = mean (v(x_t, t, o) - (n - a))^2
sampling: x_1 = n;  x_{t - 1/N} = x_t - v(x_t, t, o) / N;  exactly N evaluations
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from policies.heads.head import Expert, hold_last, mean_over_valid, normal, require_within
from policies.heads.timed import TimedConfig, TimedHead, draw_normal, draw_times


@dataclass(frozen=True, kw_only=True)
class FlowConfig(TimedConfig):
    """What the flow head is told.

    Attributes:
        time_shape: Training draws Beta(time_shape, 1); 1 is uniform.
    """

    time_shape: float = 1.5

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        super().__post_init__()
        require_within("time_shape", self.time_shape, 0.1)


class FlowHead(TimedHead):
    """Follows a learnt velocity from noise to a chunk."""

    config: FlowConfig

    def __init__(self, config: FlowConfig, width: int) -> None:
        """Make the two ends; names of weights are openpi's."""
        super().__init__(config, width)
        self.action_in_proj = nn.Linear(config.action_size, width)
        self.action_out_proj = nn.Linear(width, config.action_size)

    def velocity(self, expert: Expert, noisy: Tensor, times: Tensor) -> Tensor:
        """Return the direction from the data to the noise, (batch, horizon, action_size)."""
        tokens, condition = self.tell_time(self.action_in_proj(noisy), times)
        velocity: Tensor = self.action_out_proj(expert(tokens, condition=condition))
        return velocity

    def loss(
        self, expert: Expert, actions: Tensor, valid: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Return the squared error of the velocity at a random time."""
        actions = hold_last(actions, valid)
        times = draw_times(actions, self.config.time_shape, generator)
        noise = draw_normal(actions.shape, actions, generator)
        share = times[:, None, None]
        velocity = self.velocity(expert, share * noise + (1 - share) * actions, times)
        return mean_over_valid((velocity - (noise - actions)).square(), valid)

    @torch.no_grad()
    def sample(self, expert: Expert, streams: Sequence[np.random.Generator]) -> Tensor:
        """Return chunks by Euler's method."""
        config = self.config
        chunk = normal(streams, (config.horizon, config.action_size)).to(expert.device)
        for step in range(config.steps):
            times = torch.full((expert.batch,), 1 - step / config.steps, device=expert.device)
            chunk = chunk - self.velocity(expert, chunk, times) / config.steps
            self.evaluations += 1
        return chunk
