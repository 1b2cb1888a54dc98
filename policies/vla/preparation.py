"""Turns observations into the network's inputs, in training and in use alike."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from policies.vla.config import VLAConfig
from policies.vla.inputs import Inputs
from policies.vla.normalize import Normalization
from policies.vla.text import Text

Pictures = NDArray[np.uint8] | Tensor
"""Bytes, (batch, height, width, 3); what is made of a tensor on a GPU stays there."""


class Preparation:
    """What a model does to observations before the network sees them."""

    def __init__(self, config: VLAConfig, normalization: Normalization, text: Text) -> None:
        """Use a model's settings."""
        self._config, self._normalization, self._text = config, normalization, text

    def inputs(
        self,
        images: Mapping[str, Pictures],
        state: NDArray[np.float32],
        instructions: Sequence[str],
        viewpoint: Mapping[str, NDArray[np.float32]] | None = None,
    ) -> Inputs:
        """Return the inputs for a batch of observations.

        Args:
            images: What each camera sees, (batch, height, width, 3); a camera may be missing.
            state: (batch, size).
            instructions: What the robot is told, one each.
            viewpoint: How far each camera was moved, (batch, 3), where that is known.
        """
        config, batch = self._config, len(state)
        blank = np.zeros((batch, config.images.pixels, config.images.pixels, 3), np.uint8)
        normalised = self._normalization.states(state)
        tokens, token_mask = self._text.encode(instructions, normalised)
        filled = np.zeros((batch, config.state_size), np.float32)
        filled[:, : normalised.shape[1]] = normalised
        return Inputs(
            images={
                role: pictures(images.get(role, blank), config.images.pixels)
                for role in config.cameras
            },
            present={role: torch.full((batch,), role in images) for role in config.cameras},
            tokens=tokens,
            token_mask=token_mask,
            state=torch.from_numpy(filled),
            viewpoint={role: torch.from_numpy(moved) for role, moved in (viewpoint or {}).items()},
        )


def pictures(images: Pictures, pixels: int) -> Tensor:
    """Return pictures as the network wants them: square, (batch, 3, pixels, pixels) in [-1, 1].

    The longer side becomes `pixels`, the rest is black, as in openpi. The resize is bilinear with
    antialiasing on bytes, like Pillow's: whole numbers, so that the same picture is the same bits
    whoever computes it.
    """
    height, width = images.shape[1:3]
    if not isinstance(images, Tensor):
        images = torch.from_numpy(np.ascontiguousarray(images))
    tensor = images.permute(0, 3, 1, 2)
    if (height, width) != (pixels, pixels):
        scale = pixels / max(height, width)
        size = (round(height * scale), round(width * scale))
        tensor = functional.interpolate(tensor, size, mode="bilinear", antialias=True)
        above, left = (pixels - size[0]) // 2, (pixels - size[1]) // 2
        below, right = pixels - size[0] - above, pixels - size[1] - left
        tensor = functional.pad(tensor, (left, right, above, below))
    return tensor.float().div_(127.5).sub_(1)


def as_bytes(images: Pictures, pixels: int) -> NDArray[np.uint8]:
    """Return what the network would get, as the bytes that it is computed from."""
    scaled = (pictures(images, pixels) + 1) * 127.5
    rows: NDArray[np.uint8] = scaled.round().byte().permute(0, 2, 3, 1).numpy()
    return rows
