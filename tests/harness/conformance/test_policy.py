"""Each broken promise of a policy is found."""

from pathlib import Path

import pytest

from assay.testing import PolicyContract
from harness.cli.main import main
from harness.conformance.policy import check_policy_contract
from harness.runs.plan import BenchmarkRequest, Plan

POLICIES = """
import itertools, os
import numpy as np

CALLS = itertools.count()

def steady(observation):
    return np.tile(-observation["state"], (4, 1))

def counting(observation):
    return np.tile(-observation["state"] * (1 + 1e-3 * next(CALLS)), (4, 1)).astype(np.float32)

def local(observation):
    return np.tile(-observation["state"] * (1 + 1e-7 * os.getpid()), (4, 1)).astype(np.float32)

def wrong(observation):
    return np.full((4, 2), np.nan, np.float32)

class Batched:
    def __call__(self, observation):
        return self.batch([observation])[0]
    def batch(self, observations):
        return [np.tile(-o["state"] * (1 + 0.01 * len(observations)), (4, 1)).astype(np.float32)
                for o in observations]
"""


@pytest.fixture
def policies(tmp_path: Path) -> str:
    (tmp_path / "mine.py").write_text(POLICIES)
    return f"python:{tmp_path}/mine.py"


def found(policy: str) -> dict[tuple[str, str], str]:
    plan = Plan((policy,), (BenchmarkRequest("points_two", ("left",)),), 2)
    remarks = check_policy_contract(plan, lambda line: None)
    return {(remark.level, remark.topic): remark.text for remark in remarks}


def test_a_policy_that_keeps_its_contract(policies: str) -> None:
    remarks = found(f"{policies}:steady")
    assert {level for level, _ in remarks} == {"ok"}
    assert set(dict(remarks)) >= {("ok", "order"), ("ok", "process"), ("ok", "batches")}


@pytest.mark.parametrize(
    ("name", "topic", "text"),
    [
        ("counting", "order", "2 of 2 episodes differ, the first in "),
        ("local", "process", "2 of 2 episodes differ, the first in "),
        ("wrong", "answers", "2 episodes broke the contract: policy_nan"),
    ],
)
def test_a_broken_promise_is_a_problem(policies: str, name: str, topic: str, text: str) -> None:
    assert found(f"{policies}:{name}")[("problem", topic)].startswith(text)


def test_what_a_batch_changes_is_measured(policies: str) -> None:
    text = found(f"{policies}:Batched")[("ok", "batches")]
    assert text.startswith("batching is fast: an action changed by at most 0.00")


def test_the_command_ends_with_a_problem(policies: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check-policy", f"{policies}:local", "--benchmark", "points_two"]) == 3
    assert "problem  process" in capsys.readouterr().out


class TestHoming(PolicyContract):
    """A policy of the outside package."""

    policy, benchmark = "homing", "points_two"
