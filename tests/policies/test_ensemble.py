"""Temporal ensembling averages the overlapping chunks of an episode."""

from typing import Any

import numpy as np
import pytest

from harness.backends.inline import run_inline
from harness.backends.ray.backend import run_ray
from harness.backends.ray.options import RayOptions
from harness.contracts.errors import UsageError
from harness.contracts.policy import Query
from harness.contracts.registry import make_policy
from harness.contracts.spec import keyed_stream
from harness.runs.plan import BenchmarkRequest, Plan, resolve
from policies.ensemble import EnsemblePolicy
from tests.helpers.plays import inline, played
from tests.helpers.serving import served

KEY = np.array([1, 2], np.uint64)


def work(policy: str, protocol: str = "plain") -> Any:
    return resolve(Plan((policy,), (BenchmarkRequest("points_two", protocol=protocol),), 4))


class Counting:
    """Returns chunks of 3 whose numbers say which call made them."""

    spec = make_policy("homing").spec
    evaluations = inexact = calls = 0

    def infer(self, queries: Any) -> Any:
        self.calls += 1
        return [np.full((3, 2), self.calls, np.float32) for _ in queries]


def test_actions_are_the_weighted_mean_of_all_predictions_for_a_step() -> None:
    policy = EnsemblePolicy("0.5:homing")
    policy._policy = Counting()  # type: ignore[assignment]
    memory: dict[Any, Any] = {}
    observation: Any = {"image": {}, "state": np.zeros(2, np.float32), "instruction": ""}
    chunks = [
        policy.infer([Query(observation, keyed_stream(KEY), memory, step)])[0] for step in (0, 1, 2)
    ]
    old, new = 1.0, np.exp(-0.5)
    np.testing.assert_allclose(chunks[0][:, 0], [1, 1, 1])
    np.testing.assert_allclose(chunks[1][0, 0], (1 * old + 2 * new) / (old + new), rtol=1e-6)
    np.testing.assert_allclose(chunks[1][2, 0], 2)
    weights = np.exp(-0.5 * np.arange(3))
    np.testing.assert_allclose(chunks[2][0, 0], np.average([1, 2, 3], weights=weights), rtol=1e-6)
    np.testing.assert_allclose(chunks[2][1, 0], np.average([2, 3], weights=weights[:2]), rtol=1e-6)


def test_identity_names_the_decay_and_the_policy() -> None:
    assert make_policy("ensemble:homing").spec.name == "homing+ensemble0.01"
    assert make_policy("ensemble:0.1:homing").spec.name == "homing+ensemble0.1"


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize("policy", ["ensemble:homing", "ensemble:remembering"])
def test_records_are_the_same_inline_on_ray_and_served(policy: str) -> None:
    expected = inline(work(policy))
    assert {record["outcome"] for record in expected} <= {"success", "failure"}
    plan = work(policy)
    options = RayOptions(workers=2, max_batch=4)
    assert played(run_ray(plan, plan.specs, print, options=options), plan) == expected
    with served(policy) as port:
        plan = work(f"remote:ws://127.0.0.1:{port}")
        assert [e.record.deterministic() for e in run_inline(plan, plan.specs, print)] == expected


def test_an_error_of_the_network_may_pass_as_without_ensembling() -> None:
    with served("homing") as port:
        reference = f"remote:ws://127.0.0.1:{port}"
        assert make_policy(f"ensemble:{reference}").errors_may_pass
    assert not make_policy("ensemble:homing").errors_may_pass


def test_chunks_that_do_not_overlap_are_refused() -> None:
    plan = work("ensemble:homing", "tenth")  # It executes the 6 actions of each chunk.
    with pytest.raises(UsageError, match="do not overlap: it returns 6 actions and 6 are executed"):
        list(run_inline(plan, plan.specs, print))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("ensemble:zero", "zero needs the simulator"),
        ("ensemble:-1:homing", "must be 0 or more"),
        ("ensemble:nothing", "unknown policy"),
        ("ensemble", "needs"),
    ],
)
def test_wrong_source_is_refused(source: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make_policy(source)
