"""What an action head is, and what it may ask of the network that it sits on."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from harness.contracts.errors import UsageError


class Memory(Protocol):
    """Keys and values of the action tokens that came before, for heads that write one by one."""


class Expert(Protocol):
    """The action expert, bound to a batch of observations whose prefix has been computed.

    Calling it runs the expert's layers over action tokens, which attend to the prefix and to each
    other, and is one evaluation of the network. The expert tells tokens apart by their place, so a
    head adds no positions. The prefix is computed once a chunk, however often the expert is called.

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
            memory: The tokens before these, all of which these see, whether `causal` or not; these
                are added to it. Gradients flow through it.
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

    def __post_init__(self) -> None:
        """Refuse what makes no sense.

        Raises:
            UsageError: A value is out of its range.
        """
        require_within("horizon", self.horizon, 1)
        require_within("action_size", self.action_size, 1)

    @property
    def length(self) -> int:
        """How many numbers a chunk has."""
        return self.horizon * self.action_size


class Head(nn.Module, ABC):
    """Turns action tokens into a loss in training, and into actions in use.

    Actions are normalised, most of them to [-1, 1]. A head holds only the weights of its own ends:
    what embeds action tokens to `width`, and what reads the expert's output.

    Attributes:
        whole: Whether it learns from whole chunks only, not from those that a push cuts short.
        evaluations: How often the expert has run in `sample` so far.
    """

    whole: ClassVar[bool] = False

    def __init__(self, config: HeadConfig, width: int) -> None:
        """Make the weights for an expert of this width."""
        super().__init__()
        self.config, self.width = config, width
        self.evaluations = 0

    @property
    def adaptive(self) -> bool:
        """Whether the expert's layers take a condition (adaRMS)."""
        return False

    @abstractmethod
    def loss(
        self, expert: Expert, actions: Tensor, valid: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Return each sample's loss, (batch,).

        Args:
            expert: Bound to the samples' observations.
            actions: What was done, (batch, horizon, action_size).
            valid: Which of it counts, (batch, horizon): not what lies behind an episode's end. What
                does not count changes nothing, whatever it is.
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


def require_within(name: str, value: float, low: float, high: float = float("inf")) -> None:
    """Refuse an option that is out of its range.

    Raises:
        UsageError: It is.
    """
    if not low <= value <= high:
        limits = f"at least {low}" if high == float("inf") else f"from {low} to {high}"
        raise UsageError(f"{name} must be {limits}, not {value}")


def normal(streams: Sequence[np.random.Generator], shape: tuple[int, ...]) -> Tensor:
    """Return standard normal numbers, (batch, *shape), each row from its own stream."""
    drawn = [stream.standard_normal(shape, dtype=np.float32) for stream in streams]
    return torch.from_numpy(np.stack(drawn))


def uniform(streams: Sequence[np.random.Generator], shape: tuple[int, ...]) -> Tensor:
    """Return numbers from [0, 1), (batch, *shape), each row from its own stream."""
    drawn = [stream.random(shape, dtype=np.float32) for stream in streams]
    return torch.from_numpy(np.stack(drawn))


def hold_last(actions: Tensor, valid: Tensor) -> Tensor:
    """Return the chunks with the last action that counts in place of all behind it.

    An expert whose action tokens see each other sees also those that do not count. This way they
    are what the chunk before them says, and not what happened to lie in memory.
    """
    places = torch.arange(actions.shape[1], device=actions.device)
    last = torch.where(valid, places, 0).amax(1, keepdim=True)
    held = torch.minimum(places, last)[..., None].expand_as(actions)
    return actions.gather(1, held)


def mean_over_valid(losses: Tensor, valid: Tensor) -> Tensor:
    """Return each sample's mean over the actions that count: (batch, horizon, ...) to (batch,)."""
    by_action = losses.flatten(2).mean(2) if losses.ndim > 2 else losses
    weights = valid.to(by_action.dtype)
    return (by_action * weights).sum(1) / weights.sum(1).clamp(min=1)
