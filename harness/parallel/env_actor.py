"""The actor that steps environments: one process, one core, one simulator at a time."""

import resource
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.parallel.policy_actor import RemotePolicy
from harness.plan import Cell
from harness.policy import LocalPolicy, Policy, PolicySpec
from harness.registry import make_policy
from harness.rollout import Episode
from harness.spec import EpisodeSpec
from harness.worker import Worker


@dataclass(frozen=True)
class PolicyPlace:
    """Where a policy runs.

    Attributes:
        reference: As on the command line.
        spec: What it needs.
        replica: The actor that infers; None for a policy that lives beside the environment.
    """

    reference: str
    spec: PolicySpec
    replica: Any


@dataclass(frozen=True)
class Finished:
    """An episode and what the process that played it has grown to.

    Attributes:
        episode: The episode.
        memory: The process's peak memory in bytes.
    """

    episode: Episode
    memory: int


class EnvActor:
    """Plays the episodes that the driver sends, one at a time."""

    def __init__(
        self, cells: Sequence[Cell], places: Mapping[str, PolicyPlace], deadline: float
    ) -> None:
        """Build the policies that live here and reach for the others.

        Args:
            cells: The benchmarks.
            places: The policies by identity.
            deadline: Seconds after which a step counts as hung and the process is killed.
        """
        # The kernel delivers this one whether or not a native call ever gives Python the floor.
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        self._deadline = deadline
        policies = {name: self._policy(place) for name, place in places.items()}
        self._worker = Worker(cells, policies, self._alive)

    def play(self, spec: EpisodeSpec) -> Finished:
        """Play one episode."""
        try:
            episode = self._worker.play(spec)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return Finished(episode, kilobytes * 1024)

    def _alive(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, self._deadline)

    def _policy(self, place: PolicyPlace) -> Policy:
        if place.replica is None:
            policy = make_policy(place.reference)
            assert isinstance(policy, LocalPolicy)
            return policy
        return RemotePolicy(place.spec, place.replica)
