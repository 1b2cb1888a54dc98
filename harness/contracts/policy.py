"""The policy contract: observations in, chunks of actions out, one random stream for each."""

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from harness.contracts.environment import (
    Action,
    BenchmarkEnv,
    EnvSpec,
    Observation,
    StepOutcome,
)
from harness.contracts.errors import (
    MemoryLost,
    PolicyCrashed,
    PolicyError,
    UsageError,
    require_known,
)
from harness.contracts.spec import EpisodeSpec
from harness.contracts.vectors import Layout, require_same
from harness.contracts.venv import VirtualEnv

_NOT_CRASHES = (PolicyError, PolicyCrashed, MemoryLost, UsageError, ModuleNotFoundError)
"""Exceptions that say themselves what is wrong."""

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


@dataclass(frozen=True)
class Query:
    """One question to a policy: what to do next in an episode.

    Attributes:
        observation: What the policy sees. Its arrays are read-only; copy what you change.
        stream: The episode's random stream for this call.
        memory: What the policy keeps during the episode. It is empty at the first call, belongs
            to this episode alone, and is dropped at the episode's end.
        step: The number of actions executed so far; None if the caller does not know it.
    """

    observation: Observation
    stream: np.random.Generator
    memory: dict[Any, Any] = field(default_factory=dict)
    step: int | None = None


class Policy(ABC):
    """Maps observations to chunks of actions.

    The queries of a batch belong to different episodes. A policy keeps nothing between calls,
    except in a query's memory, and draws only from the query's stream. So neither the batch nor
    the replica can change an action.
    """

    spec: PolicySpec

    needs_env: bool = False
    """Whether the policy needs the environment itself, as scripted experts do.

    Such a policy runs in the environment's process. It cannot be served or ablated.
    """

    batching: Literal["none", "fast", "exact"] = "none"
    """Which batches the policy can take.

    With `exact` it returns the same bits in any batch. With `fast` an action may depend on the
    batch: its last bits, or a token at the border of two. With `none` it gets one query at a time.
    """

    remembers: bool = False
    """Whether the policy uses the memory of its queries.

    If its process dies, the memory is lost and the episode starts again.
    """

    own_replan: int | None = None
    """The actions that the policy executes before it infers again, if it decides that itself."""

    errors_may_pass: bool = False
    """Whether an exception in `infer` may not occur again when the episode is repeated.

    It then comes from a simulator or a network, not from the policy's own code.
    """

    files: Mapping[str, str] = {}
    """The SHA-256 of the files that decide the actions, such as weights, by path."""

    code: Sequence[Path] = ()
    """The source files that a run copies into its folder."""

    venv: VirtualEnv | None = None
    """The virtual environment that `env build` makes for the policy; the policy starts it."""

    evaluations: int = 0
    """Forward passes of the network so far; a batch counts as one."""

    inexact: int = 0
    """Answers so far that a batch may have changed in the last bits."""

    @abstractmethod
    def infer(self, queries: Sequence[Query]) -> Sequence[ActionChunk]:
        """Return one chunk for each query."""

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


def load(policy: Policy) -> None:
    """Load a policy.

    Raises:
        PolicyCrashed: The policy's code raised an exception.
    """
    try:
        policy.load()
    except _NOT_CRASHES:
        raise
    except (Exception, SystemExit) as error:
        raise PolicyCrashed.of(error) from error


def ask(policy: Policy, queries: Sequence[Query]) -> Sequence[Any]:
    """Return the policy's chunks, one for each query, unchecked.

    Raises:
        PolicyError: There are too many or too few chunks.
        PolicyCrashed: The policy's code raised an exception.
    """
    process = os.getpid()
    try:
        chunks = policy.infer([_read_only(query) for query in queries])
    except _NOT_CRASHES:
        raise
    except (Exception, SystemExit) as error:
        if policy.errors_may_pass:
            raise
        raise PolicyCrashed.of(error) from error
    finally:
        if os.getpid() != process:
            os._exit(1)  # The policy forked; the child must not play on beside its parent.
    require_one_each(chunks, len(queries))
    return chunks


def _read_only(query: Query) -> Query:
    """Return a query whose arrays cannot be changed, as they cannot be on Ray either."""
    seen = query.observation
    images = {role: _view(image) for role, image in seen["image"].items()}
    observation: Observation = {**seen, "image": images, "state": _view(seen["state"])}
    return Query(observation, query.stream, query.memory, query.step)


def _view(array: Any) -> Any:
    if not isinstance(array, np.ndarray):
        return array
    view = array.view()
    view.setflags(write=False)
    return view


def check_compatible(policy: PolicySpec, env: BenchmarkEnv | EnvSpec) -> None:
    """Refuse a policy that would misread the environment.

    Raises:
        UsageError: The environment lacks a camera, or the meaning of a vector differs.
    """
    for camera in policy.cameras:
        require_known(f"camera of {policy.name}", camera, env.cameras)
    require_same("state", policy.state_layout, env.state_layout, policy.name)
    require_same("action", policy.action_layout, env.action_layout, policy.name)


def require_one_each(chunks: Sequence[Any], queries: int) -> None:
    """Require one chunk for each query.

    Raises:
        PolicyError: There are too many or too few.
    """
    if len(chunks) != queries:
        raise PolicyError(f"policy_shape: chunks expected: {queries}, got: {len(chunks)}")


def as_array(chunk: Any) -> Any:
    """Return a PyTorch tensor as an array; return anything else as it is."""
    if not (hasattr(chunk, "detach") and hasattr(chunk, "cpu")):
        return chunk
    tensor = chunk.detach().cpu()
    # NumPy has no bfloat16.
    return (tensor.float() if tensor.is_floating_point() else tensor).numpy()


def checked_chunk(chunk: Any, action_size: int) -> Sequence[Action]:
    """Return the policy's chunk as float32 actions.

    Raises:
        PolicyError: The chunk has the wrong type, shape or dtype, or is not finite.
    """
    chunk = as_array(chunk)
    if not isinstance(chunk, np.ndarray):
        raise PolicyError(f"policy_type: expected an array, got {type(chunk).__name__}")
    if chunk.ndim != 2 or chunk.shape[0] == 0 or chunk.shape[1] != action_size:
        raise PolicyError(f"policy_shape: expected (length, {action_size}), got {chunk.shape}")
    if chunk.dtype not in (np.float16, np.float32, np.float64):
        raise PolicyError(f"policy_dtype: expected float32, got {chunk.dtype}")
    actions: ActionChunk = chunk.astype(np.float32)
    if not np.isfinite(actions).all():
        raise PolicyError("policy_nan: the actions are not finite")
    return list(actions)


def refuse_first_answer(
    error: PolicyError, policy: PolicySpec, env: BenchmarkEnv | EnvSpec
) -> None:
    """Refuse a policy whose first answer in an episode has another form than the environment's.

    That is a mistake in the request, not a failure of the policy.

    Raises:
        UsageError: The answer has the wrong type, shape or dtype.
    """
    kind, _, detail = error.reason.partition(": ")
    if kind not in ("policy_type", "policy_shape", "policy_dtype", "policy_reply"):
        return
    stated = f"; the policy states {policy.action_layout}" if policy.action_layout else ""
    raise UsageError(
        f"the first answer of {policy.name} is wrong: {detail}. The environment takes a float32 "
        f"array of shape (length, {env.action_layout.size}): {env.action_layout}{stated}"
    ) from error
