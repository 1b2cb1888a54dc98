"""What a user can choose about a run on Ray."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class RayOptions:
    """How the Ray backend runs; what is None it finds out by itself.

    Attributes:
        workers: Environment actors.
        address: A cluster to join; empty starts a local one, bound to loopback.
        replicas: Policy actors for each policy that does not live beside its environment.
        gpus: GPUs for each policy actor; a fraction shares one.
        max_batch: Observations in a batch at most.
        max_wait: Seconds to wait for a batch to fill.
        deadline: Seconds after which a step counts as hung.
        policy_deadline: Seconds after which an inference counts as hung; a first one may compile.
        recycle_after: Episodes after which a worker's process is replaced.
        memory: Bytes of memory past which a worker's process is replaced.
    """

    workers: int
    address: str = ""
    replicas: int | None = None
    gpus: float | None = None
    max_batch: int | None = None
    max_wait: float | None = None
    deadline: float = 120.0
    policy_deadline: float = 600.0
    recycle_after: int = 500
    memory: int = 6 * 2**30
