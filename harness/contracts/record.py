"""The record of an episode: one line of a run's log."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from harness.contracts.spec import EpisodeSpec

Outcome = Literal["success", "failure", "error"]

SPEC_FIELDS = tuple(f.name for f in fields(EpisodeSpec))
MEASURED = (
    "started",
    "timing",
    "cpu",
    "gpu",
    "chunks",
    "evaluations",
    "batches",
    "batching",
    "clipped",
    "retries",
    "worker",
    "replica",
    "versions",
)
"""Fields that may differ between two runs of one spec; no other field may."""


@dataclass(frozen=True, kw_only=True)
class EpisodeRecord:
    """The result of an episode and its cost.

    Attributes:
        spec: The episode.
        outcome: ``success``, ``failure``, or ``error`` if something other than the policy failed.
            An error is never scored.
        success: None for an error.
        progress: The process score; None if the task defines none.
        subgoals: The task's named conditions at the end.
        steps: Actions executed.
        reason: Why it ended: ``success``, ``step_limit``, ``policy_...`` or the error.
        instruction: The instruction that the policy got.
        actions_sha256: Hash of the executed actions' bytes.
        state_sha256: Hash of the simulator's final state.
        started: The start time, in seconds since 1970.
        timing: Wall seconds by part; `total` covers every retry.
        cpu: CPU seconds by part, with a policy actor's share.
        gpu: GPU seconds of the policy.
        chunks: Chunks that the policy returned.
        evaluations: Forward passes of the network for them.
        batches: The number of observations by the size of their batch.
        batching: ``fast`` if a batch may have changed the last bits of an action, otherwise empty.
        clipped: The share of the executed actions with a number outside the action space by more
            than 5 % of its range.
        retries: How often the episode was played again after an error.
        worker: The process that stepped the environment.
        replica: The process that inferred, if it was another one.
        versions: The versions of the packages.
    """

    spec: EpisodeSpec
    outcome: Outcome
    success: bool | None
    progress: float | None
    subgoals: Mapping[str, bool]
    steps: int
    reason: str
    instruction: str
    actions_sha256: str | None
    state_sha256: str | None
    started: float = 0.0
    timing: Mapping[str, float] = field(default_factory=dict)
    cpu: Mapping[str, float] = field(default_factory=dict)
    gpu: float = 0.0
    chunks: int = 0
    evaluations: int = 0
    batches: Mapping[str, int] = field(default_factory=dict)
    batching: str = ""
    clipped: float = 0.0
    retries: int = 0
    worker: str = ""
    replica: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)

    def deterministic(self) -> dict[str, Any]:
        """Return the fields that follow from the spec alone."""
        own = [f.name for f in fields(self) if f.name not in ("spec", *MEASURED)]
        return {
            "key": self.spec.key,
            **{name: getattr(self.spec, name) for name in SPEC_FIELDS},
            **{name: getattr(self, name) for name in own},
        }

    def to_json(self) -> str:
        """Return the record as one line of JSON."""
        measured = {name: getattr(self, name) for name in MEASURED}
        return json.dumps(self.deterministic() | measured, allow_nan=False)

    @classmethod
    def from_json(cls, line: bytes) -> "EpisodeRecord":
        """Read a line that `to_json` wrote.

        Raises:
            ValueError: The line is not a whole record, or its key is not its spec's.
        """
        values = json.loads(line)
        try:
            spec = EpisodeSpec(**{name: values.pop(name) for name in SPEC_FIELDS})
            if values.pop("key") != spec.key:
                raise ValueError("the record's key does not belong to its spec")
            return cls(spec=spec, **values)
        except (KeyError, TypeError) as error:
            raise ValueError(f"not an episode record: {error}") from error


@dataclass(frozen=True)
class Episode:
    """A finished episode.

    Attributes:
        record: Its record.
        actions: The actions that were executed.
        traceback: The traceback of the error in which it ended; empty for none.
        crashed: Whether the policy's own code raised that error.
    """

    record: EpisodeRecord
    actions: NDArray[np.float32]
    traceback: str = ""
    crashed: bool = False


def finite_or_none(value: float) -> float | None:
    """Return None for nan, which JSON cannot hold."""
    return None if math.isnan(value) else value
