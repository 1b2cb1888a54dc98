"""The model: one network for every head."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from policies.heads.head import Head
from policies.vla.config import VLAConfig
from policies.vla.inputs import Inputs
from policies.vla.trunk import Prefix, Trunk


@dataclass(frozen=True)
class Batch:
    """Samples to learn from.

    Attributes:
        inputs: What was seen.
        actions: What was done, normalised, (batch, horizon, action_size).
        valid: Which of it counts, (batch, horizon): not what lies behind an episode's end.
        read: What the trunk made of what was seen, where that is known.
    """

    inputs: Inputs
    actions: Tensor
    valid: Tensor
    read: Prefix | None = None


class VLA(nn.Module):
    """A vision-language-action model.

    Attributes:
        config: Of all but the head.
        head: What turns the network's output into actions.
        prefixes: How often observations have been read in `act` so far.
    """

    def __init__(self, config: VLAConfig, head: Head) -> None:
        """Make the weights of the network below a head.

        Raises:
            ValueError: The head is made for another network.
        """
        super().__init__()
        if (head.width, head.adaptive) != (config.width, config.adaptive):
            raise ValueError(
                f"a head for width {head.width}, adaptive {head.adaptive}, on a network of width "
                f"{config.width}, adaptive {config.adaptive}"
            )
        self.config = config
        self.trunk = Trunk(config)
        self.head = head
        self.prefixes = 0

    @property
    def evaluations(self) -> int:
        """How often a part of the network has run in `act`: the prefix once, and the expert."""
        return self.prefixes + self.head.evaluations

    def loss(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """Return each sample's loss, (batch,), with all randomness from the generator."""
        expert = self.trunk.expert(self.trunk.prefix(batch.inputs, batch.read))
        return self.head.loss(expert, batch.actions, batch.valid, generator)

    @torch.inference_mode()
    def act(self, inputs: Inputs, streams: Sequence[np.random.Generator]) -> Tensor:
        """Return a normalised chunk for each observation, (batch, horizon, action_size)."""
        self.prefixes += 1
        return self.head.sample(self.trunk.expert(self.trunk.prefix(inputs)), streams)
