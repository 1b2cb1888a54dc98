"""The policy contract: observations in, chunks of actions out, one random stream for each."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.contracts.environment import Action, BenchmarkEnv, Observation, StepOutcome
from harness.contracts.errors import PolicyError, require_known
from harness.contracts.spec import EpisodeSpec
from harness.contracts.vectors import Layout, require_same

ActionChunk = NDArray[np.float32]
"""Actions to execute in order, of shape (length, action size)."""


@dataclass(frozen=True)
class PolicySpec:
    """What a policy needs from an environment.

    Attributes:
        name: The policy's identity, as it stands in specs and tables.
        cameras: The camera roles it needs. With none, no image is ever rendered.
        state_layout: The meaning it expects of the state's numbers; None if it ignores them.
        action_layout: The meaning of its actions; None for the environment's.
        image_size: Height and width of the images a robot must send; None for any.
        chunk_length: Actions in a chunk; None if the length varies.
    """

    name: str
    cameras: tuple[str, ...] = ()
    state_layout: Layout | None = None
    action_layout: Layout | None = None
    image_size: tuple[int, int] | None = None
    chunk_length: int | None = None


class Policy(ABC):
    """Maps observations to chunks of actions.

    The observations of a batch belong to different episodes. A policy keeps nothing between
    calls, and draws only from the episode's own stream. So neither the batch nor the replica can
    change an action.
    """

    spec: PolicySpec

    needs_env: bool = False
    """Whether the policy needs the environment itself, as scripted experts do.

    Such a policy runs in the environment's process. It cannot be served or ablated.
    """

    batches: bool = False
    """Whether the policy returns the same bits in any batch. If not, it gets one observation."""

    evaluations: int = 0
    """Forward passes of the network so far; a batch counts as one."""

    @abstractmethod
    def infer(
        self, observations: Sequence[Observation], streams: Sequence[np.random.Generator]
    ) -> Sequence[ActionChunk]:
        """Return one chunk for each observation."""

    def load(self) -> None:  # noqa: B027 - most have nothing to load
        """Load weights, in the process that infers; the constructor must stay cheap."""

    def missing(self, specs: Iterable[EpisodeSpec]) -> str | None:
        """Return why the policy cannot play these episodes, or None."""
        del specs
        return None

    def begin(self, env: BenchmarkEnv, spec: EpisodeSpec) -> None:  # noqa: B027
        """Start an episode; called only if `needs_env`."""

    def end(self, outcome: StepOutcome) -> None:  # noqa: B027
        """End an episode, before its record is kept; called only if `needs_env`."""


def check_compatible(policy: PolicySpec, env: BenchmarkEnv) -> None:
    """Refuse a policy that would misread the environment.

    Raises:
        UsageError: The environment lacks a camera, or the meaning of a vector differs.
    """
    for camera in policy.cameras:
        require_known(f"camera of {policy.name}", camera, env.cameras)
    require_same("state", policy.state_layout, env.state_layout, policy.name)
    require_same("action", policy.action_layout, env.action_layout, policy.name)


def require_one_each(chunks: Sequence[Any], observations: int) -> None:
    """Require one chunk for each observation.

    Raises:
        PolicyError: There are too many or too few.
    """
    if len(chunks) != observations:
        raise PolicyError(f"policy_shape: chunks expected: {observations}, got: {len(chunks)}")


def checked_chunk(chunk: Any, action_size: int) -> Sequence[Action]:
    """Return the policy's chunk as float32 actions.

    Raises:
        PolicyError: The chunk has the wrong type, shape or dtype, or is not finite.
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
