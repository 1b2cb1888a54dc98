"""What a run leaves in Ray's GCS."""

import pytest
import ray
from ray._private import state

from harness.backends.ray.backend import run_ray
from harness.backends.ray.options import RayOptions
from tests.helpers.plays import wait_until, work


@ray.remote
def afterwards() -> None:
    pass


def kept() -> set[str]:
    """Return the names of the calls whose events the GCS keeps."""
    return {event.task_info.name for event in state.state._get_all_task_events()}


@pytest.mark.usefixtures("cluster")
def test_the_gcs_keeps_no_events_of_episodes() -> None:
    plan = work()
    assert len(list(run_ray(plan, plan.specs, print, options=RayOptions(workers=2)))) == 12
    ray.get(afterwards.remote())  # This process sends the events of its calls in their order.
    wait_until(lambda: any(name.endswith("afterwards") for name in kept()), 60)
    assert not [name for name in kept() if "play" in name or "infer" in name]
