"""A simulator is built ahead of its first episode, without a trace in the record."""

import pytest
from assay_points import PointEnv

from harness.play.worker import Worker
from tests.helpers.plays import inline, work

pytestmark = pytest.mark.usefixtures("points")


def test_an_episode_counts_what_was_built_ahead() -> None:
    plan = work(episodes=2)
    expected, spec = inline(plan), plan.specs[0]
    worker = Worker(plan.setups, plan.policies)
    PointEnv.built.clear()
    worker.prepare(spec)
    first, second = (worker.play(spec).record for spec in plan.specs[:2])
    assert PointEnv.built == [spec.task]
    assert [first.deterministic(), second.deterministic()] == expected[:2]
    assert first.timing["build"] > second.timing["build"]
    assert first.timing["total"] > first.timing["build"]


def test_an_error_while_building_ahead_comes_again_in_the_episode(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plan = work(episodes=1)
    expected, spec = inline(plan), plan.specs[0]
    worker, build, faults = Worker(plan.setups, plan.policies), PointEnv.__init__, [1, 2]

    def fail(self: PointEnv, task: str, max_steps: int) -> None:
        if faults:
            raise OSError(faults.pop())
        build(self, task, max_steps)

    monkeypatch.setattr(PointEnv, "__init__", fail)
    worker.prepare(spec)
    record = worker.play(spec).record
    assert (record.retries, faults) == (1, [])
    assert record.deterministic() == expected[0]
