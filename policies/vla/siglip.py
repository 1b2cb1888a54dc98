"""SigLIP's image encoder: a vision transformer with full attention between patches."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from policies.vla.config import SiglipConfig


class _SiglipLayer(nn.Module):
    """A pre-norm transformer layer. The names of its weights are keys of weight files."""

    def __init__(self, config: SiglipConfig) -> None:
        """Create the weights."""
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
            project(normed).view(*normed.shape[:2], self.heads, -1).transpose(1, 2)
            for project in (self.queries, self.keys, self.values)
        )
        gathered = functional.scaled_dot_product_attention(queries, keys, values)
        tokens = tokens + self.gathered(gathered.transpose(1, 2).flatten(2))
        inner = functional.gelu(self.up(self.forward_norm(tokens)), approximate="tanh")
        output: Tensor = tokens + self.down(inner)
        return output


class Siglip(nn.Module):
    """Turns the patches of a picture into tokens."""

    def __init__(self, config: SiglipConfig, width: int) -> None:
        """Create the weights; output tokens have `width` numbers."""
        super().__init__()
        self.patches = nn.Conv2d(3, config.width, config.patch, stride=config.patch)
        self.positions = nn.Parameter(torch.empty(config.grid**2, config.width))
        nn.init.normal_(self.positions, std=config.width**-0.5)
        self.layers = nn.Sequential(*(_SiglipLayer(config) for _ in range(config.depth)))
        self.norm = nn.LayerNorm(config.width, eps=1e-6)
        self.out = nn.Linear(config.width, width)

    def forward(self, pictures: Tensor) -> Tensor:
        """Return tokens, (batch, N, width), of pictures in [-1, 1], (batch, 3, H, W)."""
        tokens = self.patches(pictures).flatten(2).transpose(1, 2) + self.positions
        output: Tensor = self.out(self.norm(self.layers(tokens)))
        return output
