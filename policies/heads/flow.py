"""Flow matching: pi0's head and, with `adaptive`, pi0.5's.

x_t = t n + (1 - t) a,   n ~ N(0, I),   t = 0.999 b + 0.001,   b ~ Beta(1.5, 1)
loss = mean (v(x_t, t, o) - (n - a))^2
sampling: x_1 = n;  x_{t - 1/N} = x_t - v(x_t, t, o) / N;  exactly N evaluations
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from policies.heads.configs import FlowConfig
from policies.heads.denoising import ContinuousHead, draw_noise, draw_times
from policies.heads.head import Expert, draw_normals, hold_last, mean_over_valid


class FlowHead(ContinuousHead):
    """Integrates a learned velocity from noise to a chunk; `predict` is the velocity."""

    config: FlowConfig

    def loss(
        self, expert: Expert, actions: Tensor, valid: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Return the squared error of the velocity at a random time."""
        actions = hold_last(actions, valid)
        times = draw_times(actions, self.config.time_shape, generator)
        noise = draw_noise(actions.shape, actions, generator)
        share = times[:, None, None]
        velocity = self.predict(expert, share * noise + (1 - share) * actions, times)
        return mean_over_valid((velocity - (noise - actions)).square(), valid)

    def sample_chunks(self, expert: Expert, streams: Sequence[np.random.Generator]) -> Tensor:
        """Return chunks by Euler's method."""
        config = self.config
        chunk = draw_normals(streams, (config.horizon, config.action_size)).to(expert.device)
        for step in range(config.steps):
            times = torch.full((expert.batch,), 1 - step / config.steps, device=expert.device)
            chunk = chunk - self.predict(expert, chunk, times) / config.steps
            self.evaluations += 1
        return chunk
