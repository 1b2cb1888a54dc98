"""The policy contract: observations in, chunks of actions out, one random stream each."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.contracts.environment import Action, BatchEnv, BenchmarkEnv, Observation, StepOutcome
from harness.contracts.errors import PolicyError, require_known
from harness.contracts.spec import EpisodeSpec
from harness.contracts.vectors import Layout, require_same

ActionChunk = NDArray[np.float32]
"""Actions to execute in order, of shape (length, action size)."""


@dataclass(frozen=True)
class PolicySpec:
    """What a policy needs from an environment; checked before anything starts.

    Attributes:
        name: The policy's identity, as it stands in specs and tables.
        cameras: The camera roles it looks at; none means that nothing is ever rendered.
        state_layout: What it takes the state's numbers to mean; None if it ignores them.
        action_layout: What its actions mean; None if it takes the environment's.
        image_size: Height and width of the pictures that a robot shall send; None if any will do.
        chunk_length: How many actions a chunk has; None if that varies.
    """

    name: str
    cameras: tuple[str, ...] = ()
    state_layout: Layout | None = None
    action_layout: Layout | None = None
    image_size: tuple[int, int] | None = None
    chunk_length: int | None = None


class Policy(ABC):
    """Maps observations to chunks of actions.

    The observations of a batch belong to different episodes, and a policy keeps nothing between
    calls: what it draws comes from the episode's own stream, so neither the batch nor the replica
    can change an action.
    """

    spec: PolicySpec

    batches: bool = False
    """Whether an action is the same bits in any batch; if not, an actor asks one at a time."""

    evaluations: int = 0
    """How often the network has run so far, once for a whole batch: a cost on any machine."""

    @abstractmethod
    def infer(
        self, observations: Sequence[Observation], streams: Sequence[np.random.Generator]
    ) -> Sequence[ActionChunk]:
        """Return one chunk for each observation."""

    def load(self) -> None:  # noqa: B027 - most have nothing to load
        """Get ready to infer, where inferring happens; building a policy must stay cheap."""

    def missing(self, specs: Iterable[EpisodeSpec]) -> str | None:
        """Return what stops the policy from playing these episodes, or None."""
        del specs
        return None


class LocalPolicy(Policy):
    """A policy that lives beside one environment and may reach into it: experts, controls."""

    @abstractmethod
    def begin(self, env: BenchmarkEnv, spec: EpisodeSpec) -> None:
        """Meet the environment at the start of an episode."""

    def end(self, outcome: StepOutcome) -> None:
        """Learn how the episode ended, before its record is kept."""


def check_compatible(policy: PolicySpec, env: BenchmarkEnv | BatchEnv) -> None:
    """Refuse a policy that would misread the environment.

    Raises:
        UsageError: A camera is missing, or a vector means something else on the other side.
    """
    for camera in policy.cameras:
        require_known(f"camera of {policy.name}", camera, env.cameras)
    require_same("state", policy.state_layout, env.state_layout, policy.name)
    require_same("action", policy.action_layout, env.action_layout, policy.name)


def require_one_each(chunks: Sequence[Any], observations: int) -> None:
    """Refuse an answer that is not one chunk for each observation.

    Raises:
        PolicyError: It has too many or too few.
    """
    if len(chunks) != observations:
        raise PolicyError(f"policy_shape: chunks expected: {observations}, got: {len(chunks)}")


def checked_chunk(chunk: Any, action_size: int) -> Sequence[Action]:
    """Return the policy's chunk as float32 actions.

    Raises:
        PolicyError: The chunk breaks the contract; the reason says how.
    """
    if not isinstance(chunk, np.ndarray):
        raise PolicyError(f"policy_type: expected an array, got {type(chunk).__name__}")
    if chunk.ndim != 2 or chunk.shape[0] == 0 or chunk.shape[1] != action_size:
        raise PolicyError(f"policy_shape: expected (length, {action_size}), got {chunk.shape}")
    if chunk.dtype not in (np.float32, np.float64):
        raise PolicyError(f"policy_dtype: expected float32, got {chunk.dtype}")
    actions: ActionChunk = chunk.astype(np.float32)
    if not np.isfinite(actions).all():
        raise PolicyError("policy_nan: the actions are not finite")
    return list(actions)
