"""What an episode is: the spec, its key, and the randomness that follows from it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

KEY_LENGTH = 20
"""Hexadecimal digits of a key: 80 bits, so a million episodes collide with odds below 1e-12."""


def digest(value: Mapping[str, Any]) -> str:
    """Hash a JSON-like mapping, independent of the order of its keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class EpisodeSpec:
    """Everything that decides an episode's outcome, and nothing else.

    The same spec gives the same outcome bytes, for any number of workers, any order and any
    number of retries.

    Attributes:
        policy: The policy's identity, with a digest of its weights where it has any.
        benchmark: The benchmark's name, e.g. ``libero_object``.
        task: The task's name within the benchmark.
        episode: The episode's index; it selects the initial state.
        seed: The run's seed.
        protocol: The protocol's label, ``family/card@hash``.
        ablation: What the policy is denied, e.g. ``no-image``; empty for nothing.
    """

    policy: str
    benchmark: str
    task: str
    episode: int
    seed: int
    protocol: str
    ablation: str = ""

    @cached_property
    def key(self) -> str:
        """The episode's identity in every log, file name and comparison."""
        fields = asdict(self)
        if not self.ablation:
            del fields["ablation"]
        return digest(fields)[:KEY_LENGTH]

    @cached_property
    def scene(self) -> str:
        """The identity without policy and ablation: pairs of policies are matched by it."""
        fields = asdict(self)
        del fields["policy"], fields["ablation"]
        return digest(fields)[:KEY_LENGTH]

    @property
    def player(self) -> str:
        """The policy and its ablation, as tables show them."""
        return player_name(self.policy, self.ablation)


def player_name(policy: str, ablation: str) -> str:
    """Return how tables name a policy under an ablation, e.g. ``flow@1a2b (no-image)``."""
    return f"{policy} ({ablation})" if ablation else policy


def policy_stream(spec: EpisodeSpec, chunk: int) -> np.random.Generator:
    """Return the random stream for one chunk of one episode.

    The stream is counter-based: it depends on the episode's key and the chunk's index alone, so
    there is no state to carry between calls, batches or replicas of a policy.
    """
    seed = hashlib.sha256(f"{spec.key}/{chunk}".encode()).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(seed[:16], "big")))


def stream_key(stream: np.random.Generator) -> NDArray[np.uint64]:
    """Return what `keyed_stream` makes the same stream from, on another machine.

    Raises:
        ValueError: Something was drawn from the stream already, or it is of another kind.
    """
    state = stream.bit_generator.state
    fresh = state["bit_generator"] == "Philox" and not state["state"]["counter"].any()
    if not fresh or state["has_uint32"]:
        raise ValueError("only a chunk's stream that nobody has drawn from can be sent")
    key: NDArray[np.uint64] = state["state"]["key"]
    return key


def keyed_stream(key: NDArray[np.uint64]) -> np.random.Generator:
    """Return the stream that has this key, two numbers of 64 bits."""
    return np.random.Generator(np.random.Philox(key=key))
