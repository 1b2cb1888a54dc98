"""A small image encoder, trained with the rest, that pools features at a few places.

    F = convolutions(picture);   G = convolution(F), scaled and shifted by the instruction (FiLM)
    w_n = softmax over places of (k_n . G)
    token_n = W [sum of w_n G, mean place under w_n]

Few tokens that choose where to look come from TokenLearner; the mean place is a spatial softmax. So
a position is a number from the first layer on, finer than a grid of tokens, and the object to look
for can depend on the instruction.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from policies.vla.config import ConvConfig

_GROUP = 8
"""Channels in a normalisation group. Groups do not mix the pictures of a batch."""
_SHARPNESS = 5.0
"""Factor of the initial k_n: attention that starts uniform learns slowly."""


class ConvNet(nn.Module):
    """Turns one camera's pictures into tokens.

    The names of its layers are keys of weight files.
    """

    def __init__(self, config: ConvConfig, width: int) -> None:
        """Create the weights; tokens and the instruction have `width` numbers."""
        super().__init__()
        stages: list[nn.Module] = []
        before = 3
        for channels in config.channels:
            size, stride = (8, 4) if before == 3 else (3, 2)
            padding = (size - stride + 1) // 2
            stages += [
                nn.Conv2d(before, channels, size, stride, padding, bias=False),
                nn.GroupNorm(channels // _GROUP, channels),
                nn.SiLU(),
            ]
            before = channels
        self.stages = nn.Sequential(*stages)
        self.sought = nn.Conv2d(before, before, 3, padding=1, bias=False)
        self.norm = nn.GroupNorm(before // _GROUP, before)
        self.told = nn.Linear(width, 2 * before)
        nn.init.zeros_(self.told.weight)
        nn.init.zeros_(self.told.bias)
        self.places = nn.Conv2d(before, config.tokens, 1)
        with torch.no_grad():
            self.places.weight *= _SHARPNESS
        self.out = nn.Linear(before + 2, width)

    def forward(self, pictures: Tensor, instruction: Tensor) -> Tensor:
        """Return tokens, (batch, N, width).

        Args:
            pictures: (batch, 3, H, W) in [-1, 1].
            instruction: The mean of the instruction's word embeddings, (batch, width).
        """
        # On a CPU, convolutions in this memory format take two thirds of the time.
        features = self.stages(pictures.contiguous(memory_format=torch.channels_last))
        scale, shift = self.told(instruction)[:, :, None, None].chunk(2, dim=1)
        features = functional.silu(self.norm(self.sought(features)) * (1 + scale) + shift)
        weights = self.places(features).flatten(2).softmax(dim=-1)
        sides = (torch.linspace(-1, 1, side, device=features.device) for side in features.shape[2:])
        grid = torch.cartesian_prod(*sides).to(features.dtype).expand(len(features), -1, -1)
        located = torch.cat([features.flatten(2).transpose(1, 2), grid], dim=2)
        tokens: Tensor = self.out(weights @ located)
        return tokens
