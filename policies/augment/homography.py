"""Warps pictures by 3x3 matrices, so that several changes need only one interpolation."""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

Interpolation = Literal["bilinear", "nearest", "bicubic"]
Border = Literal["zeros", "border", "reflection"]

_NEAREST_DEPTH = 1e-4
"""Smaller depths, and points behind the camera, get this depth and so fall outside the picture."""


def centre(matrices: Tensor, size: tuple[int, int]) -> Tensor:
    """Convert matrices on offsets from the picture's centre to matrices on pixels.

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
    """Move each pixel (u, v, 1) to M (u, v, 1).

    Args:
        pictures: (batch, channels, height, width), of a floating type.
        matrices: M in homogeneous pixel coordinates, (batch, 3, 3).
        interpolation: Between pixels.
        border: The values where the source is outside the picture.
    """
    height, width = pictures.shape[-2:]
    # From a pixel to its source, in the coordinates of grid_sample, -1 to 1.
    scaled = torch.tensor([[2 / (width - 1), 0, -1], [0, 2 / (height - 1), -1], [0, 0, 1]])
    source = (scaled.double() @ torch.linalg.inv(matrices.double())).float().to(pictures.device)
    v, u = torch.meshgrid(
        torch.arange(height, dtype=torch.float32, device=pictures.device),
        torch.arange(width, dtype=torch.float32, device=pictures.device),
        indexing="ij",
    )
    pixels = torch.stack([u, v, torch.ones_like(u)], -1).view(-1, 3)
    places = pixels @ source.mT
    grid = places[..., :2] / places[..., 2:].clamp(min=_NEAREST_DEPTH)
    return functional.grid_sample(
        pictures,
        grid.view(-1, height, width, 2).to(pictures.dtype),
        mode=interpolation,
        padding_mode=border,
        align_corners=True,
    )
