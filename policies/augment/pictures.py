"""Crops, turns, warps and recolours the pictures of a batch; all randomness is a generator's."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from harness.contracts.errors import UsageError
from policies.augment.homography import Border, Interpolation, centre, warp
from policies.augment.spherical import Spherical, turn, viewpoint

HAND = "wrist"
"""A camera whose role has this in it moves with the hand: only its colours are changed."""
LUMA = (0.299, 0.587, 0.114)
"""How bright red, green and blue look (ITU-R BT.601)."""


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """What training does to pictures; the defaults are E0's released code, which has no warp.

    Attributes:
        crop: The part of height and width that a crop keeps, from a random place; 1 crops nothing.
        rotation: Degrees to either side, at most, by which a picture is turned in its plane.
        brightness: Factors from 1 minus this to 1 plus this.
        contrast: The same.
        saturation: The same.
        spherical: How cameras are turned.
        interpolation: How a value between pixels is found.
        border: What stands where no pixel went.
    """

    crop: float = 0.95
    rotation: float = 5.0
    brightness: float = 0.3
    contrast: float = 0.4
    saturation: float = 0.5
    spherical: Spherical = field(default_factory=Spherical)
    interpolation: Interpolation = "bilinear"
    border: Border = "zeros"

    def __post_init__(self) -> None:
        """Refuse what is no augmentation.

        Raises:
            UsageError: A value is out of its range.
        """
        if not 0 < self.crop <= 1:
            raise UsageError(f"crop must be more than 0 and at most 1, got {self.crop:g}")
        for name in ("brightness", "contrast", "saturation"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"{name} must be from 0 to 1, got {getattr(self, name):g}")

    def __call__(
        self, pictures: Mapping[str, Tensor], generator: torch.Generator
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return changed pictures, and how far each role's cameras were turned.

        Args:
            pictures: By camera role, (batch, 3, height, width) from 0 to 1.
            generator: Where all randomness comes from.

        Returns:
            The pictures, and the offsets of the spherical embedding, (batch, 3), where it is used.
        """
        changed, offsets = {}, {}
        for role in sorted(pictures):  # The order of drawing must not depend on the caller's.
            shown = pictures[role]
            if HAND not in role:
                shown, offset = self._moved(shown, generator)
                if self.spherical.share:
                    offsets[role] = offset
            elif self.spherical.share:
                offsets[role] = torch.zeros(len(shown), 3)
            changed[role] = self._recoloured(shown, generator)
        moved = {role: offset.to(pictures[role].device) for role, offset in offsets.items()}
        return changed, moved

    def _moved(self, pictures: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Crop, turn and warp at once, and return by how much the cameras were turned."""
        batch, _, height, width = pictures.shape
        matrices = cropped(self.crop, (height, width), batch, generator)
        angles = (2 * torch.rand(batch, generator=generator) - 1) * math.radians(self.rotation)
        matrices = in_plane(angles) @ matrices
        offsets, turned = self.spherical.draw(batch, generator)
        turns = turn(offsets, self.spherical.focal_length(height))
        # The camera is turned first: the crop is of what it sees then.
        matrices = torch.where(turned[:, None, None], matrices @ turns, matrices)
        told = viewpoint(offsets, turned)
        if self.crop == 1 and self.rotation == 0 and not turned.any():
            return pictures, told
        pixels = centre(matrices, (height, width))
        return warp(pictures, pixels, self.interpolation, self.border), told

    def _recoloured(self, pictures: Tensor, generator: torch.Generator) -> Tensor:
        """Change brightness, contrast and saturation, in this order, as one affine map."""
        limits = torch.tensor([self.brightness, self.contrast, self.saturation])
        drawn = 1 + (2 * torch.rand(len(pictures), 3, generator=generator) - 1) * limits
        if not limits.any():
            return pictures
        factors = drawn.to(pictures.device, pictures.dtype)
        return recoloured(pictures, *factors.unbind(1))


def cropped(share: float, size: tuple[int, int], count: int, generator: torch.Generator) -> Tensor:
    """Return matrices that enlarge a random crop to the picture's size, on centred pixels."""
    places = 2 * torch.rand(count, 2, generator=generator) - 1
    room = torch.tensor([size[1] - 1, size[0] - 1]) * (1 - share) / 2
    matrices = torch.zeros(count, 3, 3, dtype=torch.float64)
    matrices[:, 0, 0] = matrices[:, 1, 1] = 1 / share
    matrices[:, :2, 2] = (places * room / share).double()
    matrices[:, 2, 2] = 1
    return matrices


def in_plane(angles: Tensor) -> Tensor:
    """Return matrices that turn pictures about their centres, (batch, 3, 3)."""
    angles = angles.double()
    zero, one = torch.zeros_like(angles), torch.ones_like(angles)
    sine, cosine = angles.sin(), angles.cos()
    rows = [cosine, -sine, zero, sine, cosine, zero, zero, zero, one]
    return torch.stack(rows, -1).view(-1, 3, 3)


def recoloured(
    pictures: Tensor, brightness: Tensor, contrast: Tensor, saturation: Tensor
) -> Tensor:
    """Scale brightness, then the distance to the mean grey, then that to each pixel's own grey.

    All three are affine in a pixel's colour, so that they are one 3x3 matrix and an offset; only
    the result is clamped to what a picture can have.

    Args:
        pictures: (batch, 3, height, width) from 0 to 1.
        brightness: A factor for each picture, (batch,).
        contrast: The same.
        saturation: The same.
    """
    luma = torch.tensor(LUMA, device=pictures.device, dtype=pictures.dtype)
    colours = pictures.permute(0, 2, 3, 1).flatten(1, 2)  # A view, where they lie so in memory.
    grey = (colours.mean(1) @ luma) * brightness
    saturate = saturation[:, None, None] * torch.eye(3, device=luma.device, dtype=luma.dtype)
    saturate = saturate + (1 - saturation)[:, None, None] * luma.expand(3, 3)
    matrix = saturate * (brightness * contrast)[:, None, None]
    offset = ((1 - contrast) * grey)[:, None, None]
    # In one call with the offset it would take six times as long on a CPU.
    changed = (colours @ matrix.transpose(1, 2)).add_(offset).clamp_(0, 1)
    return changed.view(-1, *pictures.shape[2:], 3).permute(0, 3, 1, 2)
