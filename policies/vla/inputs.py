"""The network's inputs as tensors."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Inputs:
    """A batch of observations, prepared for the network.

    Attributes:
        images: The picture of each camera, by role, (batch, 3, height, width) in [-1, 1].
        present: Whether each camera exists, by role, (batch,); tokens of absent ones are masked.
        tokens: The instruction, and the state if it is text, (batch, length).
        token_mask: Which tokens are not padding, (batch, length).
        state: Proprioception, normalised, (batch, size).
        viewpoint: How far each camera was moved, by role, (batch, 3): distance, yaw and pitch of
            the spherical embedding. Empty if the model has none.
    """

    images: Mapping[str, Tensor]
    present: Mapping[str, Tensor]
    tokens: Tensor
    token_mask: Tensor
    state: Tensor
    viewpoint: Mapping[str, Tensor]

    def to(self, device: torch.device) -> "Inputs":
        """Return the inputs on another device."""
        return Inputs(
            images={role: each.to(device) for role, each in self.images.items()},
            present={role: each.to(device) for role, each in self.present.items()},
            tokens=self.tokens.to(device),
            token_mask=self.token_mask.to(device),
            state=self.state.to(device),
            viewpoint={role: each.to(device) for role, each in self.viewpoint.items()},
        )
