"""Answers many clients with one policy, in batches."""

import copy
import os
import signal
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import Any, Literal

from harness.contracts.errors import MemoryLost
from harness.contracts.policy import ActionChunk, Policy, Query, ask, load
from harness.contracts.registry import make_policy
from harness.inference.memories import Memories, Place
from harness.inference.serialization import (
    from_plain,
    plain_stream,
    stream_from_plain,
    to_plain,
)
from harness.play.worker import process_name

Batching = Literal["auto", "exact", "fast"]
"""Which batches are allowed: those that change no bit, or any. `auto` is `fast` on a GPU."""

LARGEST_BATCH = 8
"""The default limit of a batch."""


@dataclass(frozen=True)
class Answer:
    """A chunk and what it cost.

    Attributes:
        chunk: The actions.
        wall: This query's share of the batch's wall seconds.
        cpu: Its share of the CPU seconds.
        gpu: Its share of the GPU seconds.
        batch: How many queries were in the batch.
        inexact: Whether the batch may have changed the last bits.
        evaluations: How often the network ran, for the whole batch.
        replica: The process.
    """

    chunk: ActionChunk
    wall: float
    cpu: float
    gpu: float
    batch: int
    inexact: bool
    evaluations: int
    replica: str


@dataclass
class Request:
    """A query that waits for its answer.

    Attributes:
        query: The query.
        place: Where it stands in its episode.
        done: Set once `result` is there.
        result: The answer, or what went wrong.
    """

    query: Query
    place: Place
    done: Event = field(default_factory=Event)
    result: Answer | Exception | None = None


def most_at_once(policy: Policy, batching: Batching, gpus: float, limit: int | None) -> int:
    """Return how many queries a policy may get at once.

    Args:
        policy: The policy.
        batching: Which batches are allowed.
        gpus: GPUs of the process that infers.
        limit: The user's limit; None for the default.
    """
    any_batch = batching == "fast" or (batching == "auto" and gpus > 0)
    allowed = ("exact", "fast") if any_batch else ("exact",)
    return (LARGEST_BATCH if limit is None else limit) if policy.batching in allowed else 1


class Batcher:
    """Answers the requests of many clients with one policy.

    While one batch is computed the next one collects, so batches grow with the load. A single
    client never waits for others.
    """

    def __init__(
        self,
        policy: str | Policy,
        gpus: float,
        max_batch: int | None,
        deadline: float,
        batching: Batching = "exact",
    ) -> None:
        """Load the policy; `ready` raises what goes wrong.

        Args:
            policy: The policy, or its name as on the command line.
            gpus: GPUs that this process holds.
            max_batch: Queries in a batch, at most; None for the default.
            deadline: Seconds after which an inference counts as hung and the process is killed;
                0 for no deadline.
            batching: Which batches are allowed.
        """
        self._gpus, self._deadline = gpus, deadline
        self._memories = Memories()
        self._failure: Exception | None = None
        self._requests: SimpleQueue[Request] = SimpleQueue()
        try:
            self._policy = make_policy(policy) if isinstance(policy, str) else policy
            load(self._policy)
        except Exception as error:  # noqa: BLE001 - `ready` raises it where the user sees it
            self._failure = error
            return
        self._max_batch = most_at_once(self._policy, batching, gpus, max_batch)
        Thread(target=self._serve, daemon=True).start()

    def ready(self) -> None:
        """Return once the policy is loaded.

        Raises:
            UsageError: The policy cannot be made.
            PolicyCrashed: Its code raised an exception.
        """
        if self._failure is not None:
            raise self._failure

    def infer(self, queries: Sequence[Query], places: Sequence[Place]) -> list[Answer]:
        """Return the answers to all queries of one client; their memory is kept here."""
        requests = [Request(*pair) for pair in zip(queries, places, strict=True)]
        for request in requests:
            self._requests.put(request)
        answers: list[Answer] = []
        for request in requests:
            request.done.wait()
            if not isinstance(request.result, Answer):
                assert request.result is not None
                raise request.result
            answers.append(request.result)
        return answers

    def infer_plain(self, queries: Any, places: Sequence[Place]) -> list[Answer]:
        """Do the same for a process with another numpy: arrays come and go as plain bytes."""
        answers = self.infer([query_from_plain(query) for query in queries], places)
        return [replace(answer, chunk=to_plain(answer.chunk)) for answer in answers]

    def _serve(self) -> None:
        while True:
            batch = self._collect()
            try:
                results = self.infer_batch(batch)
            except BaseException:  # noqa: BLE001 - e.g. SystemExit in the policy's code
                # No client could be answered any more. On Ray the actor starts again.
                traceback.print_exc()
                os._exit(1)
            for request, result in zip(batch, results, strict=True):
                request.result = result
                request.done.set()

    def _collect(self) -> list[Request]:
        """Wait for a request, and take those that have come in meanwhile."""
        batch = [self._requests.get()]
        with suppress(Empty):
            while len(batch) < self._max_batch:
                batch.append(self._requests.get_nowait())
        return batch

    def infer_batch(self, batch: Sequence[Request]) -> list[Answer | Exception]:
        """Infer a batch. If that fails, infer each query alone: one may be at fault."""
        if self._policy.remembers:
            lost = [request for request in batch if not self._remember(request)]
            if lost:
                return self._without(lost, batch)
        return self._infer(batch)

    def _remember(self, request: Request) -> bool:
        """Give a query its memory; return whether it is here."""
        try:
            memory = self._memories.take(request.place)
        except MemoryLost as error:
            request.result = error
            return False
        request.query = replace(request.query, memory=memory)
        return True

    def _without(self, lost: Sequence[Request], batch: Sequence[Request]) -> list[Any]:
        """Infer the rest of a batch of which some memories are lost."""
        rest = [request for request in batch if request not in lost]
        answers = iter(self._infer(rest) if rest else [])
        return [request.result if request in lost else next(answers) for request in batch]

    def _infer(self, batch: Sequence[Request]) -> list[Answer | Exception]:
        queries = [request.query for request in batch]
        states = [query.stream.bit_generator.state for query in queries]
        # A failed batch may have changed some memories already.
        memories = [copy.deepcopy(q.memory) for q in queries] if len(batch) > 1 else []
        # The kernel kills a process that hangs in native code.
        signal.setitimer(signal.ITIMER_REAL, self._deadline)
        wall, cpu, ran = time.perf_counter(), time.process_time(), self._policy.evaluations
        inexact = self._policy.inexact
        try:
            chunks = ask(self._policy, queries)
        except Exception as error:  # noqa: BLE001 - raised again where the client waits
            if len(batch) == 1:
                return [error]
            for query, state, memory in zip(queries, states, memories, strict=True):
                query.stream.bit_generator.state = state
                query.memory.clear()
                query.memory.update(memory)
            return [self._infer([request])[0] for request in batch]
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        size, name, gpu = len(batch), process_name(), self._gpus * wall
        ran, inexact = self._policy.evaluations - ran, self._policy.inexact - inexact
        changed = inexact > 0 or (size > 1 and self._policy.batching == "fast")
        return [
            Answer(chunk, wall / size, cpu / size, gpu / size, size, changed, ran, name)
            for chunk in chunks
        ]


def plain_query(query: Query) -> Any:
    """Return a query as values that any numpy can read."""
    return to_plain(query.observation), plain_stream(query.stream), query.step


def query_from_plain(value: Any) -> Query:
    """Return the query that `plain_query` made plain."""
    observation, stream, step = value
    return Query(from_plain(observation), stream_from_plain(stream), step=step)
