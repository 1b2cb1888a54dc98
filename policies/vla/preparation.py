"""Turns observations into the network's inputs; training and evaluation share it."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.demonstrations.resize import resized
from policies.vla.config import VLAConfig
from policies.vla.inputs import Inputs
from policies.vla.normalize import Normalization
from policies.vla.prompts import PromptTokenizer

_Images = NDArray[np.uint8] | Tensor


class Preparation:
    """Prepares a model's observations."""

    def __init__(
        self, config: VLAConfig, normalization: Normalization, tokenizer: PromptTokenizer
    ) -> None:
        """Use a model's configuration."""
        self._config, self._normalization, self._tokenizer = config, normalization, tokenizer

    def inputs(
        self,
        images: Mapping[str, _Images],
        state: NDArray[np.float32],
        instructions: Sequence[str],
        viewpoint: Mapping[str, NDArray[np.float32]] | None = None,
    ) -> Inputs:
        """Return the inputs for a batch of observations.

        Args:
            images: Bytes of each camera, by role, (batch, height, width, 3). The network masks
                cameras that are missing. Tensors on a GPU stay there.
            state: The state vectors, (batch, size).
            instructions: One for each observation.
            viewpoint: How far each camera was moved, (batch, 3), if known.
        """
        config, batch = self._config, len(state)
        blank = np.zeros((batch, config.images.pixels, config.images.pixels, 3), np.uint8)
        normalized = self._normalization.states(state)
        tokens, token_mask = self._tokenizer.encode(instructions, normalized)
        padded = np.zeros((batch, config.state_size), np.float32)
        padded[:, : normalized.shape[1]] = normalized
        return Inputs(
            images={
                role: to_network(images.get(role, blank), config.images.pixels)
                for role in config.cameras
            },
            present={role: torch.full((batch,), role in images) for role in config.cameras},
            tokens=tokens,
            token_mask=token_mask,
            state=torch.from_numpy(padded),
            viewpoint={role: torch.from_numpy(moved) for role, moved in (viewpoint or {}).items()},
        )


def to_network(images: _Images, pixels: int) -> Tensor:
    """Resize images to squares and scale them to [-1, 1], (batch, 3, pixels, pixels)."""
    return resized(images, pixels).float().div_(127.5).sub_(1)
