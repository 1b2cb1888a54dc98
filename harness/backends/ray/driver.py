"""The driver of the Ray backend: keeps every worker busy and replaces those that die."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import ray
from ray.exceptions import RayActorError, RayError, RayTaskError

from harness.backends.ray.env_actor import Finished
from harness.backends.ray.gpus import actors_on, gpu_share, require_gpus
from harness.backends.ray.liveness import Liveness
from harness.backends.ray.options import RayOptions
from harness.backends.ray.remote_policy import cause
from harness.backends.ray.schedule import Schedule
from harness.backends.ray.worker_group import Replica, WorkerGroup, WorkerHandle
from harness.contracts.errors import UsageError
from harness.contracts.record import Episode
from harness.contracts.spec import EpisodeSpec
from harness.inference.batcher import most_at_once
from harness.play.worker import failed_episode
from harness.runs.plan import Work

MOST_DEATHS = 5
"""How many workers may die on an episode before it is recorded as an error.

More than the retries of an error: the machine kills workers (out of memory) more often than
the episode that they play.
"""
MOST_FALSE_STARTS = 5
"""How many actors in a row may die while they start before the run stops."""
WAIT = 1.0
"""Seconds to wait for the next event."""
PATIENCE = 60.0
"""Seconds without an event after which the user is told what the run waits for."""

Handler = Callable[[Any], Episode | None]


class Driver:
    """Gives every worker its next episode and collects the results."""

    def __init__(
        self,
        work: Work,
        specs: Sequence[EpisodeSpec],
        options: RayOptions,
        tell: Callable[[str], None],
    ) -> None:
        """Queue the episodes; `run` starts the workers. `tell` shows a notice."""
        self._work, self._options, self._tell = work, options, tell
        self._schedule = Schedule(specs, work.interpreter)
        self._groups: list[WorkerGroup] = []
        self._workers: set[WorkerHandle] = set()
        self._idle: list[WorkerHandle] = []
        self._deaths: Counter[EpisodeSpec] = Counter()
        self._false_starts = self._starting = self._playing = 0
        self._pending: dict[Any, Handler] = {}
        self._loading: set[Replica] = set()

    def run(self) -> Iterator[Episode]:
        """Yield every episode once, in the order they end."""
        self._liveness, last_event = Liveness(), time.monotonic()
        self._start_groups()
        while self._playing or len(self._schedule):
            done, _ = ray.wait(list(self._pending), num_returns=1, timeout=WAIT)
            now = time.monotonic()
            if done:
                last_event = now
                episode = self._pending.pop(done[0])(done[0])
                if episode is not None:
                    yield episode
            elif now - last_event > PATIENCE and (self._starting or self._loading):
                last_event = now
                self._tell_what_is_missing()
            self._liveness.check()

    def close(self) -> None:
        """Kill every actor."""
        for group in self._groups:
            group.stop([worker for worker in self._workers if worker.group is group])

    def _start_groups(self) -> None:
        actors = sum(not policy.needs_env for policy in self._work.policies.values())
        gpus = gpu_share(self._options.gpus, actors, _resources().get("GPU", 0))
        workers = min(self._options.workers, len(self._schedule))
        groups = min(workers, _group_count(self._options, gpus, actors)) if actors else 1
        if not self._options.address:  # A cluster may grow.
            require_gpus(gpus, actors * groups, [room.get("GPU", 0) for room in _rooms()])
        self._tell_what_has_no_effect(gpus)
        for index in range(groups):
            slots = workers // groups + (index < workers % groups)
            self._groups.append(WorkerGroup(self._work, self._options, gpus, slots))
        for group in self._groups:
            for replica in group.replicas:
                self._load(replica)
            for slot in range(group.slots):
                # The first workers take the first tasks, each in the program that plays it.
                first, index = self._schedule.interpreters, len(self._workers)
                worker = self._start(group, slot, first[index % len(first)])
                if group.replicas and index < len(first):
                    # Simulators are built while policies load.
                    worker.actor.prepare.remote(self._schedule.reserve(worker, index))

    def _start(self, group: WorkerGroup, slot: int, interpreter: str) -> WorkerHandle:
        worker = group.start(slot, interpreter)
        self._workers.add(worker)
        self._starting += 1
        self._pending[worker.actor.ready.remote()] = partial(self._started, worker)
        return worker

    def _load(self, replica: Replica) -> None:
        ready = replica.actor.ready.options(max_task_retries=0).remote()
        self._loading.add(replica)
        self._pending[ready] = partial(self._loaded, replica)

    def _loaded(self, replica: Replica, ready: Any) -> None:
        """A policy is loaded, or cannot be."""
        self._loading.discard(replica)
        try:
            ray.get(ready)
        except RayTaskError as error:
            raise cause(error) from error
        except RayActorError as error:
            if error.actor_init_failed:
                raise UsageError(f"a policy cannot be loaded: {_last_line(error)}") from error
            self._count_false_start("policy", error)
            self._load(replica)
            return
        self._send_idle()

    def _count_false_start(self, what: str, error: RayError) -> None:
        self._false_starts += 1
        if self._false_starts == MOST_FALSE_STARTS:
            raise UsageError(f"no {what} can start: {_last_line(error)}") from error

    def _started(self, worker: WorkerHandle, ready: Any) -> None:
        """A worker is up; only now does it get an episode."""
        self._starting -= 1
        try:
            ray.get(ready)
        except RayTaskError as error:
            raise cause(error) from error
        except RayError as error:
            self._count_false_start("worker", error)
            self._replace(worker)
            return
        self._false_starts = 0
        self._send(worker)

    def _send(self, worker: WorkerHandle) -> None:
        """Give a worker its next episode, or keep it idle in case one is put back."""
        loading = not self._loading.isdisjoint(worker.group.replicas)
        spec = None if loading else self._schedule.next(worker, worker.interpreter)
        if spec is None:
            self._idle.append(worker)
            return
        interpreter = self._work.interpreter(spec)
        if interpreter != worker.interpreter:
            self._schedule.put_back(spec)
            self._exchange(worker, interpreter)
            return
        replica = worker.group.replica(spec.policy)
        self._playing += 1
        played = worker.actor.play.remote(spec, replica and replica.actor)
        self._pending[played] = partial(self._played, worker, spec)

    def _played(self, worker: WorkerHandle, spec: EpisodeSpec, done: Any) -> Episode | None:
        """Take an episode in; return None if its worker died and it is played again."""
        self._playing -= 1
        try:
            finished: Finished = ray.get(done)
        except RayTaskError as error:
            raise cause(error) from error
        except RayError as error:
            self._deaths[spec] += 1
            again = self._deaths[spec] <= MOST_DEATHS
            if again:
                self._schedule.put_back(spec)
            self._replace(worker)
            return None if again else failed_episode(spec, error)
        worker.played += 1
        too_old = worker.played >= self._options.recycle_after
        if too_old or finished.memory > self._options.memory:
            self._replace(worker)
        else:
            self._send(worker)
        return finished.episode

    def _replace(self, worker: WorkerHandle) -> None:
        """Start a new worker in a slot; meanwhile idle workers may take over its episodes."""
        self._schedule.leave(worker)
        self._stop(worker)
        self._send_idle()
        if len(self._schedule):
            self._start(worker.group, worker.slot, worker.interpreter)

    def _exchange(self, worker: WorkerHandle, interpreter: str) -> None:
        """Start a worker in another Python environment, in the same slot and on the same task."""
        self._stop(worker)
        successor = self._start(worker.group, worker.slot, interpreter)
        self._schedule.hand_over(worker, successor)

    def _stop(self, worker: WorkerHandle) -> None:
        """Kill a worker; the caller starts another one."""
        # Without a GCS these calls would hang for a minute, and then end this process.
        self._liveness.require()
        self._workers.discard(worker)
        ray.kill(worker.actor)

    def _send_idle(self) -> None:
        idle, self._idle = self._idle, []
        for worker in idle:
            self._send(worker)

    def _tell_what_has_no_effect(self, gpus: float) -> None:
        """Name the options for batches that change nothing for these policies."""
        options, policies = self._options, self._work.policies.values()
        batched = [
            policy
            for policy in policies
            if not policy.needs_env and most_at_once(policy, options.batching, gpus, 2) > 1
        ]
        if options.max_batch is not None and not batched:
            self._tell("--max-batch has no effect: every policy gets one observation at a time")
        if options.batching == "fast" and not any(p.batching == "fast" for p in batched):
            self._tell("--batching fast has no effect: no policy takes batches that change bits")

    def _tell_what_is_missing(self) -> None:
        total = _resources()
        self._tell(
            f"{self._starting} of {len(self._workers)} workers and {len(self._loading)} policies "
            f"have not started. The cluster has {total.get('CPU', 0):.0f} CPUs and "
            f"{total.get('GPU', 0):.0f} GPUs. Use fewer --workers or --policy-gpus, or wait: the "
            f"run continues when resources are free"
        )


def _group_count(options: RayOptions, gpus: float, actors: int) -> int:
    """Return the number of replicas that the user wants, or of nodes that can hold one."""
    if options.replicas is not None:
        return options.replicas
    able = [
        room
        for room in _rooms()
        if room.get("CPU", 0) >= 2 and (not gpus or actors_on(room.get("GPU", 0), gpus) >= actors)
    ]
    return max(1, len(able))


def _rooms() -> list[dict[str, float]]:
    """Return the resources of each living node."""
    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    return [node["Resources"] for node in nodes if node["Alive"]]


def _resources() -> dict[str, float]:
    """Return the resources of the whole cluster."""
    total: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    return total


def _last_line(error: Exception) -> str:
    """Return the line of Ray's long message that says what happened."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
