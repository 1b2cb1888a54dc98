"""The actor that steps environments: one process, one core, one simulator at a time."""

import resource
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.backends.ray.remote_policy import RemotePolicy
from harness.contracts.policy import Policy, PolicySpec
from harness.contracts.record import EpisodeRecord
from harness.inference.serialization import plain, whole
from harness.play.rollout import Episode
from harness.play.worker import Worker
from harness.runs.block import Block
from harness.runs.plan import Cell


@dataclass(frozen=True)
class Finished:
    """A block's episodes and what the process that played them has grown to.

    Attributes:
        played: Their records, each with its actions, plain.
        memory: The process's peak memory in bytes.
    """

    played: Sequence[tuple[EpisodeRecord, Any]]
    memory: int

    @property
    def episodes(self) -> list[Episode]:
        """The episodes."""
        return [Episode(record, whole(actions)) for record, actions in self.played]


class EnvActor:
    """Plays the blocks that the driver sends, one at a time."""

    def __init__(
        self,
        cells: Sequence[Cell],
        local: Mapping[str, Policy],
        remote: Mapping[str, PolicySpec],
        deadline: float,
        apart: bool,
    ) -> None:
        """Load the policies that live here and build stand-ins for the others.

        Args:
            cells: The benchmarks.
            local: The policies that live beside the environment, by identity.
            remote: What the policies need that live in actors, by identity.
            deadline: Seconds after which a step counts as hung and the process is killed.
            apart: Whether this is the Python environment of a benchmark's own.
        """
        # The kernel delivers this one whether or not a native call ever gives Python the floor.
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        self._deadline = deadline
        self._remote = {name: RemotePolicy(spec, apart) for name, spec in remote.items()}
        for policy in local.values():
            policy.load()
        self._worker = Worker(cells, {**local, **self._remote}, self._alive)

    def ready(self) -> None:
        """Return once the process is up."""

    def play(self, block: Block, replica: Any) -> Finished:
        """Play one block, asking `replica` if the policy lives in an actor."""
        remote = self._remote.get(block.policy)
        if remote is not None:
            remote.attach(replica)
        try:
            episodes = self._worker.play(block)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        if remote is not None:
            episodes = remote.billed(episodes)
        kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        played = [(episode.record, plain(episode.actions)) for episode in episodes]
        return Finished(played, kilobytes * 1024)

    def _alive(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, self._deadline)
