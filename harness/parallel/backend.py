"""The driver of the Ray backend: keeps every worker busy and replaces those that die."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray._private import ray_constants
from ray.exceptions import RayActorError, RayTaskError

from harness.errors import UsageError
from harness.parallel.env_actor import EnvActor, Finished, PolicyPlace
from harness.parallel.policy_actor import PolicyActor
from harness.parallel.schedule import Schedule
from harness.plan import Work
from harness.policy import LocalPolicy
from harness.rollout import Episode
from harness.spec import EpisodeSpec
from harness.threads import ONE_CORE
from harness.worker import failed_episode

MOST_DEATHS = 5
"""How many workers an episode may bring down before it is recorded as an error.

More than the retries of an error, since a worker dies mostly of somebody else's fault.
"""


@dataclass(frozen=True, kw_only=True)
class RayOptions:
    """How the Ray backend runs.

    Attributes:
        workers: Environment actors.
        address: A cluster to join; empty starts a local one, bound to loopback.
        replicas: Policy actors for each policy that does not live beside its environment.
        gpus: GPUs for each policy actor; a fraction shares one.
        max_batch: Observations in a batch at most.
        max_wait: Seconds to wait for a batch to fill.
        deadline: Seconds after which a step counts as hung.
        recycle_after: Episodes after which a worker's process is replaced.
        memory: Bytes of memory past which a worker's process is replaced.
    """

    workers: int
    address: str = ""
    replicas: int = 1
    gpus: float = 0.0
    max_batch: int = 16
    max_wait: float = 0.0
    deadline: float = 120.0
    recycle_after: int = 500
    memory: int = 6 * 2**30


@dataclass
class _Worker:
    """An environment actor, as the driver sees it."""

    actor: Any
    replica: int
    played: int = 0


class _Driver:
    """Gives out episodes and takes in what becomes of them."""

    def __init__(self, work: Work, specs: Sequence[EpisodeSpec], options: RayOptions) -> None:
        self._work, self._options = work, options
        self._schedule = Schedule(specs)
        self._deaths: Counter[str] = Counter()
        self._replicas = {
            name: [self._start_replica(work.references[name]) for _ in range(options.replicas)]
            for name, policy in work.policies.items()
            if not isinstance(policy, LocalPolicy)
        }
        self._flying: dict[Any, tuple[_Worker, EpisodeSpec]] = {}

    def run(self) -> Iterator[Episode]:
        """Yield every episode once, in the order they end."""
        for index in range(min(self._options.workers, len(self._schedule))):
            self._send(self._start_worker(index))
        while self._flying:
            (done,), _ = ray.wait(list(self._flying), num_returns=1)
            worker, spec = self._flying.pop(done)
            episode = self._receive(done, worker, spec)
            if episode is not None:
                yield episode

    def _receive(self, done: Any, worker: _Worker, spec: EpisodeSpec) -> Episode | None:
        """Take in what a worker has to say; None if it died and the episode runs again."""
        try:
            finished: Finished = ray.get(done)
        except RayTaskError as error:
            raise _cause(error) from error
        except RayActorError as error:
            self._deaths[spec.key] += 1
            self._schedule.leave(id(worker))
            again = self._deaths[spec.key] <= MOST_DEATHS
            if again:
                self._schedule.put_back(spec)
            self._send(self._start_worker(worker.replica))
            return None if again else failed_episode(spec, error)
        worker.played += 1
        too_old = worker.played >= self._options.recycle_after
        if too_old or finished.memory > self._options.memory:
            self._schedule.leave(id(worker))
            ray.kill(worker.actor)
            worker = self._start_worker(worker.replica)
        self._send(worker)
        return finished.episode

    def _send(self, worker: _Worker) -> None:
        """Give a worker its next episode, or let it go."""
        spec = self._schedule.next(id(worker))
        if spec is None:
            ray.kill(worker.actor)
        else:
            self._flying[worker.actor.play.remote(spec)] = (worker, spec)

    def _start_worker(self, index: int) -> _Worker:
        replica = index % self._options.replicas
        places = {
            name: PolicyPlace(
                self._work.references[name],
                policy.spec,
                self._replicas[name][replica] if name in self._replicas else None,
            )
            for name, policy in self._work.policies.items()
        }
        # Not restarted by Ray: a call may have run before its actor died, so the driver decides.
        make: Any = ray.remote(EnvActor)
        actor = make.options(num_cpus=1, max_restarts=0, max_task_retries=0).remote(
            self._work.cells, places, self._options.deadline
        )
        return _Worker(actor, replica)

    def _start_replica(self, reference: str) -> Any:
        # Restarted and asked again by Ray: inferring twice gives the same and leaves no trace.
        make: Any = ray.remote(PolicyActor)
        options = self._options
        return make.options(
            num_cpus=0,
            num_gpus=options.gpus,
            max_restarts=-1,
            max_task_retries=-1,
            max_concurrency=1000,
        ).remote(reference, options.max_batch, options.max_wait)


def run_ray(work: Work, specs: Sequence[EpisodeSpec], options: RayOptions) -> Iterator[Episode]:
    """Play the episodes on Ray's actors; the records are the inline backend's."""
    if not specs:
        return
    started = not ray.is_initialized()
    if started:
        _connect(options)
    driver = _Driver(work, specs, options)
    try:
        yield from driver.run()
    finally:
        if started:
            ray.shutdown()


def _connect(options: RayOptions) -> None:
    """Join a cluster, or start one that nobody else can reach."""
    runtime = {"env_vars": ONE_CORE}
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "error"}
    if options.address:
        try:
            ray.init(options.address, runtime_env=runtime, **quiet)
        except ConnectionError as error:
            raise UsageError(f"no Ray cluster answers at {options.address}: {error}") from error
        return
    _stay_on_loopback()
    ray.init(
        num_cpus=max(options.workers, os.cpu_count() or 1),
        include_dashboard=False,
        runtime_env=runtime,
        **quiet,
    )


def _stay_on_loopback() -> None:
    """Keep a local Ray from listening where other machines could reach it.

    `ray.init` turns a loopback address into the machine's own. Only this switch, made for the
    firewalls of desktops, binds every one of its sockets to loopback; Ray reads it on import.
    """
    os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    ray_constants.ENABLE_RAY_CLUSTER = False


def _cause(error: RayTaskError) -> Exception:
    """Return what went wrong inside an actor."""
    cause = getattr(error, "cause", None)
    return cause if isinstance(cause, Exception) else error
