"""The client, beside an environment, of a policy that runs in an actor."""

import signal
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import ray
from ray.exceptions import RayTaskError

from harness.contracts.policy import ActionChunk, Policy, PolicySpec, Query
from harness.contracts.record import Episode
from harness.inference.batcher import Answer, plain_query
from harness.inference.memories import Place
from harness.inference.serialization import from_plain
from harness.play.meter import rounded
from harness.play.worker import process_name


class RemotePolicy(Policy):
    """Sends queries to a policy actor, which keeps their memory, and adds up the costs."""

    errors_may_pass = True

    def __init__(self, spec: PolicySpec, other_python: bool) -> None:
        """Take the policy's spec; `attach` names the actor.

        `other_python` says that the actor may have another numpy than this process.
        """
        self.spec, self._other_python = spec, other_python
        self._replica: Any = None
        self._answers: list[Answer] = []
        self._waited = 0.0

    def attach(self, replica: Any) -> None:
        """Send the next episode's queries to this actor."""
        self._replica = replica
        self._answers, self._waited = [], 0.0

    def infer(self, queries: Sequence[Query]) -> Sequence[ActionChunk]:
        """Ask the actor, which batches the requests of all workers."""
        # Stop this worker's deadline: the actor has its own, and may have to be restarted first.
        signal.setitimer(signal.ITIMER_REAL, 0)
        start = time.perf_counter()
        places = [_next_place(query) for query in queries]
        if self._other_python:
            asked = self._replica.infer_plain.remote(list(map(plain_query, queries)), places)
        else:
            # The actor has the memory.
            bare = [replace(query, memory={}) for query in queries]
            asked = self._replica.infer.remote(bare, places)
        try:
            answers: list[Answer] = ray.get(asked)
        except RayTaskError as error:
            raise cause(error) from error
        self._waited += time.perf_counter() - start
        self._answers.extend(answers)
        self.evaluations += max(answer.evaluations for answer in answers)
        self.inexact += sum(answer.inexact for answer in answers)
        return [from_plain(answer.chunk) for answer in answers]

    def with_costs(self, episode: Episode) -> Episode:
        """Split the time that the episode waited into inference and queue."""
        record, answers = episode.record, self._answers
        work = sum(answer.wall for answer in answers)
        timing = dict(record.timing) | {"policy": work, "queue": max(0.0, self._waited - work)}
        cpu = dict(record.cpu)
        # CPU time spent on asking, here, is the cost of the transport.
        cpu["queue"] = cpu.get("policy", 0.0)
        cpu["policy"] = sum(answer.cpu for answer in answers)
        cpu["total"] = cpu.get("total", 0.0) + cpu["policy"]
        sizes = Counter(answer.batch for answer in answers)
        record = replace(
            record,
            timing=rounded(timing),
            cpu=rounded(cpu),
            gpu=round(sum(answer.gpu for answer in answers), 4),
            batches={str(size): count for size, count in sorted(sizes.items())},
            replica=answers[-1].replica if answers else "",
        )
        return replace(episode, record=record)


def _next_place(query: Query) -> Place:
    call = query.memory["calls"] = query.memory.get("calls", -1) + 1
    return Place(process_name(), call)


def cause(error: RayTaskError) -> Exception:
    """Return the exception that the inline backend would have raised."""
    inner = getattr(error, "cause", None)
    return inner if isinstance(inner, Exception) else error
