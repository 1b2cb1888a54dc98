"""Turns what was observed into the tokens that the language stack reads."""

import torch
from torch import Tensor, nn

from policies.vla.config import ConvConfig, VLAConfig
from policies.vla.convnet import ConvNet
from policies.vla.inputs import Inputs
from policies.vla.siglip import Siglip


class Embedding(nn.Module):
    """Image encoder and word embeddings.

    One encoder looks through all cameras. SigLIP knows where in a picture its tokens are; for the
    convolutions a learned position says so, and which camera it is.
    """

    def __init__(self, config: VLAConfig) -> None:
        """Make the weights."""
        super().__init__()
        width = config.language.width
        self.cameras = config.cameras
        self.images: ConvNet | Siglip
        self.positions: nn.Parameter | None = None
        if isinstance(config.images, ConvConfig):
            self.images = ConvNet(config.images, width)
            grid = (len(config.cameras), config.images.grid**2, width)
            self.positions = nn.Parameter(torch.randn(grid) / 2)
        else:
            self.images = Siglip(config.images, width)
        self.words = nn.Embedding(config.vocabulary, width)
        nn.init.normal_(self.words.weight, std=width**-0.5)
        # Without a bias, a camera that was not moved changes nothing, nor does an untrained one.
        self.viewpoint = nn.Linear(3, width, bias=False) if config.viewpoint else None
        if self.viewpoint is not None:
            nn.init.zeros_(self.viewpoint.weight)

    def forward(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        """Return the tokens, (batch, N, width), and which of them are there, (batch, N)."""
        words = self.words(inputs.tokens) * self.words.embedding_dim**0.5
        tokens, masks = [words], [inputs.token_mask]
        if self.cameras:
            pictures = self._look(inputs)
            present = torch.stack([inputs.present[role] for role in self.cameras], dim=1)
            masks.insert(0, present.repeat_interleave(pictures.shape[2], dim=1))
            tokens.insert(0, pictures.flatten(1, 2))
        return torch.cat(tokens, dim=1), torch.cat(masks, dim=1)

    def _look(self, inputs: Inputs) -> Tensor:
        """Return each camera's tokens, (batch, cameras, N, width)."""
        together = torch.cat([inputs.images[role] for role in self.cameras])
        seen: Tensor = self.images(together).unflatten(0, (len(self.cameras), -1)).transpose(0, 1)
        if self.positions is not None:
            seen = seen + self.positions
        if self.viewpoint is not None and inputs.viewpoint:
            moved = torch.stack([inputs.viewpoint[role] for role in self.cameras], dim=1)
            seen = seen + self.viewpoint(moved)[:, :, None]
        return seen
