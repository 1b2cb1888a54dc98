"""Answers many clients with one policy, in batches."""

import os
import signal
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import Any

import numpy as np

from harness.contracts.environment import Observation
from harness.contracts.policy import ActionChunk, require_one_each
from harness.contracts.registry import make_policy
from harness.inference.serialization import from_plain, stream_from_plain, to_plain
from harness.play.worker import process_name


@dataclass(frozen=True)
class Answer:
    """A chunk and what it cost.

    Attributes:
        chunk: The actions.
        wall: This observation's share of the batch's wall seconds.
        cpu: Its share of the CPU seconds.
        gpu: Its share of the GPU seconds.
        batch: How many observations were in the batch.
        evaluations: How often the network ran, for the whole batch.
        replica: The process.
    """

    chunk: ActionChunk
    wall: float
    cpu: float
    gpu: float
    batch: int
    evaluations: int
    replica: str


@dataclass
class Request:
    """An observation that waits for its answer.

    Attributes:
        observation: The observation.
        stream: Its episode's random stream.
        done: Set once `result` is there.
        result: The answer, or what went wrong.
    """

    observation: Observation
    stream: np.random.Generator
    done: Event = field(default_factory=Event)
    result: Answer | Exception | None = None


class Batcher:
    """Answers the requests of many clients with one policy.

    While one batch is computed the next one collects, so batches grow with the load. A single
    client never waits for others.
    """

    def __init__(self, reference: str, gpus: float, max_batch: int, deadline: float) -> None:
        """Load the policy.

        Args:
            reference: The policy as on the command line.
            gpus: GPUs that this process holds.
            max_batch: Observations in a batch, at most.
            deadline: Seconds after which an inference counts as hung and the process is killed;
                0 for no deadline.
        """
        self._policy = make_policy(reference)
        self._policy.load()
        self._gpus, self._deadline = gpus, deadline
        self._max_batch = max_batch if self._policy.batches else 1
        self._requests: SimpleQueue[Request] = SimpleQueue()
        Thread(target=self._serve, daemon=True).start()

    def ready(self) -> None:
        """Return once the policy is loaded."""

    def infer(
        self, observations: Sequence[Observation], streams: Sequence[np.random.Generator]
    ) -> list[Answer]:
        """Return the answers to all observations of one client."""
        requests = [Request(*pair) for pair in zip(observations, streams, strict=True)]
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

    def infer_plain(self, observations: Any, streams: Any) -> list[Answer]:
        """Do the same for a process with another numpy: arrays come and go as plain bytes."""
        asked = [from_plain(observation) for observation in observations]
        answers = self.infer(asked, [stream_from_plain(stream) for stream in streams])
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
        """Infer a batch. If that fails, infer each observation alone: one may be at fault."""
        states = [request.stream.bit_generator.state for request in batch]
        # The kernel kills a process that hangs in native code.
        signal.setitimer(signal.ITIMER_REAL, self._deadline)
        wall, cpu, ran = time.perf_counter(), time.process_time(), self._policy.evaluations
        try:
            chunks = self._policy.infer(
                [request.observation for request in batch], [request.stream for request in batch]
            )
            require_one_each(chunks, len(batch))
        except Exception as error:  # noqa: BLE001 - raised again where the client waits
            if len(batch) == 1:
                return [error]
            for request, state in zip(batch, states, strict=True):
                request.stream.bit_generator.state = state
            return [self.infer_batch([request])[0] for request in batch]
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        size, name, gpu = len(batch), process_name(), self._gpus * wall
        ran = self._policy.evaluations - ran
        return [
            Answer(chunk, wall / size, cpu / size, gpu / size, size, ran, name) for chunk in chunks
        ]
