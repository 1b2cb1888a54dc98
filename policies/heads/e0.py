"""E0's Tweedie discrete diffusion: Gaussian noise on one-hot actions, cross-entropy to undo it.

    z_t = (1 - t) alpha onehot(k) + t eps,   eps ~ N(0, I),   t = 0.999 b + 0.001,  b ~ Beta(c, 1)
    loss = mean -log p(k | z_t, t, o),   p = softmax(f(z_t, t, o)), a factor for each token
    sampling: z_1 = eps;  at t = 1, 1 - 1/N, .. 1/N:
        k^ = draw from p (`sample`), or argmax p (`argmax`); the last k^ is always argmax p
        z_s = (1 - s) alpha onehot(k^) + s eps',  s = t - 1/N    (`interpolated`)
        z_s = alpha onehot(k^) + eps'                            (`fixed`)

The paper's first version counts tau from noise to data; the second counts from data to noise, as
here. With tau = 1 - t both are the same process. `fixed` is our reading of the second version's
"fixed-variance" noise, and the default of the released code. eps' is fresh noise.

The defaults differ from the paper's, with which the iterations carry almost no information. alpha
is the signal-to-noise scale of a token. At the paper's 0.1 and 2048 bins, half of the tokens can be
recovered from z_t only below t = 0.03: 0.5 % of the training times and none of the sampling times.
`argmax` also decides every token independently at t = 1.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from policies.heads.configs import E0Config
from policies.heads.denoising import DenoisingHead, draw_noise, draw_times
from policies.heads.head import Expert, draw_normals, hold_last, mean_over_valid
from policies.heads.tokens import sample_tokens, to_actions, to_tokens


class E0Head(DenoisingHead):
    """Refines all tokens at once. Weights have the released code's names."""

    config: E0Config

    def __init__(self, config: E0Config, width: int) -> None:
        """Create the input and output layers."""
        super().__init__(config, width)
        self.e0_action_in_proj = nn.Linear(config.bins, width)
        self.e0_action_out_proj = nn.Linear(width, config.bins)

    def noised(self, tokens: Tensor, times: Tensor, noise: Tensor) -> Tensor:
        """Return z_t, (batch, N, bins), of tokens, (batch, N)."""
        share = times[:, None, None]
        clean = self.config.smoothing * functional.one_hot(tokens, self.config.bins)
        return (1 - share) * clean + share * noise

    def logits(self, expert: Expert, noised: Tensor, times: Tensor) -> Tensor:
        """Return the logits of the clean tokens, (batch, N, bins)."""
        tokens, condition = self.add_time(self.e0_action_in_proj(noised), times)
        logits: Tensor = self.e0_action_out_proj(expert(tokens, condition=condition))
        return logits

    def loss(
        self, expert: Expert, actions: Tensor, valid: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Return the cross-entropy of the true tokens at a random time."""
        config = self.config
        tokens = to_tokens(hold_last(actions, valid), config.bins)
        times = draw_times(actions, config.time_shape, generator)
        noise = draw_noise(torch.Size((*tokens.shape, config.bins)), actions, generator)
        logits = self.logits(expert, self.noised(tokens, times, noise), times)
        losses = functional.cross_entropy(logits.transpose(1, 2), tokens, reduction="none")
        return mean_over_valid(losses.view(len(tokens), config.horizon, -1), valid)

    def sample_chunks(self, expert: Expert, streams: Sequence[np.random.Generator]) -> Tensor:
        """Return chunks after `steps` rounds of choosing tokens and adding noise again."""
        config = self.config
        shape, device = (config.length, config.bins), expert.device
        noised = draw_normals(streams, shape).to(device)
        for left in range(config.steps, 0, -1):
            times = torch.full((expert.batch,), left / config.steps, device=device)
            logits = expert.watch(self.logits(expert, noised, times))
            self.evaluations += 1
            drawn = config.decode == "sample" and left > 1
            tokens = sample_tokens(logits, streams, 1.0 if drawn else 0.0)
            if left > 1:
                noise = draw_normals(streams, shape).to(device)
                noised = self._renoised(tokens, times - 1 / config.steps, noise)
        place = 0.5 if config.edge == "centre" else 0.0
        return to_actions(tokens, config.bins, config.action_size, place)

    def _renoised(self, tokens: Tensor, times: Tensor, noise: Tensor) -> Tensor:
        if self.config.renoise == "interpolated":
            return self.noised(tokens, times, noise)
        return self.config.smoothing * functional.one_hot(tokens, self.config.bins) + noise
