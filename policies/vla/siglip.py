"""SigLIP's image encoder: a vision transformer whose patches all attend to each other."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from policies.vla.config import SiglipConfig


class SiglipLayer(nn.Module):
    """Attention and feed-forward, each normalised before and added to what came in."""

    def __init__(self, config: SiglipConfig) -> None:
        """Make the weights."""
        super().__init__()
        self.heads = config.heads
        self.attention_norm = nn.LayerNorm(config.width, eps=1e-6)
        self.queries = nn.Linear(config.width, config.width)
        self.keys = nn.Linear(config.width, config.width)
        self.values = nn.Linear(config.width, config.width)
        self.gathered = nn.Linear(config.width, config.width)
        self.forward_norm = nn.LayerNorm(config.width, eps=1e-6)
        self.up = nn.Linear(config.width, config.mlp)
        self.down = nn.Linear(config.mlp, config.width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the tokens after the layer."""
        normed = self.attention_norm(tokens)
        queries, keys, values = (
            made(normed).view(*normed.shape[:2], self.heads, -1).transpose(1, 2)
            for made in (self.queries, self.keys, self.values)
        )
        gathered = functional.scaled_dot_product_attention(queries, keys, values)
        tokens = tokens + self.gathered(gathered.transpose(1, 2).flatten(2))
        inner = functional.gelu(self.up(self.forward_norm(tokens)), approximate="tanh")
        after: Tensor = tokens + self.down(inner)
        return after


class Siglip(nn.Module):
    """Patches of a picture become tokens."""

    def __init__(self, config: SiglipConfig, width: int) -> None:
        """Make the weights; tokens leave with `width` numbers."""
        super().__init__()
        self.patches = nn.Conv2d(3, config.width, config.patch, stride=config.patch)
        self.positions = nn.Parameter(torch.empty(config.grid**2, config.width))
        nn.init.normal_(self.positions, std=config.width**-0.5)
        self.layers = nn.Sequential(*(SiglipLayer(config) for _ in range(config.depth)))
        self.norm = nn.LayerNorm(config.width, eps=1e-6)
        self.out = nn.Linear(config.width, width)

    def forward(self, pictures: Tensor) -> Tensor:
        """Return the tokens of pictures in [-1, 1], (batch, 3, H, W) to (batch, N, width)."""
        tokens = self.patches(pictures).flatten(2).transpose(1, 2) + self.positions
        seen: Tensor = self.out(self.norm(self.layers(tokens)))
        return seen
