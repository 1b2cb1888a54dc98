"""A driver notices that Ray has died before it asks Ray for anything."""

import subprocess
import sys

import pytest

REPLACES_A_WORKER = """
import psutil
from harness.backends.ray.backend import run_ray
from harness.backends.ray.options import RayOptions
from harness.contracts.errors import RayLost
from harness.runs.plan import BenchmarkRequest, Plan, resolve

plan = resolve(Plan(("homing",), (BenchmarkRequest("points_filmed", protocol="short"),), 500))
episodes = run_ray(plan, plan.specs, print, options=RayOptions(workers=2, recycle_after=60))
for _ in range(10):
    next(episodes)
family = psutil.Process().children(recursive=True)
next(process for process in family if process.name() == "gcs_server").kill()
try:
    print(len(list(episodes)))
except RayLost as error:
    print("lost:", error)
"""


@pytest.mark.slow
def test_worker_that_must_be_replaced_does_not_wait_for_a_dead_gcs() -> None:
    # Ray itself would end the process after a minute.
    done = subprocess.run(
        [sys.executable, "-c", REPLACES_A_WORKER],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.stdout.startswith("lost: Ray's GCS has died"), (done.stdout, done.stderr[-2000:])
    assert done.returncode == 0
