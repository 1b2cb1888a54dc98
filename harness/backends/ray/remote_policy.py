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

from harness.contracts.environment import Observation
from harness.contracts.policy import ActionChunk, Policy, PolicySpec
from harness.inference.batcher import Answer
from harness.inference.batching import histogram
from harness.inference.serialization import plain, plain_stream, whole
from harness.play.meter import rounded, split
from harness.play.rollout import Episode
from harness.play.worker import process_name


class RemotePolicy(Policy):
    """Asks an actor, and keeps the bill."""

    batches = True
    """It may be asked for many at once; the actor infers them as the policy allows."""

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
        """Ask the actor, which makes the batches."""
        # The actor has a deadline of its own, and may first have to find another machine.
        signal.setitimer(signal.ITIMER_REAL, 0)
        start = time.perf_counter()
        if self._apart:
            looks, stands = [plain(o) for o in observations], [plain_stream(s) for s in streams]
            asked = self._replica.infer_plain.remote(looks, stands, self._client)
        else:
            asked = self._replica.infer.remote(observations, streams, self._client)
        try:
            answers: list[Answer] = ray.get(asked)
        except RayTaskError as error:
            raise cause(error) from error
        self._waited += time.perf_counter() - start
        self._answers.extend(answers)
        self.evaluations += max(answer.evaluations for answer in answers)
        return [whole(answer.chunk) for answer in answers]

    def billed(self, episodes: Sequence[Episode]) -> list[Episode]:
        """Tell the actor's work from the wait for it in the costs that a block's episodes share."""
        parts = len(episodes)
        work = sum(answer.wall for answer in self._answers)
        queue = max(0.0, self._waited - work)
        sizes = Counter(answer.batch for answer in self._answers)
        shares = {size: split(count, parts) for size, count in sizes.items()}
        bills = []
        for index, episode in enumerate(episodes):
            record = episode.record
            timing = dict(record.timing) | {"policy": work / parts, "queue": queue / parts}
            cpu = dict(record.cpu)
            # What asking costs here is the price of the distance; the policy's own was spent there.
            cpu["queue"] = cpu.get("policy", 0.0)
            cpu["policy"] = sum(answer.cpu for answer in self._answers) / parts
            cpu["total"] = cpu.get("total", 0.0) + cpu["policy"]
            mine = {size: counts[index] for size, counts in shares.items() if counts[index]}
            bill = replace(
                record,
                timing=rounded(timing),
                cpu=rounded(cpu),
                gpu=round(sum(answer.gpu for answer in self._answers) / parts, 4),
                batches=histogram(mine),
                replica=self._answers[-1].replica if self._answers else "",
            )
            bills.append(Episode(bill, episode.actions))
        return bills


def cause(error: RayTaskError) -> Exception:
    """Return what went wrong inside an actor, as the inline backend would have raised it."""
    inner = getattr(error, "cause", None)
    return inner if isinstance(inner, Exception) else error
