"""The batcher infers waiting requests in one batch."""

import threading
import time
from typing import Any

import numpy as np
import pytest

from harness.contracts.policy import Query
from harness.inference.batcher import Batcher
from harness.inference.memories import Place


def infer_at_once(batcher: Batcher, clients: int) -> list[Any]:
    """Call the batcher from several threads at once and return the answers."""
    answers: list[Any] = [None] * clients
    started = threading.Barrier(clients)

    def infer(client: int) -> None:
        state = np.ones(2, np.float32)
        observation: Any = {"image": {}, "state": state, "instruction": "reach left"}
        started.wait()
        query = Query(observation, np.random.default_rng(client))
        (answers[client],) = batcher.infer([query], [Place(str(client), 0)])

    threads = [threading.Thread(target=infer, args=(k,)) for k in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


@pytest.mark.parametrize(("policy", "limit", "largest"), [("homing", 4, 4), ("homing", 1, 1)])
def test_waiting_requests_share_a_batch_up_to_the_limit(
    policy: str, limit: int, largest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    batcher = Batcher(policy, 0.0, limit, 0.0)
    infer = batcher.infer_batch

    def slow(batch: Any) -> Any:
        time.sleep(0.2)
        return infer(batch)

    monkeypatch.setattr(batcher, "infer_batch", slow)
    sizes = [answer.batch for answer in infer_at_once(batcher, 9)]
    assert max(sizes) == largest


def test_policy_without_batches_gets_one_observation() -> None:
    batcher = Batcher("ragged", 0.0, 8, 0.0)
    assert {answer.batch for answer in infer_at_once(batcher, 4)} == {1}
