"""Who gets which GPU: on a real Ray that is told of two GPUs, which need not be there."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray

from harness.backends.ray.backend import run_ray
from harness.backends.ray.gpus import actors_on, gpu_share, require_gpus
from harness.backends.ray.options import RayOptions
from harness.contracts.errors import UsageError
from harness.runs.plan import BenchmarkRequest, Plan, Work, resolve
from tests.helpers.plays import inline, played, wait_until

LOOKING = """
import os
import time
from pathlib import Path

import numpy as np

FOLDER = Path({folder!r})
EXPECTED = FOLDER / "expected"


class Looking:
    def __init__(self):
        seen = os.environ.get("CUDA_VISIBLE_DEVICES", "all")
        (FOLDER / f"{{os.getpid()}}-{{type(self).__name__}}").write_text(seen)

    def __call__(self, observation):
        # A replica that comes late finds nothing left to do.
        while EXPECTED.exists() and len(list(FOLDER.glob("*-Number*"))) < int(EXPECTED.read_text()):
            time.sleep(0.05)
        return np.full((5, 2), 0.02, np.float32)

    def reset(self):
        pass

    def select_action(self, batch):
        return np.full(2, 0.02, np.float32)
"""


@pytest.fixture(scope="module")
def two_gpus() -> Iterator[None]:
    ray.shutdown()
    ray.init(
        "local",
        num_cpus=3,
        num_gpus=2,
        include_dashboard=False,
        _node_ip_address="127.0.0.1",
        runtime_env={"env_vars": {"PYTHONPATH": os.environ["PYTHONPATH"]}},
        log_to_driver=False,
        logging_level="error",
    )
    yield
    ray.shutdown()


def looking(folder: Path, count: int, kind: str = "python") -> Work:
    """Return a plan with policies that write down which GPUs they see."""
    names = [f"Number{number}" for number in range(count)]
    file = folder / "looking.py"
    file.write_text(
        LOOKING.format(folder=str(folder))
        + "".join(f"\n\nclass {name}(Looking):\n    pass\n" for name in names)
    )
    policies = tuple(f"{kind}:{file}:{name}" for name in names)
    return resolve(Plan(policies, (BenchmarkRequest("points_two"),), 2))


def seen(folder: Path) -> list[str]:
    """Return what CUDA_VISIBLE_DEVICES was in the processes of the policies."""
    found = [path.read_text() for path in sorted(folder.glob("*-Number*"))]
    for path in folder.glob("*-Number*"):
        path.unlink()
    return sorted(found)


def run(plan: Work, folder: Path, options: RayOptions, processes: int) -> list[str]:
    """Play the plan, compare with a run in this process, and return what the policies saw."""
    wait_until(lambda: ray.available_resources().get("GPU") == 2, 60)
    expected = inline(plan)
    seen(folder)
    (folder / "expected").write_text(str(processes))
    assert played(run_ray(plan, plan.specs, print, options=options), plan) == expected
    return seen(folder)


@pytest.mark.slow
@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize(
    ("policies", "options", "devices"),
    [
        (3, {}, ["0", "0", "0"]),  # An even share of one.
        (2, {"gpus": 0.6}, ["0", "1"]),  # Two do not fit on one.
        (1, {"replicas": 2}, ["0", "1"]),
        (1, {"gpus": 0}, [""]),
    ],
)
def test_each_policy_sees_the_gpus_of_its_share(
    policies: int, options: dict[str, float], devices: list[str], tmp_path: Path
) -> None:
    ray_options = RayOptions(workers=int(options.get("replicas", 1)), **options)
    assert run(looking(tmp_path, policies), tmp_path, ray_options, len(devices)) == devices


@pytest.mark.slow
@pytest.mark.usefixtures("two_gpus")
def test_workers_take_no_gpu_and_see_them_all(tmp_path: Path) -> None:
    """They render, and one that hides the GPUs would render elsewhere than a run without Ray."""
    assert run(looking(tmp_path, 1, "lerobot"), tmp_path, RayOptions(workers=1), 1) == ["all"]


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize(
    ("policies", "options", "message"),
    [
        (3, {"gpus": 1}, "3 policy actors with 1 GPUs each do not fit on the 2 GPUs"),
        (2, {"gpus": 1, "replicas": 2}, "4 policy actors with 1 GPUs each"),
        (1, {"gpus": 1.5}, "--policy-gpus must be 0, a fraction from 0.0001 to 1, or a whole"),
    ],
)
def test_gpus_that_are_not_there_are_one_line_before_anything_starts(
    policies: int, options: dict[str, float], message: str, tmp_path: Path
) -> None:
    plan = looking(tmp_path, policies)
    with pytest.raises(UsageError, match=message) as raised:
        list(run_ray(plan, plan.specs, print, options=RayOptions(workers=3, **options)))
    assert "\n" not in str(raised.value)
    assert seen(tmp_path) == []


@pytest.mark.parametrize("wanted", [0.00001, 1.5, float("nan"), float("inf")])
def test_shares_that_ray_cannot_count_are_refused(wanted: float) -> None:
    with pytest.raises(UsageError, match="--policy-gpus must be"):
        gpu_share(wanted, 1, 8)


def test_policies_share_one_gpu_evenly_unless_told_otherwise() -> None:
    assert gpu_share(None, 4, 2) == 0.25
    assert gpu_share(None, 4, 0) == gpu_share(None, 0, 2) == 0
    assert gpu_share(0.3, 4, 0) == 0.3


@pytest.mark.parametrize("policies", range(1, 65))
def test_an_even_share_always_fits_on_one_gpu(policies: int) -> None:
    require_gpus(gpu_share(None, policies, 1), policies, [1])


def test_room_is_counted_by_whole_gpus() -> None:
    assert [actors_on(2, share) for share in (0.3, 0.5, 0.6, 1, 2, 3)] == [6, 4, 2, 2, 1, 0]
    assert actors_on(0, 0.1) == 0
    require_gpus(0, 5, [0])
    require_gpus(2, 2, [2, 3])
    with pytest.raises(UsageError, match="do not fit on the 3 GPUs"):
        require_gpus(1.0, 4, [2, 1])
