"""Embeds pictures and words as the tokens of the language stack."""

import torch
from torch import Tensor, nn

from policies.vla.config import ConvConfig, VLAConfig
from policies.vla.convnet import ConvNet
from policies.vla.inputs import Inputs
from policies.vla.siglip import Siglip


class Embedding(nn.Module):
    """The image encoder and the word embeddings.

    All cameras share one SigLIP. The convolutions are small, so each camera has its own, and a
    learned position tells their tokens apart.
    """

    def __init__(self, config: VLAConfig) -> None:
        """Create the weights."""
        super().__init__()
        width = config.language.width
        self.cameras = config.cameras
        self.images: nn.ModuleList | Siglip
        self.positions: nn.Parameter | None = None
        if isinstance(config.images, ConvConfig):
            self.images = nn.ModuleList(ConvNet(config.images, width) for _ in config.cameras)
            places = (len(config.cameras), config.images.tokens, width)
            self.positions = nn.Parameter(nn.init.normal_(torch.empty(places)).div_(2))
        else:
            self.images = Siglip(config.images, width)
        self.words = nn.Embedding(config.vocabulary, width)
        nn.init.normal_(self.words.weight, std=width**-0.5)
        # No bias: an unmoved camera changes nothing, and neither do untrained weights.
        self.viewpoint = nn.Linear(3, width, bias=False) if config.viewpoint else None
        if self.viewpoint is not None:
            nn.init.zeros_(self.viewpoint.weight)

    def forward(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        """Return the tokens, (batch, N, width), and which of them are present, (batch, N)."""
        words = self.words(inputs.tokens) * self.words.embedding_dim**0.5
        tokens, masks = [words], [inputs.token_mask]
        if self.cameras:
            pictures = self._encode_pictures(inputs, words)
            present = torch.stack([inputs.present[role] for role in self.cameras], dim=1)
            masks.insert(0, present.repeat_interleave(pictures.shape[2], dim=1))
            tokens.insert(0, pictures.flatten(1, 2))
        return torch.cat(tokens, dim=1), torch.cat(masks, dim=1)

    def _encode_pictures(self, inputs: Inputs, words: Tensor) -> Tensor:
        """Return each camera's tokens, (batch, cameras, N, width)."""
        encoded: Tensor
        pictures = [inputs.images[role] for role in self.cameras]
        if isinstance(self.images, Siglip):
            together = self.images(torch.cat(pictures))
            encoded = torch.stack(together.chunk(len(pictures)), dim=1)
        else:
            mask = inputs.token_mask[..., None]
            instruction = (words * mask).sum(dim=1) / mask.sum(dim=1)
            pairs = zip(self.images, pictures, strict=True)
            encoded = torch.stack([net(picture, instruction) for net, picture in pairs], dim=1)
        if self.positions is not None:
            encoded = encoded + self.positions
        if self.viewpoint is not None and inputs.viewpoint:
            moved = torch.stack([inputs.viewpoint[role] for role in self.cameras], dim=1)
            encoded = encoded + self.viewpoint(moved)[:, :, None]
        return encoded
