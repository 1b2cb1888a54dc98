"""A crew: policy actors and the workers they serve, kept on one node by a placement group."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray.util.placement_group import PlacementGroup, placement_group, remove_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from harness.backends.ray.env_actor import EnvActor
from harness.backends.ray.options import RayOptions
from harness.contracts.policy import LocalPolicy
from harness.contracts.registry import make_policy
from harness.inference.batcher import PolicyActor
from harness.runs.plan import Work

INFER_AGAIN = 5
"""How often an inference is asked again when its actor died under it."""


@dataclass(eq=False)
class Worker:
    """An environment actor, as the driver sees it.

    Attributes:
        actor: The actor.
        crew: Where it belongs.
        seat: Its bundle in the crew's placement group.
        interpreter: The program it runs in; empty for this process's own.
        played: Episodes so far.
    """

    actor: Any
    crew: "Crew"
    seat: int
    interpreter: str = ""
    played: int = 0


@dataclass(eq=False)
class Replica:
    """A policy actor, as the driver sees it.

    Attributes:
        policy: The policy's identity.
        actor: The actor.
        blocks: Blocks of episodes that it serves now.
        loaded: Whether its policy is there; before that nobody is sent to it.
    """

    policy: str
    actor: Any
    blocks: int = 0
    loaded: bool = False


class Crew:
    """Replicas of every policy that has a model, and workers that ask nobody else.

    Frames travel through the memory of one node. A crew without such policies needs no group: its
    workers spread over the cluster.
    """

    def __init__(self, work: Work, options: RayOptions, gpus: float, seats: int) -> None:
        """Reserve the room and start the policies, with so many GPUs for each."""
        self._work, self._options = work, options
        self.gpus, self.seats = gpus, seats
        self._remote = {
            name: policy.spec
            for name, policy in work.policies.items()
            if not isinstance(policy, LocalPolicy)
        }
        # Made anew and sent: another Python may not know them by name, and those of the plan may
        # have met an environment here.
        self._local = {
            name: make_policy(reference)
            for name, reference in work.references.items()
            if name not in self._remote
        }
        self._group: PlacementGroup | None = None
        if self._remote:
            # No CPU is claimed for the policies, so that N workers fit N CPUs: who waits for a
            # policy on a CPU leaves it his. A group wants something for each of its members.
            room = {"GPU": gpus * len(self._remote)} if gpus else {"memory": 1.0}
            self._group = placement_group([room, *([{"CPU": 1.0}] * seats)], strategy="PACK")
        self.replicas = [self._start_replica(name, self._placed(0)) for name in self._remote]

    def hire(self, seat: int, interpreter: str = "") -> Worker:
        """Start a worker, in the Python environment that its tasks need."""
        # Not restarted by Ray: a call may have run before its actor died, so the driver decides.
        make: Any = ray.remote(EnvActor)
        actor = make.options(
            num_cpus=1,
            max_restarts=0,
            max_task_retries=0,
            scheduling_strategy=self._placed(seat + 1),
            runtime_env={"py_executable": interpreter} if interpreter else None,
        ).remote(
            self._work.cells, self._local, self._remote, self._options.deadline, bool(interpreter)
        )
        return Worker(actor, self, seat, interpreter)

    def grow(self, policy: str) -> None:
        """Start one more replica of a policy, beside the first if it fits there."""
        self.replicas.append(self._start_replica(policy, "DEFAULT"))

    def replica(self, policy: str) -> Replica | None:
        """Return the replica with the fewest blocks; None if the policy lives with its worker."""
        mine = [one for one in self.replicas if one.policy == policy and one.loaded]
        return min(mine, key=lambda replica: replica.blocks, default=None)

    def drop(self, replica: Replica) -> None:
        """Do without a replica."""
        self.replicas.remove(replica)
        ray.kill(replica.actor)

    def dismiss(self, workers: Sequence[Worker]) -> None:
        """Let everybody go and give the room back."""
        for actor in [one.actor for one in workers] + [one.actor for one in self.replicas]:
            ray.kill(actor)
        if self._group is not None:
            remove_placement_group(self._group)

    def _start_replica(self, policy: str, place: Any) -> Replica:
        # Restarted and asked again by Ray: inferring twice gives the same and leaves no trace.
        make: Any = ray.remote(PolicyActor)
        options = self._options
        actor = make.options(
            num_cpus=0,
            num_gpus=self.gpus,
            max_restarts=-1,
            max_task_retries=INFER_AGAIN,
            # Ray's log of every call would cost a twelfth of the call.
            enable_task_events=False,
            # A thread for each worker that may ask, and one to say how busy it is.
            max_concurrency=self.seats + 2,
            scheduling_strategy=place,
        ).remote(
            self._work.references[policy],
            self.gpus,
            options.max_batch,
            options.max_wait,
            options.policy_deadline,
        )
        return Replica(policy, actor)

    def _placed(self, bundle: int) -> Any:
        if self._group is None:
            return "SPREAD"
        return PlacementGroupSchedulingStrategy(self._group, bundle)
