"""Stands in, beside an environment, for a policy that runs in an actor."""

import signal
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import ray
from ray.exceptions import RayTaskError

from harness.environment import Observation
from harness.meter import rounded
from harness.parallel.batching import histogram
from harness.parallel.crossing import plain, plain_stream, whole
from harness.parallel.policy_actor import Answer
from harness.policy import ActionChunk, Policy, PolicySpec
from harness.rollout import Episode
from harness.worker import process_name


class RemotePolicy(Policy):
    """Asks an actor, and keeps the bill."""

    def __init__(self, spec: PolicySpec, apart: bool) -> None:
        """Know what the policy needs; `attach` says where it is.

        `apart` is whether its numpy may be another than here.
        """
        self.spec, self._apart = spec, apart
        self._client = process_name()
        self._replica: Any = None
        self._answers: list[Answer] = []
        self._waited = 0.0

    def attach(self, replica: Any) -> None:
        """Ask this actor from now on."""
        self._replica = replica
        self._answers, self._waited = [], 0.0

    def infer(
        self, observations: Sequence[Observation], streams: Sequence[np.random.Generator]
    ) -> Sequence[ActionChunk]:
        """Ask the actor, for each observation on its own; it makes the batches."""
        # The actor has a deadline of its own, and may first have to find another machine.
        signal.setitimer(signal.ITIMER_REAL, 0)
        start = time.perf_counter()
        pairs: list[tuple[Any, Any]] = list(zip(observations, streams, strict=True))
        if self._apart:
            pairs = [(plain(observation), plain_stream(stream)) for observation, stream in pairs]
        asked = [self._replica.infer.remote(*pair, self._client) for pair in pairs]
        try:
            answers: list[Answer] = ray.get(asked)
        except RayTaskError as error:
            raise cause(error) from error
        self._waited += time.perf_counter() - start
        self._answers.extend(answers)
        self.evaluations += sum(answer.evaluations for answer in answers)
        return [whole(answer.chunk) for answer in answers]

    def billed(self, episode: Episode) -> Episode:
        """Tell the actor's work from the wait for it in an episode's costs."""
        record = episode.record
        work = sum(answer.wall for answer in self._answers)
        timing = dict(record.timing) | {"policy": work, "queue": max(0.0, self._waited - work)}
        cpu = dict(record.cpu)
        # What asking costs here is the price of the distance; the policy's own was spent there.
        cpu["queue"] = cpu.get("policy", 0.0)
        cpu["policy"] = sum(answer.cpu for answer in self._answers)
        cpu["total"] = cpu.get("total", 0.0) + cpu["policy"]
        bill = replace(
            record,
            timing=rounded(timing),
            cpu=rounded(cpu),
            gpu=round(sum(answer.gpu for answer in self._answers), 4),
            batches=histogram(Counter(answer.batch for answer in self._answers)),
            replica=self._answers[-1].replica if self._answers else "",
        )
        return Episode(bill, episode.actions)


def cause(error: RayTaskError) -> Exception:
    """Return what went wrong inside an actor, as the inline backend would have raised it."""
    inner = getattr(error, "cause", None)
    return inner if isinstance(inner, Exception) else error
