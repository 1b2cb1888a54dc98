"""The options of a run on Ray."""

from dataclasses import dataclass

from harness.inference.batcher import Batching


@dataclass(frozen=True, kw_only=True)
class RayOptions:
    """How the Ray backend runs.

    Attributes:
        workers: Environment actors.
        address: The cluster to join; empty starts a local one, bound to loopback.
        replicas: Policy actors for each policy with a model; None for one on each node.
        gpus: GPUs for each policy actor, a fraction shares one; None shares them evenly.
        max_batch: Queries in a batch, at most; None for the default.
        batching: Which batches are allowed.
        deadline: Seconds after which a step counts as hung.
        policy_deadline: Seconds after which an inference counts as hung. The first may compile.
        recycle_after: Episodes after which a worker's process is replaced.
        memory: Bytes of memory above which a worker's process is replaced.
        most_memory: Bytes that a process may allocate; None for a share of its machine's memory.
    """

    workers: int
    address: str = ""
    replicas: int | None = None
    gpus: float | None = None
    max_batch: int | None = None
    batching: Batching = "auto"
    deadline: float = 120.0
    policy_deadline: float = 600.0
    recycle_after: int = 500
    memory: int = 6 * 2**30
    most_memory: int | None = None
