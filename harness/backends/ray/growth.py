"""Adds policy replicas while the workers ask for more than those there are can answer."""

from collections.abc import Iterator, Sequence
from typing import Any

import ray
from ray.exceptions import RayActorError, RayError

from harness.backends.ray.worker_group import Crew, Replica
from harness.contracts.errors import UsageError
from harness.inference.batcher import Load

FULL = 0.8
"""How busy replicas may be on average; beyond it waiting grows fast."""
WINDOW = 3.0
"""Seconds over which that is measured."""


class Growth:
    """Looks at the replicas of every crew once in a while."""

    def __init__(self, crews: Sequence[Crew]) -> None:
        """Watch these crews."""
        self._crews = crews
        self._complete: set[str] = set()
        self._asked: dict[Any, Replica] = {}
        self._seen: dict[Replica, list[Load]] = {}

    def look(self) -> Iterator[str]:
        """Take in what the replicas answered, start more where they are full, and ask again."""
        yield from self._listen()
        for crew in self._crews:
            for policy in sorted({replica.policy for replica in crew.replicas}):
                mine = [replica for replica in crew.replicas if replica.policy == policy]
                busy = [self._busy(replica) for replica in mine]
                known = [share for share in busy if share is not None]
                if len(known) < len(mine):
                    continue
                share = sum(known) / len(known)
                wanted = share > FULL and len(mine) < crew.seats and policy not in self._complete
                if wanted and self._has_room(mine, crew):
                    crew.grow(policy)
                    yield f"{policy}: {share:.0%} busy, starting replica {len(mine) + 1}"
                for replica in mine:
                    self._seen[replica] = []
        waiting = set(self._asked.values())
        for crew in self._crews:
            for replica in crew.replicas:
                if replica not in waiting:
                    self._asked[replica.actor.load.remote()] = replica

    def _listen(self) -> Iterator[str]:
        if not self._asked:
            return
        done, _ = ray.wait(list(self._asked), num_returns=len(self._asked), timeout=0)
        for answer in done:
            replica = self._asked.pop(answer)
            try:
                self._seen.setdefault(replica, []).append(ray.get(answer))
                replica.loaded = True
            except RayError as error:
                self._seen[replica] = []  # It died, and its clock and its counter with it.
                if isinstance(error, RayActorError) and error.actor_init_failed:
                    yield self._without(replica)

    def _without(self, replica: Replica) -> str:
        """Do without a replica that cannot load, and start no other of its policy.

        Raises:
            UsageError: It was the last one.
        """
        self._complete.add(replica.policy)
        crew = next(crew for crew in self._crews if replica in crew.replicas)
        crew.drop(replica)
        if crew.replica(replica.policy) is None:
            raise UsageError(f"{replica.policy}: its process died and the policy loads no more")
        return f"{replica.policy}: another replica cannot load; going on without it"

    def _busy(self, replica: Replica) -> float | None:
        """Return how busy a replica was over a window; None before one has passed."""
        loads = self._seen.get(replica, [])
        if not loads or loads[-1].now - loads[0].now < WINDOW:
            return None
        return (loads[-1].busy - loads[0].busy) / (loads[-1].now - loads[0].now)

    def _has_room(self, replicas: Sequence[Replica], crew: Crew) -> bool:
        """Return whether the cluster has the devices, and the node the memory, for one more."""
        load = self._seen[replicas[0]][-1]
        if crew.gpus:
            there: dict[str, float] = ray.available_resources()  # type: ignore[no-untyped-call]
            fits = there.get("GPU", 0) >= crew.gpus
        else:
            fits = len(replicas) < load.cores
        return fits and load.free > 1.5 * load.memory
