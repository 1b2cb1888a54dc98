"""What an action head is, and what it may ask of the network that it sits on."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn


class Memory(Protocol):
    """Keys and values of the action tokens that came before, for heads that write one by one."""


class Expert(Protocol):
    """The action expert, bound to a batch of observations whose prefix has been computed.

    Calling it runs the expert's layers over action tokens, which attend to the prefix and to each
    other, and is one evaluation of the network. The prefix is computed once a chunk, however often
    the expert is called.

    Attributes:
        batch: How many observations there are.
        device: Where its tensors are.
    """

    batch: int
    device: torch.device

    def __call__(
        self,
        tokens: Tensor,
        *,
        condition: Tensor | None = None,
        causal: bool = False,
        memory: Memory | None = None,
    ) -> Tensor:
        """Return what becomes of action tokens.

        Args:
            tokens: Embedded action tokens, (batch, N, width).
            condition: What scales, shifts and gates every layer (adaRMS), (batch, width); only
                where the head says that it is `adaptive`.
            causal: Whether a token sees only itself and those before it, or all.
            memory: With `causal`, the tokens before these; these are added to it.
        """
        ...

    def memory(self) -> Memory:
        """Return an empty memory."""
        ...


@dataclass(frozen=True, kw_only=True)
class HeadConfig:
    """What every head is told; each adds fields of its own.

    Attributes:
        horizon: How many actions a chunk has.
        action_size: How many numbers an action has.
    """

    horizon: int
    action_size: int


class Head(nn.Module, ABC):
    """Turns action tokens into a loss in training, and into actions in use.

    Actions are normalised, most of them to [-1, 1]. A head holds only the weights of its own ends:
    what embeds action tokens to `width`, and what reads the expert's output.

    Attributes:
        evaluations: How often the expert has run in `sample` so far.
    """

    adaptive: ClassVar[bool] = False
    """Whether the expert's layers take a condition (adaRMS)."""

    def __init__(self, config: HeadConfig, width: int) -> None:
        """Make the weights for an expert of this width."""
        super().__init__()
        self.config, self.width = config, width
        self.evaluations = 0

    @abstractmethod
    def loss(
        self, expert: Expert, actions: Tensor, valid: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Return each sample's loss, (batch,).

        Args:
            expert: Bound to the samples' observations.
            actions: What was done, (batch, horizon, action_size).
            valid: Which of it counts, (batch, horizon): not what lies behind an episode's end.
            generator: Where all randomness comes from.
        """

    @abstractmethod
    def sample(self, expert: Expert, streams: Sequence[np.random.Generator]) -> Tensor:
        """Return a chunk for each observation, (batch, horizon, action_size).

        Each draws from its own stream alone, so that no other changes what it gets.
        """

    def fit(self, chunks: NDArray[np.float32]) -> None:
        """Learn from all chunks of the data, (N, horizon, action_size), before training starts.

        Most heads have nothing to learn so; FAST learns its tokens.
        """

    def fitted(self) -> dict[str, str]:
        """Return what `fit` learned, as text to keep in a checkpoint by its name."""
        return {}

    def restore(self, fitted: dict[str, str]) -> None:
        """Take up what another's `fitted` gave."""


def normal(streams: Sequence[np.random.Generator], shape: tuple[int, ...]) -> Tensor:
    """Return standard normal numbers, (batch, *shape), each row from its own stream."""
    drawn = [stream.standard_normal(shape, dtype=np.float32) for stream in streams]
    return torch.from_numpy(np.stack(drawn))


def mean_over_valid(losses: Tensor, valid: Tensor) -> Tensor:
    """Return each sample's mean over the actions that count: (batch, horizon, ...) to (batch,)."""
    by_action = losses.flatten(2).mean(2) if losses.ndim > 2 else losses
    weights = valid.to(by_action.dtype)
    return (by_action * weights).sum(1) / weights.sum(1).clamp(min=1)
