"""The options of every head, without PyTorch: a plan is checked before anything is loaded."""

import math
from dataclasses import dataclass
from typing import Literal

from harness.contracts.errors import UsageError

MOST_STEPS = 10_000
"""Largest number of network evaluations in a loop of a head."""
MOST_TOKENS = 2**20
"""Largest vocabulary of a head; more is a mistake, and would take all memory."""


def require_within(name: str, value: float, low: float, high: float = float("inf")) -> None:
    """Check the range of an option.

    Raises:
        UsageError: The value is out of range.
    """
    if not (low <= value <= high and math.isfinite(value)):
        limits = f"at least {low}" if high == float("inf") else f"from {low} to {high}"
        raise UsageError(f"{name} must be {limits}, not {value}")


@dataclass(frozen=True, kw_only=True)
class HeadConfig:
    """The options that every head has.

    Attributes:
        horizon: Actions in a chunk.
        action_size: Numbers in an action.
    """

    horizon: int
    action_size: int

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            UsageError: A value is out of its range.
        """
        require_within("horizon", self.horizon, 1, 10_000)
        require_within("action_size", self.action_size, 1, 10_000)

    @property
    def length(self) -> int:
        """Numbers in a chunk."""
        return self.horizon * self.action_size


@dataclass(frozen=True, kw_only=True)
class DenoisingConfig(HeadConfig):
    """The options of a head that denoises in steps.

    Attributes:
        steps: Denoising steps for a chunk.
        adaptive: Whether time scales every layer (pi0.5) or is mixed into the tokens (pi0).
    """

    steps: int = 10
    adaptive: bool = False

    def __post_init__(self) -> None:
        """Check the ranges."""
        super().__post_init__()
        require_within("steps", self.steps, 1, MOST_STEPS)


@dataclass(frozen=True, kw_only=True)
class BinsConfig(HeadConfig):
    """The options of the head of uniform bins.

    Attributes:
        bins: Number of equal bins of [-1, 1].
        temperature: Of sampling; 0 is argmax, which always picks the same mode.
    """

    bins: int = 256
    temperature: float = 0.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        super().__post_init__()
        require_within("bins", self.bins, 2, MOST_TOKENS)
        require_within("temperature", self.temperature, 0)


@dataclass(frozen=True, kw_only=True)
class DiffusionConfig(DenoisingConfig):
    """The options of the diffusion head.

    Attributes:
        levels: Noise levels in training.
        predicts: The network's target.
        bound: Every estimate of the chunk is clamped to +-bound. At the noisiest level, a small
            error of the predicted noise is a large error of the chunk.
    """

    levels: int = 100
    predicts: Literal["noise", "chunk"] = "noise"
    bound: float = 1.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        super().__post_init__()
        require_within("levels", self.levels, 1, 100_000)
        require_within("steps", self.steps, 1, self.levels)
        require_within("bound", self.bound, 1e-3)


@dataclass(frozen=True, kw_only=True)
class E0Config(DenoisingConfig):
    """The options of the E0 head.

    Attributes:
        bins: Number of equal bins of [-1, 1] (the paper: 2048).
        smoothing: The factor alpha of the one-hot vectors (the paper: 0.1).
        time_shape: Training draws times from Beta(time_shape, 1); the paper also gives 1, uniform.
        decode: How tokens are chosen before the last step (the paper: argmax).
        renoise: How noise is added again.
        edge: The value of a token: its bin's centre, or its lower edge as in the released code,
            which is half a bin too low on average.
    """

    bins: int = 256
    smoothing: float = 3.0
    time_shape: float = 1.5
    decode: Literal["sample", "argmax"] = "sample"
    renoise: Literal["interpolated", "fixed"] = "interpolated"
    edge: Literal["centre", "lower"] = "centre"

    def __post_init__(self) -> None:
        """Check the ranges."""
        super().__post_init__()
        require_within("bins", self.bins, 2, MOST_TOKENS)
        require_within("smoothing", self.smoothing, 1e-3)
        require_within("time_shape", self.time_shape, 0.1)


@dataclass(frozen=True, kw_only=True)
class E0HybridConfig(DenoisingConfig):
    """The options of the hybrid head; the defaults are the released code's.

    Attributes:
        adaptive: True as in pi0.5, from whose weights the released model starts.
        bins: Number of equal bins of [-1, 1].
        smoothing: The factor of the one-hot vectors in use; training has none.
        decay_noise: Whether the noise that is added again fades.
        time_shape: Training draws times from Beta(time_shape, 1).
    """

    adaptive: bool = True
    bins: int = 2048
    smoothing: float = 0.1
    decay_noise: bool = False
    time_shape: float = 1.5

    def __post_init__(self) -> None:
        """Check the ranges."""
        super().__post_init__()
        require_within("bins", self.bins, 2, MOST_TOKENS)
        require_within("smoothing", self.smoothing, 1e-3)
        require_within("time_shape", self.time_shape, 0.1)


@dataclass(frozen=True, kw_only=True)
class FastConfig(HeadConfig):
    """The options of the FAST head.

    Attributes:
        vocabulary: Largest number of tokens, without END.
        scale: Factor of the coefficients before they are rounded.
        temperature: Of sampling; 0 is argmax.
        leading: Embedded tokens before the first one; pi0-FAST's spell "Action: ".
        mend: Whether to pad or cut tokens that do not decode to a chunk, as LeRobot does, instead
            of returning a chunk of zeros.
        fitting: Whether to generate only tokens that fit into the rest of the chunk, and END only
            when it is full, so that every sequence decodes to a chunk.
    """

    vocabulary: int = 1024
    scale: float = 10.0
    temperature: float = 0.0
    leading: int = 1
    mend: bool = False
    fitting: bool = False

    def __post_init__(self) -> None:
        """Check the ranges."""
        super().__post_init__()
        require_within("vocabulary", self.vocabulary, 2, MOST_TOKENS)
        require_within("scale", self.scale, 1e-3)
        require_within("temperature", self.temperature, 0)
        require_within("leading", self.leading, 1, 10_000)


@dataclass(frozen=True, kw_only=True)
class FlowConfig(DenoisingConfig):
    """The options of the flow head.

    Attributes:
        time_shape: Training draws times from Beta(time_shape, 1); 1 is uniform.
    """

    time_shape: float = 1.5

    def __post_init__(self) -> None:
        """Check the ranges."""
        super().__post_init__()
        require_within("time_shape", self.time_shape, 0.1)


@dataclass(frozen=True, kw_only=True)
class MaskedConfig(HeadConfig):
    """The options of the masked head.

    Attributes:
        bins: Number of equal bins of [-1, 1].
        steps: Rounds of unmasking.
        temperature: Weight of the Gumbel noise in the order of unmasking.
        remask: Tokens below this probability are masked again. It rises from 0 to this value.
    """

    bins: int = 256
    steps: int = 12
    temperature: float = 1.0
    remask: float = 0.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        super().__post_init__()
        require_within("bins", self.bins, 2, MOST_TOKENS)
        require_within("steps", self.steps, 1, MOST_STEPS)
        require_within("temperature", self.temperature, 0)
        require_within("remask", self.remask, 0, 1)


@dataclass(frozen=True, kw_only=True)
class RegressionConfig(HeadConfig):
    """The options of the regression head.

    Attributes:
        distance: The loss.
    """

    distance: Literal["l1", "smooth_l1", "mse"] = "l1"
