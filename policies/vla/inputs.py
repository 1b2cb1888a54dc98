"""What the model sees of an observation, as tensors."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Inputs:
    """A batch of observations, ready for the network.

    Attributes:
        images: What each camera sees, by its role, (batch, 3, height, width) in [-1, 1].
        present: Whether the camera is there, by its role, (batch,); the others' tokens are masked.
        tokens: The instruction, (batch, length); with it the state, where the state is text.
        token_mask: Which of the tokens are no padding, (batch, length).
        state: Proprioception, normalised, (batch, size).
        viewpoint: How far each camera was moved, by its role, (batch, 3): distance, yaw and pitch
            of the spherical embedding; empty where the model has none.
    """

    images: Mapping[str, Tensor]
    present: Mapping[str, Tensor]
    tokens: Tensor
    token_mask: Tensor
    state: Tensor
    viewpoint: Mapping[str, Tensor]
