"""E0 as released: a flow head and a discrete head in one sequence; their actions are averaged.

    tokens: H of the flow, then H*D discrete ones. Flow tokens attend to the prefix and to each
        other; discrete tokens also attend to the flow tokens.
    x_t = t n + (1 - t) a,   z_t = t eps + (1 - t) onehot(k): without the paper's alpha
    loss = 1/2 mean (v - (n - a))^2  +  1/2 mean -log p(k | z_t, x_t, t, o)
    sampling at t = 1, 1 - 1/N, .. 1/N:
        x <- x - v/N;   k^ = argmax p
        z <- 0.1 onehot(k^) + eps,  or  (1 - sqrt t) 0.1 onehot(k^) + sqrt(t) eps  (`decay_noise`)
        with the same eps at every step, which is also the first z
    a^ = 1/2 x + 1/2 (2 k^/B - 1): the lower edges of the bins

In use, the discrete input 0.1 onehot(k^) + eps carries almost no information about k^, and
training never shows it. The flow tokens decide the mode. This head exists for comparison.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from policies.heads.configs import E0HybridConfig
from policies.heads.denoising import ContinuousHead, draw_noise, draw_times
from policies.heads.head import Expert, draw_normals, hold_last, mean_over_valid
from policies.heads.tokens import to_actions, to_tokens


class E0HybridHead(ContinuousHead):
    """Averages a flow's chunk and discrete tokens. Weights have the released code's names.

    The expert runs twice a step: over the flow tokens, then over the discrete tokens. This computes
    the same as one run over both.
    """

    config: E0HybridConfig

    def __init__(self, config: E0HybridConfig, width: int) -> None:
        """Create the input and output layers of both parts."""
        super().__init__(config, width)
        self.e0_action_in_proj = nn.Linear(config.bins, width)
        self.e0_action_out_proj = nn.Linear(width, config.bins)

    def _run(
        self, expert: Expert, chunk: Tensor, noised: Tensor, times: Tensor
    ) -> tuple[Tensor, Tensor]:
        memory = expert.memory()
        velocity = self.predict(expert, chunk, times, memory)
        tokens, condition = self.add_time(self.e0_action_in_proj(noised), times)
        logits = self.e0_action_out_proj(expert(tokens, condition=condition, memory=memory))
        return velocity, logits

    def loss(
        self, expert: Expert, actions: Tensor, valid: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Return the mean of the flow's loss and the tokens' loss."""
        config = self.config
        actions = hold_last(actions, valid)
        tokens = to_tokens(actions, config.bins)
        times = draw_times(actions, config.time_shape, generator)
        share = times[:, None, None]
        noise = draw_noise(actions.shape, actions, generator)
        onehot = functional.one_hot(tokens, config.bins)
        token_noise = draw_noise(onehot.shape, actions, generator)
        velocity, logits = self._run(
            expert,
            share * noise + (1 - share) * actions,
            share * token_noise + (1 - share) * onehot,
            times,
        )
        flow = mean_over_valid((velocity - (noise - actions)).square(), valid)
        losses = functional.cross_entropy(logits.transpose(1, 2), tokens, reduction="none")
        discrete = mean_over_valid(losses.view(len(tokens), config.horizon, -1), valid)
        return (flow + discrete) / 2

    def sample_chunks(self, expert: Expert, streams: Sequence[np.random.Generator]) -> Tensor:
        """Return the mean of the flow's chunk and the tokens' chunk."""
        config, device = self.config, expert.device
        chunk = draw_normals(streams, (config.horizon, config.action_size)).to(device)
        noise = draw_normals(streams, (config.length, config.bins)).to(device)
        noised = noise
        for left in range(config.steps, 0, -1):
            time = left / config.steps
            times = torch.full((expert.batch,), time, device=device)
            velocity, logits = self._run(expert, chunk, noised, times)
            self.evaluations += 2
            chunk = chunk - velocity / config.steps
            tokens = expert.watch(logits).argmax(-1)
            clean = config.smoothing * functional.one_hot(tokens, config.bins)
            share = time**0.5
            noised = (1 - share) * clean + share * noise if config.decay_noise else clean + noise
        discrete = to_actions(tokens, config.bins, config.action_size, place=0.0)
        return (chunk + discrete) / 2
