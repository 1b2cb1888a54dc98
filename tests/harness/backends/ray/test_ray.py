"""The Ray backend gives the records of the inline backend, even if processes are killed."""

import os
import random
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import ray
from assay_points import PointEnv

from harness.backends.ray.backend import run_ray
from harness.backends.ray.options import RayOptions
from harness.backends.ray.schedule import Schedule
from harness.cli import main as run_eval
from harness.contracts.errors import PolicyCrashed
from harness.contracts.policy import Query
from harness.contracts.spec import EpisodeSpec
from harness.inference.batcher import Batcher, Request
from harness.inference.memories import Place
from harness.runs.folder import Run
from tests.helpers.plays import actors, inline, played, wait_until, work
from tests.helpers.serving import served

TASKS = ("left", "right")


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize(
    "options",
    [
        RayOptions(workers=1),
        RayOptions(workers=2, replicas=2),
        RayOptions(workers=4, max_batch=4),
        RayOptions(workers=2, recycle_after=3),
        RayOptions(workers=2, memory=1),
    ],
    ids=["one", "two replicas", "four in batches", "recycled by age", "recycled by memory"],
)
def test_any_number_of_workers_gives_the_inline_records(options: RayOptions) -> None:
    plan = work()
    specs = list(plan.specs)
    random.Random(0).shuffle(specs)
    assert played(run_ray(plan, specs, print, options=options), plan) == inline(plan)


@pytest.mark.slow
@pytest.mark.usefixtures("cluster")
def test_observation_that_breaks_a_batch_fails_only_its_own_episode() -> None:
    plan = work("fussy", episodes=8)
    options = RayOptions(workers=4, replicas=1, max_batch=4)
    episodes = list(run_ray(plan, plan.specs, print, options=options))
    assert played(iter(episodes), plan) == inline(plan)
    reasons = {e.record.reason.partition(" (")[0] for e in episodes if e.crashed}
    assert reasons == {"policy_crash: ValueError: not this one"}
    assert all("raise ValueError" in e.traceback for e in episodes if e.crashed)


def test_failed_batch_is_repeated_one_by_one_with_the_same_streams() -> None:
    batcher = Batcher("fussy", 0.0, 4, 60.0)
    still = {"image": {}, "state": np.ones(2, np.float32)}
    left, right = (still | {"instruction": f"reach {task}"} for task in TASKS)

    def infer(*observations: Any) -> list[Any]:
        streams = [np.random.default_rng(k) for k in range(len(observations))]
        requests = [
            Request(Query(o, s), Place("client", 0))
            for o, s in zip(observations, streams, strict=True)
        ]
        return batcher.infer_batch(requests)

    mixed, (_, expected) = infer(left, right), infer(right, right)
    assert isinstance(mixed[0], PolicyCrashed)
    assert mixed[1].batch == 1
    assert expected.batch == 2
    np.testing.assert_array_equal(mixed[1].chunk, expected.chunk)


@pytest.mark.usefixtures("cluster")
def test_policy_that_cannot_be_loaded_stops_the_run() -> None:
    plan = work("unloadable")
    with pytest.raises(PolicyCrashed, match="FileNotFoundError: no weights here"):
        list(run_ray(plan, plan.specs, print, options=RayOptions(workers=2)))


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize("policy", ["slow", "remembering"])
def test_killed_actors_do_not_change_the_records(policy: str) -> None:
    plan = work(policy, episodes=20)
    stop, killed, rng = threading.Event(), [], random.Random(1)

    def kill() -> None:
        while len(killed) < 4 and not stop.wait(2):
            candidates = actors("EnvActor" if len(killed) % 2 == 0 else "PolicyActor")
            if candidates:
                os.kill(rng.choice(candidates), signal.SIGKILL)
                killed.append(1)

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        records = played(
            run_ray(plan, plan.specs, print, options=RayOptions(workers=3, replicas=2)), plan
        )
    finally:
        stop.set()
        thread.join()
    assert len(killed) >= 2
    assert records == inline(plan)


@pytest.mark.slow
def test_hung_simulator_is_killed_and_its_episode_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ray.shutdown()
    flag = tmp_path / "hang"
    plan = work()
    expected = inline(plan)
    flag.touch()
    monkeypatch.setenv("ASSAY_POINTS_HANG", str(flag))
    assert (
        played(run_ray(plan, plan.specs, print, options=RayOptions(workers=2, deadline=5)), plan)
        == expected
    )
    assert not flag.exists()


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["hang", "exit"])
def test_policy_that_hangs_or_exits_is_restarted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    ray.shutdown()
    flag = tmp_path / "hang"
    plan = work("slow")
    expected = inline(plan)
    flag.write_text(fault)
    monkeypatch.setenv("ASSAY_POINTS_HANG_POLICY", str(flag))
    options = RayOptions(workers=2, policy_deadline=5)
    assert played(run_ray(plan, plan.specs, print, options=options), plan) == expected
    assert not flag.exists()


def listening() -> set[str]:
    """Return the addresses on which this process and its children listen."""
    own = psutil.Process()
    found = set()
    for process in (own, *own.children(recursive=True)):
        with suppress(psutil.Error):
            sockets = process.net_connections("inet")
            found |= {s.laddr.ip for s in sockets if s.status == psutil.CONN_LISTEN}
    return found


@pytest.mark.slow
def test_local_ray_listens_only_on_loopback() -> None:
    ray.shutdown()
    episodes = run_ray(work(), work().specs, print, options=RayOptions(workers=2))
    next(episodes)
    assert {node["NodeManagerAddress"] for node in ray.nodes()} == {"127.0.0.1"}
    assert listening() <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}
    assert listening()
    episodes.close()


@pytest.mark.slow
def test_run_continues_after_its_driver_was_killed(tmp_path: Path, points: type[PointEnv]) -> None:
    def start(out: Path) -> list[str]:
        run = ["run", "--policy", "slow", "--benchmark", "points_two", "--episodes", "20"]
        return [*run, "--workers", "2", "--out", str(out)]

    del points
    process = subprocess.Popen([sys.executable, "run_eval.py", *start(tmp_path)])
    log = tmp_path / "episodes.jsonl"
    wait_until(lambda: log.exists() and log.read_text().count("\n") >= 5)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert log.read_text().count("\n") < 40
    assert run_eval.main(start(tmp_path)) == 0
    assert log.read_text().count("\n") == 40
    plan = work("slow", episodes=20)
    records = Run.existing(tmp_path).records()
    assert [records[spec.key].deterministic() for spec in plan.specs] == inline(plan)


def one(task: str, episode: int) -> EpisodeSpec:
    return EpisodeSpec("p", "b", task, episode, 0, "c")


def test_worker_keeps_its_task_and_then_joins_the_longest() -> None:
    schedule = Schedule([one(task, k) for task, n in (("a", 2), ("b", 9)) for k in range(n)])
    assert [schedule.next("x"), schedule.next("y")] == [one("a", 0), one("b", 0)]
    assert [schedule.next("x"), schedule.next("y")] == [one("a", 1), one("b", 1)]
    assert schedule.next("x") == one("b", 2)
    schedule.put_back(one("b", 2))
    schedule.leave("x")
    assert schedule.next("y") == one("b", 2)
    assert len(schedule) == 6


def test_worker_does_not_join_a_task_with_few_episodes_left() -> None:
    schedule = Schedule([one("a", k) for k in range(3)])
    assert schedule.next("x") == one("a", 0)
    assert schedule.next("y") is None
    assert schedule.next("x") == one("a", 1)


def test_reserved_task_waits_for_its_worker_unless_nothing_else_is_left() -> None:
    schedule = Schedule([one(task, 0) for task in "abc"])
    assert schedule.reserve("x", 0) == one("a", 0)
    assert schedule.reserve("y", 1) == one("b", 0)
    assert schedule.next("y") == one("b", 0)
    assert [schedule.next("y"), schedule.next("y")] == [one("c", 0), one("a", 0)]
    assert schedule.next("x") is None
    schedule.put_back(one("b", 0))
    schedule.reserve("z", 1)
    schedule.leave("z")
    assert schedule.next("x") == one("b", 0)


@pytest.mark.slow
@pytest.mark.usefixtures("cluster")
def test_policy_on_a_server_gives_the_inline_records() -> None:
    # Two of the three clients wait for the first answer, so they share a batch.
    with served("slow") as port:
        plan = work(f"remote:ws://127.0.0.1:{port}")
        options = RayOptions(workers=3, replicas=1, max_batch=2)
        episodes = list(run_ray(plan, plan.specs, print, options=options))
    assert played(iter(episodes), plan) == inline(work("slow"))
    assert any("2" in episode.record.batches for episode in episodes)


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize(
    ("policy", "options", "expected"),
    [
        ("ragged", RayOptions(workers=1, max_batch=16), ["--max-batch has no effect"]),
        ("homing", RayOptions(workers=1, max_batch=16), []),
        ("homing", RayOptions(workers=1, batching="fast"), ["--batching fast has no effect"]),
        ("homing", RayOptions(workers=1), []),
    ],
)
def test_options_without_effect_are_named(
    policy: str, options: RayOptions, expected: list[str]
) -> None:
    notices: list[str] = []
    plan = work(policy, 1)
    list(run_ray(plan, plan.specs, notices.append, options=options))
    assert [notice.partition(":")[0] for notice in notices] == expected
