"""Temporal ensembling: averages the overlapping chunks of another policy."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from harness.contracts.errors import UsageError
from harness.contracts.policy import ActionChunk, Policy, Query, as_array
from harness.contracts.registry import make_policy
from harness.contracts.spec import EpisodeSpec

DECAY = 0.01
"""The decay of ACT's paper and of LeRobot."""


class EnsemblePolicy(Policy):
    """Averages a policy's overlapping chunks, e.g. ensemble:vla:FOLDER.

    An action is the weighted mean of all predictions for its step. The weight of the i-th
    oldest prediction is exp(-DECAY i), as in ACT. Chunks overlap only if fewer actions are
    executed than a chunk has: give `--replan`.
    """

    source = "[DECAY:]POLICY"
    """The command line's syntax after ``ensemble:``."""

    remembers = True

    def __init__(self, source: str) -> None:
        """Make the policy.

        Raises:
            UsageError: It does not exist, needs the simulator, or the decay is not a number.
        """
        decay, reference = _split(source)
        self._decay, self._policy = decay, make_policy(reference)
        if self._policy.needs_env:
            raise UsageError(f"{reference} needs the simulator; there are no chunks to average")
        self.batching, self.code = self._policy.batching, self._policy.code
        self.files, self.errors_may_pass = self._policy.files, self._policy.errors_may_pass
        label, at, identity = self._policy.spec.name.partition("@")
        self.spec = replace(self._policy.spec, name=f"{label}+ensemble{decay:g}{at}{identity}")

    def load(self) -> None:
        """Load the policy."""
        self._policy.load()

    def missing(self, specs: Iterable[EpisodeSpec]) -> str | None:
        """Return why the policy cannot play these episodes, or None."""
        return self._policy.missing(specs)

    def infer(self, queries: Sequence[Query]) -> Sequence[ActionChunk]:
        """Ask the policy and average each chunk with the earlier ones of its episode."""
        before, inexact = self._policy.evaluations, self._policy.inexact
        inner = [replace(q, memory=q.memory.setdefault("policy", {})) for q in queries]
        chunks = self._policy.infer(inner)
        self.evaluations += self._policy.evaluations - before
        self.inexact += self._policy.inexact - inexact
        return [self._average(q, as_array(c)) for q, c in zip(queries, chunks, strict=True)]

    def _average(self, query: Query, chunk: Any) -> Any:
        if not isinstance(chunk, np.ndarray) or chunk.ndim != 2:
            return chunk  # The engine says what is wrong.
        if query.step is None:
            raise UsageError("temporal ensembling needs the step; this client does not send it")
        kept = query.memory.setdefault("chunks", [])
        overlapping = [(start, old) for start, old in kept if start + len(old) > query.step]
        if kept and not overlapping:
            raise UsageError(
                f"the chunks of {self.spec.name} do not overlap: it returns {len(kept[-1][1])} "
                f"actions and {query.step - kept[-1][0]} are executed; add --replan with a "
                f"smaller number"
            )
        kept[:] = [*overlapping, (query.step, chunk)]
        return np.stack([self._mean(kept, query.step + k) for k in range(len(chunk))])

    def _mean(self, kept: Sequence[tuple[int, ActionChunk]], step: int) -> Any:
        predictions = [old[step - start] for start, old in kept if start + len(old) > step]
        weights = np.exp(-self._decay * np.arange(len(predictions)))
        mean = np.average(np.asarray(predictions, np.float64), axis=0, weights=weights)
        return mean.astype(np.float32)


def _split(source: str) -> tuple[float, str]:
    """Split the decay, if there is one, from the policy's name."""
    first, _, rest = source.partition(":")
    try:
        decay = float(first)
    except ValueError:
        return DECAY, source
    if not 0 <= decay < float("inf"):
        raise UsageError(f"the decay of ensemble:{source} must be 0 or more")
    return decay, rest
