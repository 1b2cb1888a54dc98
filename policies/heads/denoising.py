"""The base classes of heads that denoise: the expert needs to know the noise level.

Time runs from 0 (data) to 1 (noise). It enters the expert as in openpi's two models:

    pi0      token = W_out silu(W_in [token, e(t)])             (action_time_mlp_in, _out)
    pi0.5    condition = silu(W_out silu(W_in e(t)))            (time_mlp_in, _out; adaRMS)
    e(t)     = [sin(2 pi t / p_i), cos(2 pi t / p_i)],  p_i from 0.004 to 4, evenly in log p_i
"""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.contracts.errors import UsageError
from policies.heads.configs import DenoisingConfig
from policies.heads.head import Expert, Head

_SHORTEST, _LONGEST = 4e-3, 4.0
"""Periods of the time embedding."""
_EARLIEST = 1e-3
"""The lowest time that training draws."""


class DenoisingHead(Head):
    """Gives the expert the time in one of the two ways. Weights have openpi's names."""

    def __init__(self, config: DenoisingConfig, width: int) -> None:
        """Create the weights of the time embedding."""
        super().__init__(config, width)
        if width % 2:
            raise UsageError(f"the expert's width must be even to hold a time, not {width}")
        self._adaptive = config.adaptive
        if config.adaptive:
            self.time_mlp_in = nn.Linear(width, width)
            self.time_mlp_out = nn.Linear(width, width)
        else:
            self.action_time_mlp_in = nn.Linear(2 * width, width)
            self.action_time_mlp_out = nn.Linear(width, width)

    @property
    def adaptive(self) -> bool:
        """Whether the expert's layers take the time as their condition."""
        return self._adaptive

    def add_time(self, tokens: Tensor, times: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the tokens and the condition to pass to the expert.

        Args:
            tokens: Embedded action tokens, (batch, N, width).
            times: One for each sample, (batch,).
        """
        embedded = embed_times(times, self.width).to(tokens.dtype)
        if self.adaptive:
            hidden = functional.silu(self.time_mlp_in(embedded))
            return tokens, functional.silu(self.time_mlp_out(hidden))
        both = torch.cat([tokens, embedded[:, None].expand_as(tokens)], dim=2)
        mixed: Tensor = self.action_time_mlp_out(functional.silu(self.action_time_mlp_in(both)))
        return mixed, None


class ContinuousHead(DenoisingHead):
    """A denoising head with a token for each action. Weights have openpi's names."""

    def __init__(self, config: DenoisingConfig, width: int) -> None:
        """Create the input and output layers."""
        super().__init__(config, width)
        self.action_in_proj = nn.Linear(config.action_size, width)
        self.action_out_proj = nn.Linear(width, config.action_size)

    def predict(self, expert: Expert, noisy: Tensor, times: Tensor, memory: Any = None) -> Tensor:
        """Return the network's output for noisy chunks, (batch, horizon, action_size)."""
        tokens, condition = self.add_time(self.action_in_proj(noisy), times)
        output = expert(tokens, condition=condition, memory=memory)
        predicted: Tensor = self.action_out_proj(output)
        return predicted


def embed_times(times: Tensor, width: int) -> Tensor:
    """Return e(t) of each time, (batch, width), computed in double precision."""
    fractions = torch.linspace(0, 1, width // 2, dtype=torch.float64, device=times.device)
    periods = _SHORTEST * (_LONGEST / _SHORTEST) ** fractions
    angles = 2 * math.pi * times.double()[:, None] / periods
    return torch.cat([angles.sin(), angles.cos()], dim=1).float()


def draw_times(like: Tensor, shape: float, generator: torch.Generator) -> Tensor:
    """Return a time for each sample, (batch,), from Beta(shape, 1), rescaled to start above 0.

    The distribution function of Beta(shape, 1) is t ** shape, so its inverse draws from it. Shape 1
    is the uniform distribution; a larger shape draws more noise.
    """
    drawn = torch.rand(len(like), generator=generator, device=generator.device)
    return (drawn ** (1 / shape) * (1 - _EARLIEST) + _EARLIEST).to(like.device)


def draw_noise(shape: torch.Size, like: Tensor, generator: torch.Generator) -> Tensor:
    """Return standard normal numbers on the device of `like`, for training."""
    return torch.randn(shape, generator=generator, device=generator.device).to(like.device)
