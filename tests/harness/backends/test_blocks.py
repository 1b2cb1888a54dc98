"""Blocks: many environments in one simulator, and the same records however they are played.

The points of a batch pull at each other, so a batch of another composition gives other records.
"""

import hashlib
import os
import random
import signal
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import ray
from assay_points import Homing, PointBatch, PointEnv

from harness.backends.inline import run_inline
from harness.backends.ray.backend import run_ray
from harness.backends.ray.options import RayOptions
from harness.backends.ray.schedule import Schedule
from harness.cli import main as run_eval
from harness.contracts.errors import UsageError
from harness.contracts.policy import Policy
from harness.contracts.record import EpisodeRecord
from harness.contracts.registry import find_benchmark
from harness.contracts.spec import EpisodeSpec
from harness.play.batch_rollout import run_block
from harness.play.meter import Meter
from harness.play.rollout import Episode
from harness.runs.block import Block, blocks
from harness.runs.folder import Run
from harness.runs.plan import BenchmarkRequest, Plan, Work, resolve
from tests.harness.backends.ray.test_ray import actors, cluster, inline, played

pytestmark = pytest.mark.usefixtures("points")
__all__ = ["cluster"]


def work(policy: str = "homing", episodes: int = 6, protocol: str = "four") -> Work:
    return resolve(Plan((policy,), (BenchmarkRequest("points_two", (), protocol),), episodes))


def run(out: Path, *extra: str, episodes: int = 6, policy: str = "homing") -> int:
    arguments = ["run", "--policy", policy, "--benchmark", "points_two", "--protocol", "four"]
    return run_eval.main([*arguments, "--episodes", str(episodes), "--out", str(out), *extra])


def outcomes(out: Path) -> list[dict[str, Any]]:
    return [r.deterministic() for _, r in sorted(Run.existing(out).records().items())]


def block_of(*rows: int, policy: str = "homing", size: int = 4) -> Block:
    label = find_benchmark("points_two").protocols()["four"].label
    specs = [EpisodeSpec(policy, "points_two", "left", k, 7, label) for k in range(size)]
    return Block(tuple(specs), rows)


def play(policy: Policy, *rows: int, replan: int | None = 4) -> list[Episode]:
    protocol = replace(find_benchmark("points_two").protocols()["four"], replan=replan)
    env = PointBatch("left", 30, 4)
    return run_block(env, policy, block_of(*rows), (), protocol, Meter())


def test_a_block_is_the_same_whatever_is_wanted_of_it() -> None:
    plan = work(episodes=6)
    first, second, *_ = blocks(plan, plan.specs)
    assert [spec.episode for spec in first.specs + second.specs] == list(range(8))
    assert (first.rows, second.rows) == ((0, 1, 2, 3), (0, 1))
    assert blocks(plan, plan.specs[5:3:-1]) == [second]
    assert blocks(plan, plan.specs[3:4]) == [Block(first.specs, (3,))]


def test_an_ordinary_protocol_makes_blocks_of_one() -> None:
    plan = work(protocol="plain")
    assert blocks(plan, plan.specs) == [Block((spec,)) for spec in plan.specs]


def test_past_the_last_episode_a_block_is_filled_with_the_first() -> None:
    plan = work(episodes=20, protocol="eight")
    last = blocks(plan, plan.specs)[2]
    assert [spec.episode for spec in last.specs] == [16, 17, 18, 19, 0, 1, 2, 3]
    assert last.rows == (0, 1, 2, 3)
    assert len(inline(plan)) == 40


def test_only_a_batch_marks_a_protocols_label() -> None:
    protocols = find_benchmark("points_two").protocols()
    assert "batch" not in protocols["plain"].rules
    assert protocols["four"].rules["batch"] == 4
    labels = {replace(protocols["four"], batch=k).label for k in (1, 4, 8)}
    assert len(labels) == 3


@pytest.mark.parametrize("policy", ["homing", "ragged"])
def test_fewer_episodes_are_the_first_of_more(policy: str) -> None:
    few, many = inline(work(policy, 3)), inline(work(policy, 20))
    assert few == many[:3] + many[20:23]
    assert few != inline(work(policy, 3, "eight"))
    assert {r["outcome"] for r in many} == {"success", "failure"}


@pytest.mark.usefixtures("cluster")
def test_ray_gives_the_inline_records_with_any_number_of_workers() -> None:
    for policy in ("homing", "ragged"):
        plan = work(policy)
        expected = inline(plan)
        for options in (RayOptions(workers=1), RayOptions(workers=3, recycle_after=8)):
            specs = list(plan.specs)
            random.Random(0).shuffle(specs)
            assert played(run_ray(plan, specs, print, options=options), plan) == expected


@pytest.mark.usefixtures("cluster")
def test_a_killed_worker_loses_no_episode_of_its_block() -> None:
    plan = work("slow", episodes=20)
    stop, killed = threading.Event(), []

    def kill() -> None:
        while len(killed) < 2 and not stop.wait(2):
            victims = actors("EnvActor")
            if victims:
                os.kill(victims[0], signal.SIGKILL)
                killed.append(1)

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        records = played(run_ray(plan, plan.specs, print, options=RayOptions(workers=2)), plan)
    finally:
        stop.set()
        thread.join()
    assert killed
    assert records == inline(plan)


def test_a_hung_simulator_costs_its_block_another_try(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ray.shutdown()
    flag, plan = tmp_path / "hang", work()
    expected = inline(plan)
    flag.touch()
    monkeypatch.setenv("ASSAY_POINTS_HANG", str(flag))
    options = RayOptions(workers=2, deadline=5)
    assert played(run_ray(plan, plan.specs, print, options=options), plan) == expected
    assert not flag.exists()


@pytest.mark.parametrize("kept", [1, 5, 9])
def test_a_cut_log_gets_back_what_it_lacks_and_nothing_else(tmp_path: Path, kept: int) -> None:
    run(tmp_path / "whole")
    run(tmp_path / "cut")
    log = tmp_path / "cut" / "episodes.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(lines[:kept]) + lines[kept][:40])
    assert run(tmp_path / "cut") == 0
    assert outcomes(tmp_path / "cut") == outcomes(tmp_path / "whole")
    again = log.read_bytes().splitlines(keepends=True)
    assert again[:kept] == lines[:kept]
    assert len(again) == 12


def test_an_error_of_the_simulator_plays_the_block_again(
    tmp_path: Path, points: type[PointEnv]
) -> None:
    run(tmp_path / "whole")
    points.faults[:] = [RuntimeError("out of memory")] * 2
    assert run(tmp_path / "again") == 0
    assert outcomes(tmp_path / "again") == outcomes(tmp_path / "whole")
    retries = [r.retries for r in Run.existing(tmp_path / "again").records().values()]
    assert sorted(retries) == [0] * 8 + [2] * 4


def test_an_error_that_stays_scores_nothing_of_its_block(
    tmp_path: Path, points: type[PointEnv]
) -> None:
    run(tmp_path / "whole")
    points.faults[:] = [RuntimeError("out of memory")] * 3
    assert run(tmp_path / "bad") == 3
    records = Run.existing(tmp_path / "bad").records().values()
    bad = [r for r in records if r.outcome == "error"]
    assert [(r.spec.episode, r.success, r.reason) for r in bad] == [
        (k, None, "RuntimeError: out of memory") for k in range(4)
    ]
    assert run(tmp_path / "bad") == 0
    assert outcomes(tmp_path / "bad") == outcomes(tmp_path / "whole")


def test_a_record_is_of_the_moment_its_episode_ended() -> None:
    episodes = play(Homing(), 0, 1, 2, 3)
    lengths = [episode.record.steps for episode in episodes]
    assert len(set(lengths)) > 1
    env = PointBatch("left", 30, 4)
    env.begin([(k, 7) for k in range(4)])
    for step in range(max(lengths)):
        rows = [e.actions[step] if step < len(e.actions) else env.idle_action(0) for e in episodes]
        env.advance(np.stack(rows))
        for row, (episode, length) in enumerate(zip(episodes, lengths, strict=True)):
            if step + 1 == length:
                state = hashlib.sha256(env.state_bytes(row)).hexdigest()
                assert episode.record.state_sha256 == state


def test_what_is_not_wanted_is_played_and_not_recorded() -> None:
    whole = [episode.record for episode in play(Homing(), 0, 1, 2, 3)]
    assert [e.record for e in play(Homing(), 2)] == whole[2:3]
    assert [e.record for e in play(Homing(), 0, 3)] == [whole[0], whole[3]]


def test_the_policy_is_asked_for_all_that_need_a_chunk_at_once() -> None:
    class Counting(Homing):
        def __init__(self) -> None:
            self.asked: list[int] = []

        def infer(self, observations: Sequence[Any], streams: Sequence[Any]) -> Sequence[Any]:
            self.asked.append(len(observations))
            return super().infer(observations, streams)

    for replan, longest in ((4, 4), (None, 6)):
        policy = Counting()
        episodes = play(policy, 0, 1, 2, 3, replan=replan)
        assert policy.asked[0] == 4
        rounds = max(-(-e.record.steps // longest) for e in episodes)
        assert len(policy.asked) == rounds


class Wrong(Homing):
    """Answers the observation of one row with whatever is wrong."""

    def __init__(self, wrong: Any) -> None:
        self._wrong = wrong
        self._victim: Any = None

    def infer(self, observations: Sequence[Any], streams: Sequence[Any]) -> Sequence[Any]:
        if self._victim is None:
            self._victim = observations[1]["state"].tobytes()
        chunks = list(super().infer(observations, streams))
        return [
            self._wrong if observation["state"].tobytes() == self._victim else chunk
            for observation, chunk in zip(observations, chunks, strict=True)
        ]


def test_a_wrong_chunk_fails_its_own_episode_alone() -> None:
    episodes = play(Wrong(np.full((4, 2), np.nan, np.float32)), 0, 1, 2, 3)
    reasons = [episode.record.reason for episode in episodes]
    assert reasons.pop(1) == "policy_nan: the actions are not finite"
    assert set(reasons) <= {"success", "step_limit"}
    assert episodes[1].record.outcome == "failure"
    assert episodes[1].record.steps == 0


def test_a_batch_that_fails_is_asked_again_one_by_one() -> None:
    class Lonely(Homing):
        def infer(self, observations: Sequence[Any], streams: Sequence[Any]) -> Sequence[Any]:
            chunks = super().infer(observations, streams)
            return chunks[:1]

    alone, together = play(Lonely(), 0, 1, 2, 3), play(Homing(), 0, 1, 2, 3)
    assert [e.record for e in alone] == [e.record for e in together]


def test_a_policy_that_raises_is_an_error_and_no_score() -> None:
    plan = work("fussy")
    with mock.patch("time.sleep"):
        records = [episode.record for episode in run_inline(plan, plan.specs, print)]
    errors = [r for r in records if r.outcome == "error"]
    assert {r.spec.task for r in errors} == {"left"}
    assert len(errors) == 6


def test_the_episodes_of_a_block_share_its_costs() -> None:
    meter = Meter(chunks=11, evaluations=7)
    meter.wall["total"] = 3.0
    shares = meter.divided(4)
    assert sum(share.chunks for share in shares) == 11
    assert sum(share.evaluations for share in shares) == 7
    assert sum(share.wall["total"] for share in shares) == 3.0


@pytest.mark.usefixtures("cluster")
def test_on_ray_too_the_costs_add_up() -> None:
    plan = work("homing", episodes=4)
    with mock.patch("time.sleep"):
        here = [e.record for e in run_inline(plan, plan.specs, print)]
    options = RayOptions(workers=1)
    there = [e.record for e in run_ray(plan, plan.specs, print, options=options)]
    assert totals(here) == totals(there)
    asked = sum(count for record in there for count in record.batches.values())
    assert asked == sum(record.chunks for record in there)
    # As if one had been played after the other, without a gap.
    first, second = there[0], there[1]
    assert abs(first.started + first.timing["total"] - second.started) < 0.01


def totals(records: Sequence[EpisodeRecord]) -> tuple[int, int]:
    return sum(r.chunks for r in records), sum(r.evaluations for r in records)


@pytest.mark.parametrize("policy", ["oracle", "zero", "random"])
def test_a_policy_that_reaches_into_one_environment_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], policy: str
) -> None:
    assert run(tmp_path / "run", policy=policy) == 2
    shown = " ".join(capsys.readouterr().err.split())
    assert f"{policy} reaches into one environment, and points/four plays 4 together" in shown
    assert not (tmp_path / "run").exists()


def test_what_was_played_in_a_batch_is_not_replayed_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path / "filmed", "--video", "all") == 2
    assert not (tmp_path / "filmed").exists()
    assert run(tmp_path) == 0
    assert run_eval.main(["replay", str(tmp_path), outcomes(tmp_path)[0]["key"]]) == 2
    shown = " ".join(capsys.readouterr().err.split())
    assert shown.count("points/four plays 4 episodes together") == 2


def test_a_family_without_batches_refuses_the_protocol(monkeypatch: pytest.MonkeyPatch) -> None:
    from assay_points import Points

    from harness.contracts.benchmark import Benchmark

    monkeypatch.setattr(Points, "batch_problem", Benchmark.batch_problem)
    monkeypatch.setattr(Points, "make_batch", Benchmark.make_batch)
    with pytest.raises(UsageError, match="points has no simulator that plays in batches"):
        work()
    card = Points().protocols()["four"]
    with pytest.raises(UsageError, match="points has no simulator that plays in batches"):
        Points().make_batch("points_two", "left", card)


def test_two_policies_meet_in_blocks_until_it_is_decided(tmp_path: Path) -> None:
    arguments = ["run", "--policy", "homing", "ragged", "--benchmark", "points_two"]
    arguments += ["--protocol", "four", "--episodes", "6", "--stop-when-decided"]
    assert run_eval.main([*arguments, "--out", str(tmp_path)]) == 0
    wanted = inline(work("homing")) + inline(work("ragged"))
    assert outcomes(tmp_path) == sorted(wanted, key=lambda record: record["key"])


def test_a_long_block_is_worth_a_simulator_of_its_own() -> None:
    first, second = (block_of(0), replace(block_of(0), rows=(1,)))
    schedule = Schedule([first, second])
    assert schedule.next("x") == first
    assert schedule.next("y") == second
