"""The actor that runs a policy with a model and answers the workers of its group."""

import os

from harness.backends.ray.guard import start_guard
from harness.contracts.policy import Policy
from harness.inference.batcher import Batcher, Batching
from harness.play.memory import limit_memory


class PolicyActor(Batcher):
    """A `Batcher` in a process that cannot take the machine's whole memory or stay stopped."""

    def __init__(
        self,
        policy: str | Policy,
        gpus: float,
        max_batch: int,
        deadline: float,
        batching: Batching,
        most_memory: int | None,
    ) -> None:
        """Limit this process and load the policy, as `Batcher` does."""
        if not gpus:
            # Ray leaves all GPUs visible to an actor that has none.
            os.environ["CUDA_VISIBLE_DEVICES"] = ""
        limit_memory(most_memory)
        start_guard(deadline)
        super().__init__(policy, gpus, max_batch, deadline, batching)
