"""The actor that steps environments: one process, one core, one simulator at a time."""

import resource
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.backends.ray.guard import start_guard
from harness.backends.ray.remote_policy import RemotePolicy
from harness.contracts.policy import Policy, PolicySpec, load
from harness.contracts.record import Episode, EpisodeRecord
from harness.contracts.registry import make_policy
from harness.contracts.setup import BenchmarkSetup
from harness.contracts.spec import EpisodeSpec
from harness.inference.serialization import from_plain, to_plain
from harness.play.generators import Generators
from harness.play.memory import limit_memory
from harness.play.worker import Worker


@dataclass(frozen=True)
class Finished:
    """A finished episode and the memory of the process that played it.

    Attributes:
        record: The episode's record.
        actions: Its actions as plain bytes.
        traceback: The traceback of its error.
        crashed: Whether the policy's code raised that error.
        memory: The process's peak memory in bytes.
    """

    record: EpisodeRecord
    actions: Any
    traceback: str
    crashed: bool
    memory: int

    @property
    def episode(self) -> Episode:
        """The episode."""
        return Episode(self.record, from_plain(self.actions), self.traceback, self.crashed)


class EnvActor:
    """Plays the episodes that the driver sends, one at a time."""

    def __init__(
        self,
        setups: Sequence[BenchmarkSetup],
        local: Mapping[str, str | Policy],
        remote: Mapping[str, PolicySpec],
        deadline: float,
        other_python: bool,
        most_memory: int | None,
    ) -> None:
        """Load the policies of this process and make clients for the others.

        Args:
            setups: The benchmarks.
            local: The policies that need the environment, or their references, by identity.
            remote: The specs of the policies that run in actors, by identity.
            deadline: Seconds after which a step counts as hung and the process is killed.
            other_python: Whether this process runs in a benchmark's virtual environment.
            most_memory: Bytes that this process may allocate; None for a share of the machine's.
        """
        limit_memory(most_memory)
        start_guard(deadline)
        # The kernel's default action kills the process even while a native call blocks Python.
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        self._deadline = deadline
        self._remote = {name: RemotePolicy(spec, other_python) for name, spec in remote.items()}
        self._failure: Exception | None = None
        policies: dict[str, Policy] = {}
        try:
            for name, origin in local.items():
                policies[name] = make_policy(origin) if isinstance(origin, str) else origin
                with Generators():
                    load(policies[name])
        except Exception as error:  # noqa: BLE001 - `ready` raises it where the user sees it
            self._failure = error
        self._worker = Worker(setups, {**policies, **self._remote}, self._alive)

    def ready(self) -> None:
        """Return once the process is up and its policies are loaded.

        Raises:
            UsageError: A policy cannot be loaded.
            PolicyCrashed: A policy's code raised an exception.
        """
        if self._failure is not None:
            raise self._failure

    def prepare(self, spec: EpisodeSpec) -> None:
        """Build the simulator of an episode that comes when its policy is loaded."""
        try:
            self._worker.prepare(spec)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    def play(self, spec: EpisodeSpec, replica: Any) -> Finished:
        """Play an episode; `replica` is the policy actor, or None."""
        remote = self._remote.get(spec.policy)
        if remote is not None:
            remote.attach(replica)
        try:
            episode = self._worker.play(spec)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        if remote is not None:
            episode = remote.with_costs(episode)
        kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        actions = to_plain(episode.actions)
        return Finished(
            episode.record, actions, episode.traceback, episode.crashed, kilobytes * 1024
        )

    def _alive(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, self._deadline)
