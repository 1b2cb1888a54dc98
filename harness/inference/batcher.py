"""The actor that infers: it batches whatever has arrived and waits only for whom it pays to."""

import os
import signal
import time
import traceback
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from threading import Condition, Event, Thread
from typing import Any

import numpy as np
import psutil

from harness.contracts.environment import Observation
from harness.contracts.policy import ActionChunk, require_one_each
from harness.contracts.registry import make_policy
from harness.inference.batching import BatchSize, ReturnTimes, worthwhile_wait
from harness.inference.serialization import plain, whole, whole_stream
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


@dataclass(frozen=True)
class Load:
    """How busy an actor is.

    Attributes:
        busy: Seconds spent inferring so far.
        now: The actor's clock.
        memory: Bytes that it holds.
        free: Bytes that its machine has left.
        cores: Of its machine.
    """

    busy: float
    now: float
    memory: int
    free: int
    cores: int


@dataclass
class Request:
    """An observation that waits for its answer.

    Attributes:
        observation: The observation.
        stream: Its episode's random stream.
        client: The worker that asks.
        done: Set once `result` is there.
        result: The answer, or what went wrong.
    """

    observation: Observation
    stream: np.random.Generator
    client: str
    done: Event = field(default_factory=Event)
    result: Answer | Exception | None = None


class PolicyActor:
    """Answers observations from many environments with one policy.

    While a batch is computed the next one gathers, so batches grow with the load by themselves:
    alone, an environment never waits for company.
    """

    def __init__(
        self,
        reference: str,
        gpus: float,
        max_batch: int | None,
        max_wait: float | None,
        deadline: float,
    ) -> None:
        """Load the policy.

        Args:
            reference: As on the command line.
            gpus: GPUs that the actor holds.
            max_batch: Observations in one batch at most; None learns it.
            max_wait: Seconds to wait for a batch to fill; None learns it.
            deadline: Seconds after which an inference counts as hung and the process is killed.
        """
        self._policy = make_policy(reference)
        self._policy.load()
        self._gpus, self._deadline = gpus, deadline
        self._size = BatchSize(max_batch if self._policy.batches else 1)
        self._max_wait = max_wait
        self._returns = ReturnTimes()
        self._waiting: deque[Request] = deque()
        self._arrived = Condition()
        self._busy = 0.0
        Thread(target=self._serve, daemon=True).start()

    def infer(
        self,
        observations: Sequence[Observation],
        streams: Sequence[np.random.Generator],
        client: str,
    ) -> list[Answer]:
        """Return the answers to all that the worker `client` asks at once."""
        requests = [
            Request(observation, stream, client)
            for observation, stream in zip(observations, streams, strict=True)
        ]
        with self._arrived:
            self._returns.asked(client, time.monotonic())
            self._waiting.extend(requests)
            self._arrived.notify()
        answers: list[Answer] = []
        for request in requests:
            request.done.wait()
            if not isinstance(request.result, Answer):
                assert request.result is not None
                raise request.result
            answers.append(request.result)
        return answers

    def infer_plain(self, observations: Any, streams: Any, client: str) -> list[Answer]:
        """Do so for a worker whose numpy may be another: all arrays come and go plain."""
        asked = [whole(observation) for observation in observations]
        answers = self.infer(asked, [whole_stream(stream) for stream in streams], client)
        return [replace(answer, chunk=plain(answer.chunk)) for answer in answers]

    def load(self) -> Load:
        """Return how busy the actor is."""
        memory, free = psutil.Process().memory_info().rss, psutil.virtual_memory().available
        return Load(self._busy, time.monotonic(), memory, free, os.cpu_count() or 1)

    def _serve(self) -> None:
        while True:
            batch = self._gather()
            try:
                results = self.infer_batch(batch)
            except BaseException:  # noqa: BLE001 - it may exit; Ray starts this process and asks again
                traceback.print_exc()
                os._exit(1)
            with self._arrived:
                now = time.monotonic()
                for request in batch:
                    self._returns.answered(request.client, now)
            for request, result in zip(batch, results, strict=True):
                request.result = result
                request.done.set()

    def _gather(self) -> list[Request]:
        """Return the observations that are there, and those that are worth a wait."""
        batch: list[Request] = []
        opened = 0.0
        with self._arrived:
            while len(batch) < self._size.limit:
                if self._waiting:
                    batch.append(self._waiting.popleft())
                    opened = opened or time.monotonic()
                    continue
                wait = self._wait(len(batch), opened) if batch else None
                if wait is not None and wait <= 0:
                    break
                self._arrived.wait(wait)
        return batch

    def _wait(self, waiting: int, opened: float) -> float:
        """Return how much longer to wait for company."""
        now = time.monotonic()
        if self._max_wait is not None:
            return opened + self._max_wait - now
        room = self._size.limit - waiting
        return worthwhile_wait(waiting, room, self._returns.expected(now), self._size.seconds)

    def infer_batch(self, batch: Sequence[Request]) -> list[Answer | Exception]:
        """Infer a batch; if it fails, each observation on its own, for one may be at fault."""
        drawn = [request.stream.bit_generator.state for request in batch]
        # The kernel kills a process that hangs in native code; Ray starts it and asks again.
        signal.setitimer(signal.ITIMER_REAL, self._deadline)
        wall, cpu, ran = time.perf_counter(), time.process_time(), self._policy.evaluations
        try:
            chunks = self._policy.infer(
                [request.observation for request in batch], [request.stream for request in batch]
            )
            require_one_each(chunks, len(batch))
        except Exception as error:  # noqa: BLE001 - handed to those who asked
            if len(batch) == 1:
                return [error]
            for request, state in zip(batch, drawn, strict=True):
                request.stream.bit_generator.state = state
            alone = [self.infer_batch([request])[0] for request in batch]
            if not any(isinstance(result, Exception) for result in alone):
                self._size.shrink()
            return alone
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        self._busy += wall
        self._size.learn(len(batch), wall, bool(self._waiting))
        size, name, gpu = len(batch), process_name(), self._gpus * wall
        ran = self._policy.evaluations - ran
        return [
            Answer(chunk, wall / size, cpu / size, gpu / size, size, ran, name) for chunk in chunks
        ]
