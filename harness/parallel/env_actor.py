"""The actor that steps environments: one process, one core, one simulator at a time."""

import resource
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.block import Block
from harness.parallel.remote_policy import RemotePolicy
from harness.plan import Cell
from harness.policy import Policy, PolicySpec
from harness.registry import make_policy
from harness.rollout import Episode
from harness.worker import Worker


@dataclass(frozen=True)
class Finished:
    """A block's episodes and what the process that played them has grown to.

    Attributes:
        episodes: The episodes.
        memory: The process's peak memory in bytes.
    """

    episodes: Sequence[Episode]
    memory: int


class EnvActor:
    """Plays the blocks that the driver sends, one at a time."""

    def __init__(
        self,
        cells: Sequence[Cell],
        local: Mapping[str, str],
        remote: Mapping[str, PolicySpec],
        deadline: float,
    ) -> None:
        """Build the policies that live here and stand-ins for the others.

        Args:
            cells: The benchmarks.
            local: References of the policies that live beside the environment, by identity.
            remote: What the policies need that live in actors, by identity.
            deadline: Seconds after which a step counts as hung and the process is killed.
        """
        # The kernel delivers this one whether or not a native call ever gives Python the floor.
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        self._deadline = deadline
        self._remote = {name: RemotePolicy(spec) for name, spec in remote.items()}
        policies: dict[str, Policy] = {name: make_policy(ref) for name, ref in local.items()}
        for policy in policies.values():
            policy.load()
        self._worker = Worker(cells, policies | self._remote, self._alive)

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
        return Finished(episodes, kilobytes * 1024)

    def _alive(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, self._deadline)
