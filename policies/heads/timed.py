"""What heads share whose expert has to know how noisy its input is.

Time runs from 0, the data, to 1, noise. It reaches the expert as openpi's two models tell it:

    pi0      token = W_out silu(W_in [token, e(t)])             (action_time_mlp_in, _out)
    pi0.5    condition = silu(W_out silu(W_in e(t)))            (time_mlp_in, _out; adaRMS)
    e(t)     = [sin(2 pi t / p_i), cos(2 pi t / p_i)],  p_i from 0.004 to 4, evenly in log p_i
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.contracts.errors import UsageError
from policies.heads.head import Head, HeadConfig, require_within

SHORTEST, LONGEST = 4e-3, 4.0
"""Periods of the time's embedding."""
EARLIEST = 1e-3
"""The least noise that is trained on."""


@dataclass(frozen=True, kw_only=True)
class TimedConfig(HeadConfig):
    """What a head is told that removes noise step by step.

    Attributes:
        steps: How often the expert runs for a chunk.
        adaptive: Whether time scales every layer (pi0.5), or is mixed into the tokens (pi0).
    """

    steps: int = 10
    adaptive: bool = False

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        super().__post_init__()
        require_within("steps", self.steps, 1)


class TimedHead(Head):
    """Tells the expert the time in one of the two ways; names of weights are openpi's."""

    def __init__(self, config: TimedConfig, width: int) -> None:
        """Make the weights that tell the time."""
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

    def tell_time(self, tokens: Tensor, times: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the tokens and the condition that tell the times.

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


def embed_times(times: Tensor, width: int) -> Tensor:
    """Return e(t) of each time, (batch, width), computed in double precision."""
    fractions = torch.linspace(0, 1, width // 2, dtype=torch.float64, device=times.device)
    periods = SHORTEST * (LONGEST / SHORTEST) ** fractions
    angles = 2 * math.pi * times.double()[:, None] / periods
    return torch.cat([angles.sin(), angles.cos()], dim=1).float()


def draw_times(like: Tensor, shape: float, generator: torch.Generator) -> Tensor:
    """Return a time for each sample, (batch,): Beta(shape, 1), kept off the noiseless end.

    The distribution function of Beta(shape, 1) is t ** shape, so its inverse draws from it; 1 is
    the uniform distribution and more draws more noise.
    """
    drawn = torch.rand(len(like), generator=generator, device=generator.device)
    return (drawn ** (1 / shape) * (1 - EARLIEST) + EARLIEST).to(like.device)


def draw_normal(shape: torch.Size, like: Tensor, generator: torch.Generator) -> Tensor:
    """Return standard normal numbers for training, beside another tensor."""
    return torch.randn(shape, generator=generator, device=generator.device).to(like.device)
