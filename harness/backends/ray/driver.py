"""The driver of the Ray backend: keeps every worker busy and replaces those that die."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import ray
from ray.exceptions import RayActorError, RayError, RayTaskError

from harness.backends.ray.env_actor import Finished
from harness.backends.ray.growth import Growth
from harness.backends.ray.options import RayOptions
from harness.backends.ray.remote_policy import cause
from harness.backends.ray.schedule import Schedule
from harness.backends.ray.worker_group import Crew, Replica, Worker
from harness.contracts.errors import UsageError
from harness.contracts.policy import LocalPolicy
from harness.contracts.spec import EpisodeSpec
from harness.play.rollout import Episode
from harness.play.worker import failed_episode
from harness.runs.block import Block, blocks
from harness.runs.plan import Work

MOST_DEATHS = 5
"""How many workers a block may bring down before its episodes are recorded as errors.

More than the retries of an error, since a worker dies mostly of somebody else's fault.
"""
MOST_FALSE_STARTS = 5
"""How many actors in a row may die while starting before the run gives up."""
LOOK = 1.0
"""Seconds between looks at who is busy."""
PATIENCE = 60.0
"""Seconds without any news after which the user is told what the run waits for."""

Event = Callable[[Any], Sequence[Episode] | None]


class Driver:
    """Gives out blocks of episodes and takes in what becomes of them."""

    def __init__(
        self,
        work: Work,
        specs: Sequence[EpisodeSpec],
        options: RayOptions,
        tell: Callable[[str], None],
    ) -> None:
        """Reserve the room for the crews; `run` starts the workers."""
        remote = [name for name, p in work.policies.items() if not isinstance(p, LocalPolicy)]
        gpus = _gpus(options, len(remote))
        self._options, self._tell = options, tell
        self._work = work
        mine = blocks(work, specs)
        self._schedule = Schedule(mine, lambda block: work.interpreter(block.specs[0]))
        self._workers: set[Worker] = set()
        self._idle: list[Worker] = []
        self._deaths: Counter[Block] = Counter()
        self._false_starts = self._starting = self._playing = 0
        self._pending: dict[Any, Event] = {}
        self._loading: set[Replica] = set()
        workers = min(options.workers, len(mine))
        crews = min(workers, _crews(options, gpus)) if remote else 1
        self._crews = [
            Crew(work, options, gpus, workers // crews + (index < workers % crews))
            for index in range(crews)
        ]
        self._growth = Growth(self._crews) if options.replicas is None else None
        for crew in self._crews:
            for replica in crew.replicas:
                self._open(replica)
            for seat in range(crew.seats):
                # The first workers will take the first tasks, each in the program that plays it.
                first = self._schedule.interpreters
                self._hire(crew, seat, first[len(self._workers) % len(first)])

    def run(self) -> Iterator[Episode]:
        """Yield every episode once, in the order they end."""
        news = looked = time.monotonic()
        while self._playing or len(self._schedule):
            done, _ = ray.wait(list(self._pending), num_returns=1, timeout=LOOK)
            now = time.monotonic()
            if done:
                news = now
                yield from self._pending.pop(done[0])(done[0]) or ()
            elif now - news > PATIENCE and (self._starting or self._loading):
                news = now
                self._tell_who_is_missing()
            if self._growth is not None and now - looked > LOOK:
                looked = now
                for notice in self._growth.look():
                    self._tell(notice)

    def close(self) -> None:
        """Let everybody go."""
        for crew in self._crews:
            crew.dismiss([worker for worker in self._workers if worker.crew is crew])

    def _hire(self, crew: Crew, seat: int, interpreter: str) -> Worker:
        worker = crew.hire(seat, interpreter)
        self._workers.add(worker)
        self._starting += 1
        self._pending[worker.actor.ready.remote()] = partial(self._started, worker)
        return worker

    def _open(self, replica: Replica) -> None:
        asked = replica.actor.load.options(max_task_retries=0).remote()
        self._loading.add(replica)
        self._pending[asked] = partial(self._opened, replica)

    def _opened(self, replica: Replica, ready: Any) -> None:
        """A replica is up, or its policy cannot be loaded."""
        self._loading.discard(replica)
        try:
            ray.get(ready)
        except RayActorError as error:
            if error.actor_init_failed:
                raise UsageError(f"a policy cannot be loaded: {_last_line(error)}") from error
            self._count_false_start("policy", error)
            self._open(replica)
            return
        replica.loaded = True
        self._send_idle()

    def _count_false_start(self, what: str, error: RayError) -> None:
        self._false_starts += 1
        if self._false_starts == MOST_FALSE_STARTS:
            raise UsageError(f"no {what} can start: {_last_line(error)}") from error

    def _started(self, worker: Worker, ready: Any) -> None:
        """A worker is up: only now does it get a block."""
        self._starting -= 1
        try:
            ray.get(ready)
        except RayError as error:
            self._count_false_start("worker", error)
            self._replace(worker)
            return
        self._false_starts = 0
        self._send(worker)

    def _send(self, worker: Worker) -> None:
        """Give a worker its next block, or let it wait in case another's comes back."""
        loading = not self._loading.isdisjoint(worker.crew.replicas)
        block = None if loading else self._schedule.next(worker, worker.interpreter)
        if block is None:
            self._idle.append(worker)
            return
        interpreter = self._work.interpreter(block.specs[0])
        if interpreter != worker.interpreter:
            self._schedule.put_back(block)
            self._exchange(worker, interpreter)
            return
        replica = worker.crew.replica(block.policy)
        if replica is not None:
            replica.blocks += 1
        self._playing += 1
        played = worker.actor.play.remote(block, replica and replica.actor)
        self._pending[played] = partial(self._played, worker, block, replica)

    def _played(
        self, worker: Worker, block: Block, replica: Replica | None, done: Any
    ) -> Sequence[Episode] | None:
        """Take in what a worker has to say; None if it died and the block runs again."""
        self._playing -= 1
        if replica is not None:
            replica.blocks -= 1
        try:
            finished: Finished = ray.get(done)
        except RayTaskError as error:
            raise cause(error) from error
        except RayError as error:
            self._deaths[block] += 1
            again = self._deaths[block] <= MOST_DEATHS
            if again:
                self._schedule.put_back(block)
            self._replace(worker)
            return None if again else [failed_episode(spec, error) for spec in block.wanted]
        worker.played += len(block.specs)
        too_old = worker.played >= self._options.recycle_after
        if too_old or finished.memory > self._options.memory:
            self._replace(worker)
        else:
            self._send(worker)
        return finished.episodes

    def _replace(self, worker: Worker) -> None:
        """Put a new worker in a seat, while those without work may take over at once."""
        self._schedule.leave(worker)
        self._workers.discard(worker)
        ray.kill(worker.actor)
        self._send_idle()
        if len(self._schedule):
            self._hire(worker.crew, worker.seat, worker.interpreter)

    def _exchange(self, worker: Worker, interpreter: str) -> None:
        """Put a worker in a seat that runs in another Python environment, on the same task."""
        self._workers.discard(worker)
        ray.kill(worker.actor)
        successor = self._hire(worker.crew, worker.seat, interpreter)
        self._schedule.hand_over(worker, successor)

    def _send_idle(self) -> None:
        idle, self._idle = self._idle, []
        for worker in idle:
            self._send(worker)

    def _tell_who_is_missing(self) -> None:
        there = _resources()
        self._tell(
            f"{self._starting} of {len(self._workers)} workers and {len(self._loading)} policies "
            f"have not started; the cluster has "
            f"{there.get('CPU', 0):.0f} CPUs and {there.get('GPU', 0):.0f} GPUs. Fewer --workers "
            f"or --policy-gpus may fit; otherwise the run goes on when there is room"
        )


def _gpus(options: RayOptions, policies: int) -> float:
    """Share the GPUs that are there among the policies, unless the user did."""
    if options.gpus is not None:
        return options.gpus
    return 1 / policies if policies and _resources().get("GPU", 0) >= 1 else 0.0


def _crews(options: RayOptions, gpus: float) -> int:
    """Return one crew for each replica that the user wants, or for each node that can hold one."""
    if options.replicas is not None:
        return options.replicas
    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    rooms = [node["Resources"] for node in nodes if node["Alive"]]
    able = [r for r in rooms if r.get("CPU", 0) >= 2 and r.get("GPU", 0) >= gpus]
    return max(1, len(able))


def _resources() -> dict[str, float]:
    """Return what the whole cluster has."""
    there: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    return there


def _last_line(error: Exception) -> str:
    """Return the line of Ray's long message that says what happened."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
