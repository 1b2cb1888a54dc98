"""The model: one backbone under any action head."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from policies.heads.head import Head
from policies.vla.backbone import Backbone, Prefix
from policies.vla.config import VLAConfig
from policies.vla.inputs import Inputs


@dataclass(frozen=True)
class Batch:
    """Training samples.

    Attributes:
        inputs: The observations.
        actions: The recorded chunks, normalised, (batch, horizon, action_size).
        valid: False for actions after the end of an episode, (batch, horizon).
        read: The backbone's `read` of the observations, if already known.
    """

    inputs: Inputs
    actions: Tensor
    valid: Tensor
    read: Prefix | None = None


class VLA(nn.Module):
    """A vision-language-action model.

    Attributes:
        config: Of the backbone.
        head: The action head.
        prefixes: How many prefixes `act` has computed so far.
    """

    def __init__(self, config: VLAConfig, head: Head) -> None:
        """Create the weights of the backbone.

        Raises:
            ValueError: The head needs another width, or another value of `adaptive`.
        """
        super().__init__()
        if (head.width, head.adaptive) != (config.width, config.adaptive):
            raise ValueError(
                f"a head for width {head.width}, adaptive {head.adaptive}, on a network of width "
                f"{config.width}, adaptive {config.adaptive}"
            )
        self.config = config
        # Weights in checkpoints are called "trunk.*"; another name would change their hashes.
        self.trunk = Backbone(config)
        self.head = head
        self.prefixes = 0

    @property
    def backbone(self) -> Backbone:
        """All of the network below the head."""
        return self.trunk

    @property
    def evaluations(self) -> int:
        """How often `act` has run a part of the network: prefixes and expert calls."""
        return self.prefixes + self.head.evaluations

    def loss(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """Return the loss of each sample, (batch,); the generator is the only randomness."""
        expert = self.backbone.expert(self.backbone.prefix(batch.inputs, batch.read))
        return self.head.loss(expert, batch.actions, batch.valid, generator)

    @torch.inference_mode()
    def act(self, inputs: Inputs, streams: Sequence[np.random.Generator]) -> Tensor:
        """Return a normalised chunk for each observation, (batch, horizon, action_size)."""
        self.prefixes += 1
        return self.head.sample(self.backbone.expert(self.backbone.prefix(inputs)), streams)
