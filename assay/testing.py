"""Proves an outside benchmark or policy by inheriting a few lines; needs pytest.

from assay.testing import BenchmarkContract

class TestMine(BenchmarkContract):
    benchmark, tasks = "my_benchmark", ("open-door",)
"""

from collections.abc import Sequence

import pytest

from harness.conformance.benchmark import Checked, check_task
from harness.conformance.policy import check_policy_contract
from harness.preflight.remark import Remark
from harness.runs.plan import BenchmarkRequest, Plan, resolve_setup


class BenchmarkContract:
    """Plays episodes of a benchmark twice, in another order and process, and checks what they give.

    Attributes:
        benchmark: The benchmark's name, as an entry point registers its family.
        tasks: The tasks to play; by default the first.
        protocol: The protocol card; by default the benchmark's own.
        steps: Actions of an episode.
        images: Whether to draw images.
        allowed: Topics whose warnings do not fail: ``scenes``, ``seed`` and ``expert`` for a
            benchmark with few scenes or without an expert, ``statements`` without `env_spec`.
    """

    benchmark: str
    tasks: Sequence[str] = ("0",)
    protocol: str = ""
    steps: int = 40
    images: bool = True
    allowed: Sequence[str] = ()

    @pytest.fixture(scope="class")
    def remarks(self) -> list[Remark]:
        """Return what was found, for all tasks."""
        setup = resolve_setup(BenchmarkRequest(self.benchmark, tuple(self.tasks), self.protocol), 1)
        checked = Checked(self.benchmark, self.protocol, steps=self.steps, images=self.images)
        return [each for task in setup.tasks for each in check_task(setup, task, checked, print)]

    @pytest.mark.parametrize(
        "topic", ["statements", "pure", "scenes", "looking", "seed", "steps", "expert", "process"]
    )
    def test_contract(self, remarks: list[Remark], topic: str) -> None:
        """Require that nothing was found about a topic."""
        _require([each for each in remarks if each.topic == topic], self.allowed)


class PolicyContract:
    """Plays a policy twice, in another order and process, and asks it in batches.

    Attributes:
        policy: The policy as on the command line, e.g. ``python:my_policy.py:MyPolicy``.
        benchmark: The benchmark to play.
        tasks: The tasks to play; by default the first.
        protocol: The protocol card; by default the benchmark's own.
        episodes: Episodes of each task.
    """

    policy: str
    benchmark: str
    tasks: Sequence[str] = ("0",)
    protocol: str = ""
    episodes: int = 2

    @pytest.fixture(scope="class")
    def remarks(self) -> list[Remark]:
        """Return what was found."""
        request = BenchmarkRequest(self.benchmark, tuple(self.tasks), self.protocol)
        return check_policy_contract(Plan((self.policy,), (request,), self.episodes), print)

    @pytest.mark.parametrize(
        "topic", ["identity", "episodes", "answers", "order", "process", "generators", "batches"]
    )
    def test_contract(self, remarks: list[Remark], topic: str) -> None:
        """Require that no problem was found about a topic."""
        found = [each for each in remarks if each.topic == topic and each.level == "problem"]
        _require(found, ())


def _require(remarks: Sequence[Remark], allowed: Sequence[str]) -> None:
    bad = [
        f"{each.text}. Fix: {each.fix}" if each.fix else each.text
        for each in remarks
        if each.level == "problem" or (each.level == "warning" and each.topic not in allowed)
    ]
    assert not bad, "\n".join(bad)
