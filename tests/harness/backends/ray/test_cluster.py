"""The Ray backend on a cluster of several nodes, which Ray simulates on one machine."""

from collections import Counter
from collections.abc import Iterator

import pytest
import ray
from ray._private import state
from ray.cluster_utils import Cluster

from harness.backends.ray import driver
from harness.backends.ray.backend import run_ray
from harness.backends.ray.options import RayOptions
from tests.helpers.plays import inline, played, wait_until, work


@pytest.fixture
def nodes() -> Iterator[Cluster]:
    """A head node without resources and two nodes with two CPUs and two simulated GPUs."""
    ray.shutdown()
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "num_gpus": 0})
    for _ in range(2):
        cluster.add_node(num_cpus=2, num_gpus=2)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


def actors_per_node(name: str) -> dict[str, int]:
    """Return the number of running actors of a class on each node."""
    living = [a for a in state.actors().values() if a["State"] == "ALIVE"]
    return Counter(a["Address"]["NodeID"] for a in living if a["ActorClassName"] == name)


@pytest.mark.slow
def test_records_survive_the_loss_of_a_node(nodes: Cluster) -> None:
    plan = work("slow", episodes=20)
    options = RayOptions(workers=4, replicas=2, address=nodes.address)
    episodes = run_ray(plan, plan.specs, print, options=options)
    first = [next(episodes) for _ in range(4)]
    wait_until(lambda: sorted(actors_per_node("PolicyActor").values()) == [1, 1])
    groups = actors_per_node("PolicyActor")
    wait_until(lambda: actors_per_node("EnvActor") == dict.fromkeys(groups, 2))
    doomed = next(node for node in nodes.worker_nodes if node.node_id in groups)
    nodes.remove_node(doomed, allow_graceful=False)
    assert played(iter([*first, *episodes]), plan) == inline(plan)


@pytest.mark.slow
def test_each_node_has_a_worker_group_and_replicas_share_gpus(nodes: Cluster) -> None:
    plan = work("slow", episodes=4)
    options = RayOptions(workers=4, gpus=0.5, address=nodes.address)
    episodes = run_ray(plan, plan.specs, print, options=options)
    first = next(episodes)
    wait_until(lambda: len(actors_per_node("PolicyActor")) == 2)
    wait_until(lambda: ray.available_resources()["GPU"] == 3)
    assert first.record.gpu == pytest.approx(0.5 * first.record.timing["policy"], abs=1e-3)
    assert played(iter([first, *episodes]), plan) == inline(plan)


class _NoticeSeenError(Exception):
    """Stops the run after the expected notice."""


@pytest.mark.slow
def test_notice_names_the_workers_that_cannot_start(
    nodes: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver, "PATIENCE", 2.0)

    def tell(notice: str) -> None:
        assert "8 of 8 workers and 1 policies have not started" in notice
        assert "The cluster has 4 CPUs and 4 GPUs" in notice
        raise _NoticeSeenError

    options = RayOptions(workers=8, replicas=1, address=nodes.address)
    plan = work()
    with pytest.raises(_NoticeSeenError):
        list(run_ray(plan, plan.specs, tell, options=options))
