"""A small image encoder that is trained with the rest."""

from torch import Tensor, nn

from policies.vla.config import ConvConfig

GROUP = 8
"""Channels that are normalised together; a batch's other pictures have no part in it."""


class ConvNet(nn.Module):
    """Convolutions that turn a picture into a grid of tokens.

    Nothing is pooled, so that a token still says where in the picture it saw what it saw.
    """

    def __init__(self, config: ConvConfig, width: int) -> None:
        """Make the weights; tokens have `width` numbers."""
        super().__init__()
        stages: list[nn.Module] = []
        before = 3
        for channels in config.channels:
            size = 5 if before == 3 else 3
            stages += [
                nn.Conv2d(before, channels, size, stride=2, padding=size // 2, bias=False),
                nn.GroupNorm(channels // GROUP, channels),
                nn.SiLU(),
            ]
            before = channels
        self.stages = nn.Sequential(*stages)
        self.out = nn.Linear(before, width)

    def forward(self, pictures: Tensor) -> Tensor:
        """Return the tokens of pictures in [-1, 1], (batch, 3, H, W) to (batch, N, width)."""
        tokens: Tensor = self.out(self.stages(pictures).flatten(2).transpose(1, 2))
        return tokens
