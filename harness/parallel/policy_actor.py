"""The actor that infers: it batches whatever has arrived and waits for nobody."""

import asyncio
from collections.abc import Sequence
from typing import Any

import numpy as np
import ray

from harness.environment import Observation
from harness.policy import ActionChunk, Policy, PolicySpec
from harness.registry import make_policy


class PolicyActor:
    """Answers observations from many environments with one policy.

    While a batch is computed the next one gathers, so batches grow with the load by themselves:
    alone, an environment never waits for company.
    """

    def __init__(self, reference: str, max_batch: int, max_wait: float) -> None:
        """Load the policy.

        Args:
            reference: As on the command line.
            max_batch: Observations in one batch at most.
            max_wait: Seconds to wait for a batch to fill.
        """
        self._policy = make_policy(reference)
        self._max_batch = max_batch if self._policy.batches else 1
        self._max_wait = max_wait
        self._waiting: asyncio.Queue[Any] = asyncio.Queue()
        self._loop: asyncio.Task[None] | None = None

    async def infer(self, observation: Observation, stream: np.random.Generator) -> ActionChunk:
        """Return the chunk for one observation."""
        if self._loop is None:
            self._loop = asyncio.create_task(self._serve())
        answer: asyncio.Future[ActionChunk] = asyncio.get_running_loop().create_future()
        await self._waiting.put((observation, stream, answer))
        return await answer

    async def _serve(self) -> None:
        while True:
            batch = await self._gather()
            observations, streams, answers = zip(*batch, strict=True)
            try:
                chunks = await asyncio.to_thread(self._policy.infer, observations, streams)
            except Exception as error:  # noqa: BLE001 - handed to those who asked
                for answer in answers:
                    answer.set_exception(error)
                continue
            for answer, chunk in zip(answers, chunks, strict=True):
                answer.set_result(chunk)

    async def _gather(self) -> list[Any]:
        """Return the observations that are there, after at most `max_wait` seconds."""
        batch = [await self._waiting.get()]
        loop = asyncio.get_running_loop()
        closing = loop.time() + self._max_wait
        while len(batch) < self._max_batch:
            if self._waiting.empty():
                left = closing - loop.time()
                if left <= 0:
                    break
                try:
                    batch.append(await asyncio.wait_for(self._waiting.get(), left))
                except TimeoutError:
                    break
            else:
                batch.append(self._waiting.get_nowait())
        return batch


class RemotePolicy(Policy):
    """Stands in for a policy that runs in an actor."""

    def __init__(self, spec: PolicySpec, replica: Any) -> None:
        """Reach for the actor `replica`."""
        self.spec = spec
        self._replica = replica

    def infer(
        self, observations: Sequence[Observation], streams: Sequence[np.random.Generator]
    ) -> Sequence[ActionChunk]:
        """Ask the actor, for each observation on its own; it makes the batches."""
        asked = [
            self._replica.infer.remote(observation, stream)
            for observation, stream in zip(observations, streams, strict=True)
        ]
        chunks: list[ActionChunk] = ray.get(asked)
        return chunks
