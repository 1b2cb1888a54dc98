"""Writes run folders for the tests of reports: what a run would leave, without playing it."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.record import EpisodeRecord
from harness.report.cost import Cost, make_cost
from harness.report.summary import Summary, summarise
from harness.run import Run
from harness.spec import EpisodeSpec

PROTOCOL = "points/plain@1234567890"


def record(spec: EpisodeSpec, outcome: Any, **measured: Any) -> EpisodeRecord:
    """Return an episode with everything that a record can hold."""
    won = outcome == "success"
    scored = outcome != "error"
    values: dict[str, Any] = {
        "progress": (1.0 if won else 0.5) if scored else None,
        "subgoals": {"near": True, "there": won} if scored else {},
        "steps": (20 + spec.episode if won else 60) if scored else 0,
        "reason": {"success": "success", "failure": "step_limit"}.get(outcome, "OSError: <b>gone"),
        "instruction": "reach",
        "actions_sha256": "ab" if scored else None,
        "state_sha256": "cd" if scored else None,
        "started": 1000.0 + spec.episode,
        "timing": {"env": 1.0, "policy": 0.25, "total": 1.5},
        "cpu": {"env": 1.0, "policy": 0.2, "total": 1.25},
        "batches": {"2": 5},
        "chunks": 5,
        "evaluations": 50,
        "replica": "host:1",
    }
    success = won if scored else None
    return EpisodeRecord(spec=spec, outcome=outcome, success=success, **(values | measured))


def make_run(
    path: Path,
    outcomes: Mapping[str, Mapping[str, Sequence[str]]],
    episodes: int,
    suite: str = "points_two",
    **measured: Any,
) -> Run:
    """Write a run.

    Args:
        path: The run's folder.
        outcomes: What became of each policy's episodes on each task, in order.
        episodes: How many the plan wants of each task.
        suite: The benchmark.
        measured: What replaces a record's fields.
    """
    tasks = list(dict.fromkeys(task for mine in outcomes.values() for task in mine))
    request = {"name": suite, "tasks": tasks, "protocol": "plain"}
    rules = {"max_steps": {"points": 60}, "replan": 4}
    facts = {
        "plan": {"benchmarks": [request], "episodes": episodes, "seed": 7},
        "policies": list(outcomes),
        "task_order": {suite: tasks},
        "protocols": {PROTOCOL: {"rules": rules, "sources": {"replan": "the paper, section <4>"}}},
        "versions": {"assay": "0.1.0"},
        "git": "0123456789ab",
    }
    path.mkdir(parents=True)
    (path / "run.json").write_text(json.dumps(facts))
    (path / "sessions.jsonl").write_text(json.dumps({"started": 990.0, "workers": 1}) + "\n")
    records = list(_records(outcomes, suite, measured))
    (path / "episodes.jsonl").write_text("".join(f"{each.to_json()}\n" for each in records))
    return Run.existing(path)


def _records(
    outcomes: Mapping[str, Mapping[str, Sequence[str]]], suite: str, measured: Mapping[str, Any]
) -> Iterable[EpisodeRecord]:
    for policy, tasks in outcomes.items():
        for task, ends in tasks.items():
            for episode, outcome in enumerate(ends):
                spec = EpisodeSpec(policy, suite, task, episode, 7, PROTOCOL)
                yield record(spec, outcome, **measured)


def summed(*runs: Run) -> tuple[Sequence[Run], Summary, Cost | None]:
    """Return what a report is made of."""
    summary = summarise(runs)
    return runs, summary, make_cost(runs, summary.episodes)
