"""DDPM in training and DDIM in use, as in Diffusion Policy.

x_k = sqrt(A_k) a + sqrt(1 - A_k) n,   k uniform in 0 .. K-1,   n ~ N(0, I)
A_k = (1 - b_0) .. (1 - b_k),   b_k = min(0.999, 1 - f(k + 1) / f(k)),
f(k) = cos^2(pi/2 (k/K + 0.008) / 1.008)
loss = mean (y - n)^2  if y predicts the noise, or  mean (y - a)^2  if y predicts the chunk
sampling at N of the K levels, from the noisiest on:
    a^ = (x_k - sqrt(1 - A_k) n^) / sqrt(A_k), clamped to +-bound;  n^ follows from a^
    x_j = sqrt(A_j) a^ + sqrt(1 - A_j) n^;   the last step returns a^
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from policies.heads.configs import DiffusionConfig
from policies.heads.denoising import ContinuousHead, draw_noise
from policies.heads.head import Expert, draw_normals, hold_last, mean_over_valid


class DiffusionHead(ContinuousHead):
    """Removes Gaussian noise in a few large steps and adds none."""

    config: DiffusionConfig
    kept: Tensor

    def __init__(self, config: DiffusionConfig, width: int) -> None:
        """Create the input and output layers and the noise schedule."""
        super().__init__(config, width)
        self.register_buffer("kept", signal_kept(config.levels), persistent=False)

    def _predict_at(self, expert: Expert, noisy: Tensor, levels: Tensor) -> Tensor:
        return self.predict(expert, noisy, (levels + 1) / self.config.levels)

    def loss(
        self, expert: Expert, actions: Tensor, valid: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Return the squared error at a random noise level."""
        actions = hold_last(actions, valid)
        levels = torch.randint(
            self.config.levels, (len(actions),), generator=generator, device=generator.device
        ).to(actions.device)
        noise = draw_noise(actions.shape, actions, generator)
        kept = self.kept[levels][:, None, None]
        noisy = kept.sqrt() * actions + (1 - kept).sqrt() * noise
        target = noise if self.config.predicts == "noise" else actions
        error = self._predict_at(expert, noisy, levels) - target
        return mean_over_valid(error.square(), valid)

    def sample_chunks(self, expert: Expert, streams: Sequence[np.random.Generator]) -> Tensor:
        """Return chunks by DDIM."""
        config = self.config
        noisy = draw_normals(streams, (config.horizon, config.action_size)).to(expert.device)
        chunk = noisy
        for step in range(config.steps):
            level = round((1 - step / config.steps) * config.levels) - 1
            levels = torch.full((expert.batch,), level, device=expert.device)
            predicted = expert.watch(self._predict_at(expert, noisy, levels))
            self.evaluations += 1
            kept = self.kept[level]
            if config.predicts == "noise":
                predicted = (noisy - (1 - kept).sqrt() * predicted) / kept.sqrt()
            chunk = predicted.clamp(-config.bound, config.bound)
            noise = (noisy - kept.sqrt() * chunk) / (1 - kept).sqrt()
            following = round((1 - (step + 1) / config.steps) * config.levels) - 1
            kept = self.kept[max(following, 0)]
            noisy = kept.sqrt() * chunk + (1 - kept).sqrt() * noise
        return chunk


def signal_kept(levels: int) -> Tensor:
    """Return A_k of the squared-cosine schedule (Nichol and Dhariwal 2021), always on the CPU."""
    places = torch.arange(levels + 1, dtype=torch.float64, device="cpu") / levels
    left = torch.cos((places + 0.008) / 1.008 * math.pi / 2).square()
    lost = (1 - left[1:] / left[:-1]).clamp(max=0.999)
    return (1 - lost).cumprod(0).float()
