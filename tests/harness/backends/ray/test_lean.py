"""A local Ray starts only what a run uses."""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import ray

from harness.backends.ray.backend import FRAMES_GO_DIRECTLY, connect, disconnect
from harness.backends.ray.options import RayOptions
from harness.play.threads import ONE_CORE

AGENTS = {"main.py", "ray::RuntimeEnvAgent"}
"""The agent of runtime environments, before and after it names itself."""


@pytest.fixture
def others() -> frozenset[psutil.Process]:
    """Return the children that other tests have left to this process."""
    ray.shutdown()
    return frozenset(psutil.Process().children(recursive=True))


@pytest.fixture(params=[False, True], ids=["plain", "runtime environments"])
def runtime_envs(
    request: pytest.FixtureRequest, others: frozenset[psutil.Process]
) -> Iterator[bool]:
    connect(RayOptions(workers=1), runtime_envs=request.param)
    yield request.param
    disconnect()


def programs(others: frozenset[psutil.Process]) -> Counter[str]:
    """Count this process's other children by the name of their program."""
    found: Counter[str] = Counter()
    for child in {*psutil.Process().children(recursive=True)} - others:
        words = child.cmdline()
        script = next((word for word in words[:5] if word.endswith(".py")), "".join(words[:1]))
        found[Path(script.strip()).name] += 1
    return found


def test_only_what_is_used_runs_and_actors_have_their_environment(
    runtime_envs: bool, others: frozenset[psutil.Process]
) -> None:
    running = programs(others)
    agents = sum(running.pop(name, 0) for name in AGENTS)
    assert agents == runtime_envs
    assert running == {"gcs_server": 1, "raylet": 1, "reaper.py": 1, "stand_in.py": 2 - agents}
    wanted = ONE_CORE | FRAMES_GO_DIRECTLY
    find = ray.remote(lambda: {name: os.environ.get(name) for name in wanted})
    assert ray.get(find.remote()) == wanted
    assert not FRAMES_GO_DIRECTLY.keys() & os.environ.keys()
