"""A worker group: policy actors and the workers that they serve, on one node."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray.util.placement_group import PlacementGroup, placement_group, remove_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from harness.backends.ray.env_actor import EnvActor
from harness.backends.ray.options import RayOptions
from harness.backends.ray.policy_actor import PolicyActor
from harness.contracts.registry import make_policy
from harness.runs.plan import Work

INFER_AGAIN = 5
"""How often an inference is repeated after its actor died."""


@dataclass(eq=False)
class WorkerHandle:
    """An environment actor, as the driver sees it.

    Attributes:
        actor: The actor.
        group: Its worker group.
        slot: Its number in the group.
        interpreter: The Python program that it runs; empty for this process's own.
        played: Episodes so far.
    """

    actor: Any
    group: "WorkerGroup"
    slot: int
    interpreter: str = ""
    played: int = 0


@dataclass(eq=False)
class Replica:
    """A policy actor, as the driver sees it.

    Attributes:
        policy: The policy's identity.
        actor: The actor.
    """

    policy: str
    actor: Any


class WorkerGroup:
    """One replica of every policy that runs in an actor, and the workers that ask it.

    A placement group keeps them on one node, so that images travel through its memory. Without
    policy actors there is no placement group, and the workers spread over the cluster.
    """

    def __init__(self, work: Work, options: RayOptions, gpus: float, slots: int) -> None:
        """Reserve resources and start the policy actors with `gpus` GPUs each."""
        self._work, self._options = work, options
        self._gpus, self.slots = gpus, slots
        self._remote = {
            name: policy.spec for name, policy in work.policies.items() if not policy.needs_env
        }
        self._local = {
            name: work.origin(name) for name in work.policies if name not in self._remote
        }
        self._group: PlacementGroup | None = None
        if self._remote:
            # Policy actors reserve no CPU, so that N workers fit on N cores: a worker that waits
            # for an inference is idle anyway. Ray wants some resource in every bundle. Each actor
            # has a bundle of its own: its share is of one GPU, and a sum may be cut between two.
            room = {"GPU": gpus} if gpus else {"memory": 1.0}
            bundles = [room] * len(self._remote) + [{"CPU": 1.0}] * slots
            self._group = placement_group(bundles, strategy="PACK")
        self.replicas = [
            self._start_replica(name, self._bundle(place))
            for place, name in enumerate(self._remote)
        ]

    def start(self, slot: int, interpreter: str = "") -> WorkerHandle:
        """Start a worker in the Python environment that its tasks need."""
        # A user's class can only be imported again, not sent. Another Python may lack the registry,
        # and gets new objects: those of the plan may hold an environment of this process.
        local = self._local
        if interpreter:
            local = {n: make_policy(o) if isinstance(o, str) else o for n, o in local.items()}
        # Ray must not restart it: an episode may be lost with it, so the driver decides.
        make: Any = ray.remote(EnvActor)
        actor = make.options(
            num_cpus=1,
            max_restarts=0,
            max_task_retries=0,
            # Ray's GCS would keep the event of each call: 20 KiB for an episode, see perf/soak.py.
            enable_task_events=False,
            scheduling_strategy=self._bundle(len(self._remote) + slot),
            runtime_env={"py_executable": interpreter} if interpreter else None,
        ).remote(
            self._work.setups,
            local,
            self._remote,
            self._options.deadline,
            bool(interpreter),
            self._options.most_memory,
        )
        return WorkerHandle(actor, self, slot, interpreter)

    def replica(self, policy: str) -> Replica | None:
        """Return the policy's actor; None if the policy runs in the worker."""
        return next((one for one in self.replicas if one.policy == policy), None)

    def stop(self, workers: Sequence[WorkerHandle]) -> None:
        """Kill these workers and all policy actors, and give the resources back."""
        for actor in [one.actor for one in workers] + [one.actor for one in self.replicas]:
            ray.kill(actor)
        if self._group is not None:
            remove_placement_group(self._group)

    def _start_replica(self, policy: str, strategy: Any) -> Replica:
        # Ray may restart it and ask again: inferring twice gives the same answer.
        make: Any = ray.remote(PolicyActor)
        options = self._options
        actor = make.options(
            num_cpus=0,
            num_gpus=self._gpus,
            max_restarts=-1,
            max_task_retries=INFER_AGAIN,
            # Ray's log of task events would cost a twelfth of each call.
            enable_task_events=False,
            # One thread for each worker that may ask, and one for `ready`.
            max_concurrency=self.slots + 1,
            scheduling_strategy=strategy,
        ).remote(
            self._work.origin(policy),
            self._gpus,
            options.max_batch,
            options.policy_deadline,
            options.batching,
            options.most_memory,
        )
        return Replica(policy, actor)

    def _bundle(self, bundle: int) -> Any:
        if self._group is None:
            return "SPREAD"
        return PlacementGroupSchedulingStrategy(self._group, bundle)
