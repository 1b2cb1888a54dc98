"""Crops, turns, warps and recolours the pictures of a batch. A generator is the only randomness."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from harness.contracts.errors import UsageError
from policies.augment.homography import Border, Interpolation, centre, warp
from policies.augment.spherical import Spherical, turn, viewpoint

_HAND = "wrist"
"""Cameras with this in their role move with the hand; only their colours are changed."""
LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in brightness (ITU-R BT.601)."""


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """Augmentation of pictures. The defaults are E0's released code, which has no spherical warp.

    Attributes:
        crop: Share of height and width that a random crop keeps; 1 for no crop.
        rotation: Largest rotation in the picture plane, in degrees.
        brightness: Factors are from 1 minus this to 1 plus this.
        contrast: Likewise.
        saturation: Likewise.
        spherical: The spherical warp.
        interpolation: Between pixels.
        border: The values outside of the original picture.
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
        """Check the values.

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
        """Augment pictures.

        Args:
            pictures: By camera role, (batch, 3, height, width) in [0, 1].
            generator: The only randomness.

        Returns:
            The pictures, and the viewpoint inputs by role, (batch, 3), if the warp is used.
        """
        changed, offsets = {}, {}
        for role in sorted(pictures):  # The draws must not depend on the caller's order.
            batch = pictures[role]
            if _HAND not in role:
                batch, offset = self._moved(batch, generator)
                if self.spherical.share:
                    offsets[role] = offset
            elif self.spherical.share:
                offsets[role] = torch.zeros(len(batch), 3)
            changed[role] = self._recoloured(batch, generator)
        moved = {role: offset.to(pictures[role].device) for role, offset in offsets.items()}
        return changed, moved

    def _moved(self, pictures: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Crop, rotate and warp in one interpolation; also return the viewpoint inputs."""
        batch, _, height, width = pictures.shape
        matrices = cropped(self.crop, (height, width), batch, generator)
        angles = (2 * torch.rand(batch, generator=generator) - 1) * math.radians(self.rotation)
        matrices = in_plane(angles) @ matrices
        offsets, turned = self.spherical.draw(batch, generator)
        turns = turn(offsets, self.spherical.focal_length(height))
        # The camera turns first; then the picture is cropped.
        matrices = torch.where(turned[:, None, None], matrices @ turns, matrices)
        moved = viewpoint(offsets, turned)
        if self.crop == 1 and self.rotation == 0 and not turned.any():
            return pictures, moved
        pixels = centre(matrices, (height, width))
        return warp(pictures, pixels, self.interpolation, self.border), moved

    def _recoloured(self, pictures: Tensor, generator: torch.Generator) -> Tensor:
        """Change brightness, contrast and saturation, in this order, by one affine map."""
        limits = torch.tensor([self.brightness, self.contrast, self.saturation])
        drawn = 1 + (2 * torch.rand(len(pictures), 3, generator=generator) - 1) * limits
        if not limits.any():
            return pictures
        factors = drawn.to(pictures.device, pictures.dtype)
        return recoloured(pictures, *factors.unbind(1))


def cropped(share: float, size: tuple[int, int], count: int, generator: torch.Generator) -> Tensor:
    """Return matrices, on centred pixels, that enlarge a random crop to the picture's size."""
    places = 2 * torch.rand(count, 2, generator=generator) - 1
    margin = torch.tensor([size[1] - 1, size[0] - 1]) * (1 - share) / 2
    matrices = torch.zeros(count, 3, 3, dtype=torch.float64)
    matrices[:, 0, 0] = matrices[:, 1, 1] = 1 / share
    matrices[:, :2, 2] = (places * margin / share).double()
    matrices[:, 2, 2] = 1
    return matrices


def in_plane(angles: Tensor) -> Tensor:
    """Return matrices that rotate pictures about their centres, (batch, 3, 3)."""
    angles = angles.double()
    zero, one = torch.zeros_like(angles), torch.ones_like(angles)
    sine, cosine = angles.sin(), angles.cos()
    rows = [cosine, -sine, zero, sine, cosine, zero, zero, zero, one]
    return torch.stack(rows, -1).view(-1, 3, 3)


def recoloured(
    pictures: Tensor, brightness: Tensor, contrast: Tensor, saturation: Tensor
) -> Tensor:
    """Scale brightness, then the distance to the mean grey, then that to each pixel's own grey.

    All three are affine in a pixel's colour, so together they are a 3x3 matrix and an offset. Only
    the final result is clamped.

    Args:
        pictures: (batch, 3, height, width) in [0, 1].
        brightness: A factor for each picture, (batch,).
        contrast: Likewise.
        saturation: Likewise.
    """
    luma = torch.tensor(LUMA, device=pictures.device, dtype=pictures.dtype)
    colours = pictures.permute(0, 2, 3, 1).flatten(1, 2)  # A view for channels-last pictures.
    grey = (colours.mean(1) @ luma) * brightness
    saturate = saturation[:, None, None] * torch.eye(3, device=luma.device, dtype=luma.dtype)
    saturate = saturate + (1 - saturation)[:, None, None] * luma.expand(3, 3)
    matrix = saturate * (brightness * contrast)[:, None, None]
    offset = ((1 - contrast) * grey)[:, None, None]
    # On a CPU, one fused call with the offset takes six times as long.
    changed = (colours @ matrix.transpose(1, 2)).add_(offset).clamp_(0, 1)
    return changed.view(-1, *pictures.shape[2:], 3).permute(0, 3, 1, 2)
