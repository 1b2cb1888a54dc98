"""Checks a policy against its contract, by playing episodes in several ways."""

import json
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from harness.backends.inline import run_inline
from harness.conformance.other_process import compared_elsewhere
from harness.contracts.environment import Observation
from harness.contracts.policy import Policy, Query, as_array, ask
from harness.contracts.record import EpisodeRecord
from harness.contracts.registry import make_policy
from harness.contracts.setup import BenchmarkSetup
from harness.contracts.spec import keyed_stream
from harness.preflight.remark import Remark
from harness.runs.plan import Plan, Work, resolve

Played = dict[str, dict[str, Any]]
"""What may not differ of each record, by key."""


def check_policy_contract(plan: Plan, tell: Callable[[str], None]) -> list[Remark]:
    """Play a plan of one policy in two orders and in another process, and ask it in batches.

    Raises:
        UsageError: The policy or the benchmark cannot be used.
    """
    work = resolve(plan)
    (name, policy), *_ = work.policies.items()
    remarks = [_identity(plan.policies[0], name)]
    tell("plays episodes")
    first, records = _played(work, work.specs)
    errors = [record for record in records if record.outcome == "error"]
    if errors:
        reason = errors[0].reason
        return [*remarks, Remark("problem", "episodes", f"{len(errors)} errors, first: {reason}")]
    remarks += _outcomes(records)
    tell("plays them in the other order")
    again, _ = _played(work, work.specs[::-1])
    remarks.append(
        _compared("order", first, again, "an episode does not depend on the ones before it")
    )
    tell("plays them in another process")
    remarks.append(_elsewhere(plan, first))
    if not policy.needs_env:
        tell("asks in batches")
        remarks += _asked(policy, work.setups[0])
    return remarks


def _played(work: Work, specs: Sequence[Any]) -> tuple[Played, list[EpisodeRecord]]:
    records = [episode.record for episode in run_inline(work, specs, lambda notice: None)]
    return {record.spec.key: record.deterministic() for record in records}, records


def results_of(plan: Plan) -> Played:
    """Play a plan here; the other process of a check does."""
    work = resolve(plan)
    return _played(work, work.specs)[0]


def _identity(reference: str, name: str) -> Remark:
    again = make_policy(reference).spec.name
    if again == name:
        return Remark("ok", "identity", f"{name}, the same each time")
    return Remark(
        "problem",
        "identity",
        f"{name} and then {again}: a run could not be continued",
        "let the name depend on the code and the weights alone",
    )


def _outcomes(records: Sequence[EpisodeRecord]) -> Iterator[Remark]:
    broken = [record.reason for record in records if record.reason.startswith("policy_")]
    if broken:
        yield Remark(
            "problem", "answers", f"{len(broken)} episodes broke the contract: {broken[0]}"
        )
    else:
        yield Remark("ok", "answers", f"{len(records)} episodes were played to their end")


def _compared(topic: str, first: Played, other: Played, holds: str) -> Remark:
    different = [key for key in first if first[key] != other.get(key)]
    if not different:
        return Remark("ok", topic, f"{holds}: {len(first)} episodes have the same bytes")
    one, two = first[different[0]], other.get(different[0], {})
    fields = [name for name, value in one.items() if value != two.get(name)]
    return Remark(
        "problem",
        topic,
        f"{len(different)} of {len(first)} episodes differ, the first in {', '.join(fields[:4])}",
        "keep nothing between calls but in memory, and draw only from the query's stream",
    )


def _elsewhere(plan: Plan, first: Played) -> Remark:
    job = {
        "policy": plan.policies[0],
        "benchmark": plan.benchmarks[0].name,
        "tasks": plan.benchmarks[0].tasks,
        "protocol": plan.benchmarks[0].protocol,
        "episodes": plan.episodes,
        "seed": plan.seed,
    }
    mine = json.loads(json.dumps(first))
    holds = "another process gives the same"
    return compared_elsewhere(job, lambda other: _compared("process", mine, other, holds))


def _asked(policy: Policy, setup: BenchmarkSetup) -> Iterator[Remark]:
    """Ask alone and in a batch; compare, and watch the global generators."""
    if setup.family.venv is not None:
        return
    env = setup.family.make(setup.benchmark, setup.tasks[0], setup.protocol)
    try:
        env.begin(0, 7)
        seen = [env.observe(policy.spec.cameras)]
        for _ in range(10):
            env.advance(env.idle_action)
        seen.append(env.observe(policy.spec.cameras))
    finally:
        env.close()
    before = _generators()
    keys = [np.array([k, 7], np.uint64) for k in range(len(seen))]
    alone = [_ask(policy, seen[k : k + 1], keys[k : k + 1])[0] for k in range(len(seen))]
    if _generators() != before:
        yield Remark(
            "warning",
            "generators",
            "it uses the global random generators; the engine restores them",
            "draw from the query's stream",
        )
    else:
        yield Remark("ok", "generators", "the global random generators are untouched")
    if policy.batching == "none":
        yield Remark("ok", "batches", "it takes one query at a time")
        return
    together = _ask(policy, seen, keys)
    same = all(np.array_equal(a, b) for a, b in zip(alone, together, strict=True))
    if policy.batching == "exact":
        level: Any = "ok" if same else "problem"
        text = (
            "a batch has the same bits" if same else "a batch changes bits, but batching is exact"
        )
        yield Remark(level, "batches", text, "" if same else "set batching = 'fast'")
        return
    largest = max(float(np.abs(a - b).max()) for a, b in zip(alone, together, strict=True))
    yield Remark("ok", "batches", f"batching is fast: an action changed by at most {largest:.2g}")


def _ask(policy: Policy, seen: Sequence[Observation], keys: Sequence[Any]) -> list[Any]:
    """Return the chunks for these observations and streams, each at an episode's first call."""
    queries = [Query(o, keyed_stream(key), step=0) for o, key in zip(seen, keys, strict=True)]
    return [np.asarray(as_array(chunk)) for chunk in ask(policy, queries)]


def _generators() -> tuple[Any, ...]:
    torch, state = sys.modules.get("torch"), np.random.get_state(legacy=False)
    drawn = None if torch is None else torch.random.get_rng_state().numpy().tobytes()
    return random.getstate(), str(state), drawn
