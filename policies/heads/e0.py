"""E0's Tweedie discrete diffusion: Gaussian noise on one-hot actions, cross-entropy to undo it.

    z_t = (1 - t) alpha onehot(k) + t eps,   eps ~ N(0, I),   t = 0.999 b + 0.001,  b ~ Beta(c, 1)
    loss = mean -log p(k | z_t, t, o),   p = softmax(f(z_t, t, o)), a factor for each token
    sampling: z_1 = eps;  at t = 1, 1 - 1/N, .. 1/N:
        k^ = draw from p (`sample`), or argmax p (`argmax`); the last k^ is always argmax p
        z_s = (1 - s) alpha onehot(k^) + s eps',  s = t - 1/N    (`interpolated`)
        z_s = alpha onehot(k^) + eps'                            (`fixed`)

The paper's first version counts its tau from noise to data and the second the other way round, as
here: with tau = 1 - t it is the same process. `fixed` is how we read the second version's
"fixed-variance" noise, and what the released code does by default. eps' is fresh.

The defaults are not the paper's, because with those the loop carries next to nothing. alpha is how
much louder a token is than its noise: at the paper's 0.1 and 2048 bins, half of the tokens can be
told from z_t only past t = 0.03, which is 0.5 % of what is trained on and none of what is sampled.
And `argmax` decides every token on its own at t = 1, before anything is known of the others.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from policies.heads.head import Expert, hold_last, mean_over_valid, normal, require_within
from policies.heads.timed import TimedConfig, TimedHead, draw_normal, draw_times
from policies.heads.tokens import pick, to_actions, to_tokens


@dataclass(frozen=True, kw_only=True)
class E0Config(TimedConfig):
    """What the E0 head is told.

    Attributes:
        bins: Into how many bins [-1, 1] is divided (the paper: 2048).
        smoothing: The factor alpha of the one-hot vectors (the paper: 0.1).
        time_shape: Training draws Beta(time_shape, 1); 1 is uniform, which the paper also says.
        decode: How tokens are decided on the way (the paper: argmax).
        renoise: How noise is put back.
        edge: What a token stands for: its bin's centre, or its lower edge as in the released code,
            which is half a bin too low on average.
    """

    bins: int = 256
    smoothing: float = 3.0
    time_shape: float = 1.5
    decode: Literal["sample", "argmax"] = "sample"
    renoise: Literal["interpolated", "fixed"] = "interpolated"
    edge: Literal["centre", "lower"] = "centre"

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        super().__post_init__()
        require_within("bins", self.bins, 2)
        require_within("smoothing", self.smoothing, 1e-3)
        require_within("time_shape", self.time_shape, 0.1)


class E0Head(TimedHead):
    """Refines all tokens at once; names of weights are the released code's."""

    config: E0Config

    def __init__(self, config: E0Config, width: int) -> None:
        """Make the two ends."""
        super().__init__(config, width)
        self.e0_action_in_proj = nn.Linear(config.bins, width)
        self.e0_action_out_proj = nn.Linear(width, config.bins)

    def noised(self, tokens: Tensor, times: Tensor, noise: Tensor) -> Tensor:
        """Return z_t of tokens (batch, N), (batch, N, bins)."""
        share = times[:, None, None]
        clean = self.config.smoothing * functional.one_hot(tokens, self.config.bins)
        return (1 - share) * clean + share * noise

    def logits(self, expert: Expert, noised: Tensor, times: Tensor) -> Tensor:
        """Return how likely each token is to lie under the noise, (batch, N, bins)."""
        tokens, condition = self.tell_time(self.e0_action_in_proj(noised), times)
        logits: Tensor = self.e0_action_out_proj(expert(tokens, condition=condition))
        return logits

    def loss(
        self, expert: Expert, actions: Tensor, valid: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Return the cross-entropy of the true tokens at a random time."""
        config = self.config
        tokens = to_tokens(hold_last(actions, valid), config.bins)
        times = draw_times(actions, config.time_shape, generator)
        noise = draw_normal(torch.Size((*tokens.shape, config.bins)), actions, generator)
        logits = self.logits(expert, self.noised(tokens, times, noise), times)
        losses = functional.cross_entropy(logits.transpose(1, 2), tokens, reduction="none")
        return mean_over_valid(losses.view(len(tokens), config.horizon, -1), valid)

    @torch.no_grad()
    def sample(self, expert: Expert, streams: Sequence[np.random.Generator]) -> Tensor:
        """Return chunks after `steps` rounds of deciding and putting noise back."""
        config = self.config
        shape, device = (config.length, config.bins), expert.device
        noised = normal(streams, shape).to(device)
        for left in range(config.steps, 0, -1):
            times = torch.full((expert.batch,), left / config.steps, device=device)
            logits = self.logits(expert, noised, times)
            self.evaluations += 1
            drawn = config.decode == "sample" and left > 1
            tokens = pick(logits, streams, 1.0 if drawn else 0.0)
            if left > 1:
                noise = normal(streams, shape).to(device)
                noised = self._renoised(tokens, times - 1 / config.steps, noise)
        place = 0.5 if config.edge == "centre" else 0.0
        return to_actions(tokens, config.bins, config.action_size, place)

    def _renoised(self, tokens: Tensor, times: Tensor, noise: Tensor) -> Tensor:
        if self.config.renoise == "interpolated":
            return self.noised(tokens, times, noise)
        return self.config.smoothing * functional.one_hot(tokens, self.config.bins) + noise
