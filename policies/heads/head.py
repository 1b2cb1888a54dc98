"""The base classes of action heads, and of the action expert that a head calls."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from policies.heads.configs import HeadConfig


class Expert(ABC):
    """The action expert, bound to a batch of observations whose prefix is already computed.

    A call runs the expert's layers over action tokens and counts as one evaluation of the network.
    The tokens attend to the prefix and to each other. The expert adds positions; heads do not.

    Attributes:
        batch: Number of observations.
        device: Where its tensors are.
        finite: Of which observations all outputs that `watch` has seen are finite, (batch,).
    """

    def __init__(self, batch: int, device: torch.device) -> None:
        """Set the size and the device of the batch."""
        self.batch, self.device = batch, device
        self.finite = torch.ones(batch, dtype=torch.bool, device=device)

    def __call__(
        self,
        tokens: Tensor,
        *,
        condition: Tensor | None = None,
        causal: bool = False,
        memory: Any = None,
    ) -> Tensor:
        """Return the expert's output for each action token, (batch, N, width).

        Args:
            tokens: Embedded action tokens, (batch, N, width).
            condition: Scales, shifts and gates every layer (adaRMS), (batch, width). Only adaptive
                heads pass one.
            causal: Whether a token attends only to itself and to earlier tokens, or to all.
            memory: Earlier action tokens, from `memory()`. The new tokens attend to all of them,
                causal or not, and are added to it. Gradients flow through it.
        """
        return self.run(tokens, condition, causal, memory)

    def watch(self, outputs: Tensor) -> Tensor:
        """Return a head's outputs, (batch, ...), and note which observations have finite ones.

        A head must do so before it turns outputs into tokens or clamps them: every token is a
        finite action, also the one that argmax finds among NaN.
        """
        # One pass: a number that is not finite makes the sum so.
        self.finite = self.finite & outputs.flatten(1).sum(1).isfinite()
        return outputs

    @abstractmethod
    def run(self, tokens: Tensor, condition: Tensor | None, causal: bool, memory: Any) -> Tensor:
        """Do what `__call__` documents."""

    @abstractmethod
    def memory(self) -> Any:
        """Return an empty memory; its type is the expert's own."""


class Head(nn.Module, ABC):
    """Computes the loss in training and samples action chunks in use.

    Actions are normalised, most of them to [-1, 1]. A head owns only two layers of weights: one
    embeds action tokens to `width`, one reads the expert's output.

    Attributes:
        whole_chunks_only: Whether the head cannot learn from chunks that a perturbation cuts short.
        evaluations: How often `sample` has called the expert so far.
    """

    whole_chunks_only: ClassVar[bool] = False

    def __init__(self, config: HeadConfig, width: int) -> None:
        """Create the weights for an expert of this token width."""
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
        """Return the loss of each sample, (batch,).

        Args:
            expert: Bound to the samples' observations.
            actions: The recorded chunks, (batch, horizon, action_size).
            valid: False for actions after the end of an episode, (batch, horizon). These actions
                must not change the loss, whatever their values are.
            generator: The only source of randomness.
        """

    @torch.no_grad()
    def sample(self, expert: Expert, streams: Sequence[np.random.Generator]) -> Tensor:
        """Return a chunk for each observation, (batch, horizon, action_size).

        Each row draws from its own stream only, so other rows of the batch cannot change it. A row
        with an output that is not finite is all NaN, which ends its episode as a failure.
        """
        chunks = self.sample_chunks(expert, streams)
        return chunks.masked_fill(~expert.finite[:, None, None], math.nan)

    @abstractmethod
    def sample_chunks(self, expert: Expert, streams: Sequence[np.random.Generator]) -> Tensor:
        """Do what `sample` documents, with `expert.watch` on outputs that become tokens."""

    def fit(self, chunks: NDArray[np.float32]) -> None:
        """Fit data-dependent parts to all training chunks, (N, horizon, action_size).

        Training calls this once, before the first step. Only FAST needs it, for its tokenizer.
        """

    def fitted(self) -> dict[str, str]:
        """Return the fitted parts as text, by the name of their file in a checkpoint."""
        return {}

    def restore(self, fitted: dict[str, str]) -> None:
        """Load what `fitted` returned."""


def draw_normals(streams: Sequence[np.random.Generator], shape: tuple[int, ...]) -> Tensor:
    """Return standard normal numbers, (batch, *shape), each row from its own stream."""
    drawn = [stream.standard_normal(shape, dtype=np.float32) for stream in streams]
    return torch.from_numpy(np.stack(drawn))


def draw_uniforms(streams: Sequence[np.random.Generator], shape: tuple[int, ...]) -> Tensor:
    """Return uniform numbers in [0, 1), (batch, *shape), each row from its own stream."""
    drawn = [stream.random(shape, dtype=np.float32) for stream in streams]
    return torch.from_numpy(np.stack(drawn))


def hold_last(actions: Tensor, valid: Tensor) -> Tensor:
    """Return the chunks with every invalid action replaced by the last valid one.

    Action tokens attend to each other, so invalid actions would reach the valid ones. Repeating
    the last valid action makes them independent of what was stored there.
    """
    places = torch.arange(actions.shape[1], device=actions.device)
    last = torch.where(valid, places, 0).amax(1, keepdim=True)
    held = torch.minimum(places, last)[..., None].expand_as(actions)
    return actions.gather(1, held)


def mean_over_valid(losses: Tensor, valid: Tensor) -> Tensor:
    """Return each sample's mean over valid actions: (batch, horizon, ...) to (batch,)."""
    by_action = losses.flatten(2).mean(2) if losses.ndim > 2 else losses
    weights = valid.to(by_action.dtype)
    return (by_action * weights).sum(1) / weights.sum(1).clamp(min=1)
