"""Maps pictures through 3x3 matrices, so that any number of changes costs one interpolation."""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

Interpolation = Literal["bilinear", "nearest", "bicubic"]
Border = Literal["zeros", "border", "reflection"]

NEAREST_DEPTH = 1e-4
"""What lies behind the camera is moved so near before it that it falls outside the picture."""


def centre(matrices: Tensor, size: tuple[int, int]) -> Tensor:
    """Return matrices that act on pixels, for those that act on offsets from the picture's centre.

    Args:
        matrices: (batch, 3, 3), on (u - cx, v - cy, 1) in pixels.
        size: The pictures' height and width.
    """
    height, width = size
    back = torch.eye(3, dtype=matrices.dtype)
    back[0, 2], back[1, 2] = (width - 1) / 2, (height - 1) / 2
    there = back.clone()
    there[:2, 2] *= -1
    return back @ matrices @ there


def warp(
    pictures: Tensor, matrices: Tensor, interpolation: Interpolation, border: Border
) -> Tensor:
    """Return pictures whose pixel M (u, v, 1) is what was at (u, v).

    Args:
        pictures: (batch, channels, height, width), of a floating type.
        matrices: Where each pixel goes, (batch, 3, 3), in homogeneous pixel coordinates.
        interpolation: How a value between pixels is found.
        border: What stands where no pixel went.
    """
    height, width = pictures.shape[-2:]
    # From a pixel to where its value is looked up, as grid_sample counts: from -1 to 1.
    scaled = torch.tensor([[2 / (width - 1), 0, -1], [0, 2 / (height - 1), -1], [0, 0, 1]])
    source = (scaled.double() @ torch.linalg.inv(matrices.double())).float().to(pictures.device)
    v, u = torch.meshgrid(
        torch.arange(height, dtype=torch.float32, device=pictures.device),
        torch.arange(width, dtype=torch.float32, device=pictures.device),
        indexing="ij",
    )
    pixels = torch.stack([u, v, torch.ones_like(u)], -1).view(-1, 3)
    places = pixels @ source.mT
    grid = places[..., :2] / places[..., 2:].clamp(min=NEAREST_DEPTH)
    return functional.grid_sample(
        pictures,
        grid.view(-1, height, width, 2).to(pictures.dtype),
        mode=interpolation,
        padding_mode=border,
        align_corners=True,
    )
