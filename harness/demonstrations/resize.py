"""Resizes images as the policies do, so that training sees the same bits either way."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional


def resized(images: NDArray[np.uint8] | Tensor, pixels: int) -> Tensor:
    """Resize images (batch, height, width, 3) to square bytes, (batch, 3, pixels, pixels).

    The longer side becomes `pixels` and the rest is black, as in openpi. The resize is bilinear
    with antialiasing and computes on bytes, so that every machine gives the same bits.
    """
    height, width = images.shape[1:3]
    if not isinstance(images, Tensor):
        images = torch.from_numpy(np.ascontiguousarray(images))
    tensor = images.permute(0, 3, 1, 2)
    if (height, width) == (pixels, pixels):
        return tensor
    scale = pixels / max(height, width)
    # Even a picture of extreme shape keeps a row and a column.
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    tensor = functional.interpolate(tensor, size, mode="bilinear", antialias=True)
    above, left = (pixels - size[0]) // 2, (pixels - size[1]) // 2
    below, right = pixels - size[0] - above, pixels - size[1] - left
    return functional.pad(tensor, (left, right, above, below))


def resize_images(images: NDArray[np.uint8], pixels: int) -> NDArray[np.uint8]:
    """Resize images (batch, height, width, 3) to (batch, pixels, pixels, 3)."""
    rows: NDArray[np.uint8] = resized(images, pixels).permute(0, 2, 3, 1).numpy()
    return rows
