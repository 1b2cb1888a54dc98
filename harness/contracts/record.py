"""The record of an episode: one line of a run's log."""

import json
import math
import re
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

LONGEST_NAME = 500
"""Characters of a policy, benchmark, task, protocol, sub-goal, package or process."""
LONGEST_TEXT = 10_000
"""Characters of an instruction or a reason."""
MOST_ENTRIES = 1000
"""Entries of a mapping."""
LARGEST_COUNT = 2**63 - 1

_SHA256 = re.compile(r"[0-9a-f]{64}")


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
        try:
            values = json.loads(line)
            if not isinstance(values, dict):
                raise ValueError(f"not an episode record: {_shown(values)}")
            if missing := [n for n in ("key", *SPEC_FIELDS) if n not in values]:
                raise ValueError(f"not an episode record: it lacks {missing[0]}")
            key = values.pop("key")
            spec = EpisodeSpec(**{name: values.pop(name) for name in SPEC_FIELDS})
            record = cls(spec=spec, **values)
            record.check()
        except (TypeError, RecursionError) as error:
            raise ValueError(f"not an episode record: {str(error)[:200]}") from error
        if key != spec.key:
            raise ValueError("the record's key does not belong to its spec")
        return record

    def check(self) -> None:
        """Refuse a record that no episode can have.

        Raises:
            ValueError: A field has the wrong type or range, or the fields contradict each other.
        """
        spec = self.spec
        for name in ("policy", "benchmark", "task", "protocol", "ablation"):
            _text(name, getattr(spec, name), LONGEST_NAME)
        for name in ("episode", "seed"):
            _count(name, getattr(spec, name))
        self._check_result()
        for name in ("steps", "chunks", "evaluations", "retries"):
            _count(name, getattr(self, name))
        for name in ("started", "gpu"):
            _number(name, getattr(self, name))
        _number("clipped", self.clipped, 1)
        for name in ("worker", "replica"):
            _text(name, getattr(self, name), LONGEST_NAME)
        if self.batching not in ("", "fast"):
            raise ValueError(f"batching is {_shown(self.batching)}, which is neither '' nor 'fast'")
        for name in ("timing", "cpu", "batches", "versions", "subgoals"):
            _mapping(name, getattr(self, name))

    def _check_result(self) -> None:
        """Refuse a result whose fields contradict each other."""
        if self.outcome not in ("success", "failure", "error"):
            raise ValueError(f"outcome is {_shown(self.outcome)}, no success, failure or error")
        expected = {"success": True, "failure": False, "error": None}[self.outcome]
        if self.success is not expected:
            raise ValueError(f"success is {_shown(self.success)}, but outcome is {self.outcome}")
        if self.progress is not None:
            _number("progress", self.progress, 1)
        _text("reason", self.reason, LONGEST_TEXT)
        _text("instruction", self.instruction, LONGEST_TEXT)
        if (self.reason == "success") != (self.outcome == "success"):
            raise ValueError(f"reason is {_shown(self.reason)}, but outcome is {self.outcome}")
        scored = self.outcome != "error"
        for name in ("actions_sha256", "state_sha256"):
            value = getattr(self, name)
            if not (isinstance(value, str) and _SHA256.fullmatch(value) if scored else not value):
                raise ValueError(f"{name} is {_shown(value)}, but outcome is {self.outcome}")


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


def _text(name: str, value: Any, longest: int) -> None:
    if not isinstance(value, str) or len(value) > longest:
        raise ValueError(f"{name} is {_shown(value)}, no text of at most {longest} characters")


def _count(name: str, value: Any) -> None:
    if type(value) is not int or not 0 <= value <= LARGEST_COUNT:
        raise ValueError(f"{name} is {_shown(value)}, no whole number from 0")


def _number(name: str, value: Any, most: float = math.inf) -> None:
    if type(value) not in (int, float) or not (0 <= value <= most and value < math.inf):
        limit = "" if most == math.inf else f" to {most}"
        raise ValueError(f"{name} is {_shown(value)}, no number from 0{limit}")


def _mapping(name: str, value: Any) -> None:
    """Refuse what maps no names to values of the field's type."""
    if not isinstance(value, Mapping) or len(value) > MOST_ENTRIES:
        raise ValueError(f"{name} is {_shown(value)}, no mapping of at most {MOST_ENTRIES} entries")
    for key, each in value.items():
        _text(f"a name in {name}", key, LONGEST_NAME)
        where = f"{key} in {name}"
        if name == "subgoals":
            if not isinstance(each, bool):
                raise ValueError(f"{where} is {_shown(each)}, neither true nor false")
        elif name == "versions":
            _text(where, each, LONGEST_NAME)
        elif name == "batches":
            if not (key.isascii() and key.isdecimal()) or not int(key):
                raise ValueError(f"batches has the size {_shown(key)}")
            _count(where, each)
        else:
            _number(where, each)


def _shown(value: Any) -> str:
    """Return a foreign value as a message shows it."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."
