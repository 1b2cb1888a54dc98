"""Actors that are stopped or eat memory do not stop a run, and change no other episode."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import ray

from harness.backends.ray.backend import run_ray
from harness.backends.ray.options import RayOptions
from tests.helpers.plays import actors, inline, played, wait_until, work

DEADLINE = 4.0


@pytest.fixture
def fresh_ray() -> Iterator[None]:
    """Let the run start a Ray of its own."""
    ray.shutdown()
    yield
    ray.shutdown()


@pytest.mark.slow
@pytest.mark.usefixtures("fresh_ray")
@pytest.mark.parametrize("name", ["EnvActor", "PolicyActor"])
def test_stopped_actor_is_replaced_and_its_episode_played_again(name: str) -> None:
    plan, stopped = work("slow", episodes=10), []

    def stop() -> None:
        wait_until(lambda: bool(actors(name)), 60)
        stopped.append(actors(name)[0])
        os.kill(stopped[0], signal.SIGSTOP)

    options = RayOptions(workers=2, deadline=DEADLINE, policy_deadline=DEADLINE)
    episodes = run_ray(plan, plan.specs, print, options=options)
    first = next(episodes)
    thread = threading.Thread(target=stop)
    thread.start()
    records = played(iter([first, *episodes]), plan)
    thread.join()
    assert not psutil.pid_exists(stopped[0])
    assert records == inline(plan)


HUNGRY = """
import numpy as np

def act(observation):
    kept = []
    while "left" in observation["instruction"]:
        kept.append({piece})
    return np.zeros((6, 2), np.float32)
"""


@pytest.mark.slow
@pytest.mark.usefixtures("fresh_ray")
@pytest.mark.parametrize("piece", ["np.ones(2**22)", "bytes(1000)"], ids=["large", "small"])
def test_policy_that_eats_memory_is_an_error_of_its_episodes_alone(
    tmp_path: Path, piece: str
) -> None:
    file = tmp_path / "hungry.py"
    file.write_text(HUNGRY.format(piece=piece))
    plan = work(f"python:{file}:act", episodes=2)
    available: Callable[[], int] = lambda: psutil.virtual_memory().available  # noqa: E731
    before, options = available(), RayOptions(workers=1, most_memory=2 * 2**30)
    lowest, episodes = before, {}
    for episode in run_ray(plan, plan.specs, print, options=options):
        lowest = min(lowest, available())
        episodes[episode.record.spec] = episode
    for spec, episode in episodes.items():
        if spec.task == "left":
            assert episode.record.outcome == "error"
            assert "MemoryError" in episode.record.reason
        else:
            assert episode.record.outcome == "failure"
    assert before - lowest < 4 * 2**30
