"""Writes run folders for the tests of reports, without playing any episode."""

import json
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from math import isnan, nan
from pathlib import Path
from typing import Any

from harness.contracts.protocol import ProtocolLabel
from harness.contracts.record import EpisodeRecord
from harness.contracts.spec import EpisodeSpec, player_name
from harness.report.cost import Cost, make_cost
from harness.report.summary import Summary, summarise
from harness.runs.folder import Run

Score = float | None
"""Progress of an episode: 1 is a success, None an error, nan a missing episode."""
Scores = Callable[[str, str, int], Score]
"""Returns an episode's score from policy, task and episode."""

GOOD, BAD, ERROR = 1.0, 0.5, None


def write_run(
    path: Path,
    policies: Sequence[str],
    suites: Mapping[str, Sequence[str]],
    scores: Scores,
    protocol: str = "fam/card@1",
    episodes: int = 10,
    seed: int = 7,
    ablations: Sequence[str] = (),
    **measured: Any,
) -> Run:
    """Write a run.

    Args:
        path: The run's folder.
        policies: The policies' identities.
        suites: The tasks of each suite.
        scores: The score of each episode.
        protocol: The protocol's label.
        episodes: Planned episodes of each task.
        seed: The run's seed.
        ablations: Ablations under which every policy plays as well.
        measured: Replaces fields of every record.
    """
    requests = [
        {"name": suite, "tasks": list(tasks), "protocol": protocol}
        for suite, tasks in suites.items()
    ]
    plan = {
        "policies": list(policies),
        "benchmarks": requests,
        "episodes": episodes,
        "seed": seed,
        "stop_when_decided": False,
        "ablations": list(ablations),
        "first": 0,
    }
    players = [(policy, ablation) for policy in policies for ablation in ("", *ablations)]
    rules = {"max_steps": dict.fromkeys(suites, 60), "replan": 4}
    facts = {
        "plans": [plan],
        "policies": {name: {"reference": name, "files": {}, "code": []} for name in policies},
        "players": [player_name(*player) for player in players],
        "task_order": {suite: list(tasks) for suite, tasks in suites.items()},
        "protocols": {protocol: {"rules": rules, "sources": {"replan": "the paper, section <4>"}}},
        "versions": {f"{ProtocolLabel.parse(protocol).family}-simulator": "1.2"},
        "git": "0123456789ab",
        "command": "",
        "created": "2026-11-30T00:00:00+00:00",
    }
    path.mkdir(parents=True)
    (path / "run.json").write_text(json.dumps(facts))
    (path / "sessions.jsonl").write_text(json.dumps({"started": 990.0, "workers": 1}) + "\n")
    with (path / "episodes.jsonl").open("w") as log:
        for policy, ablation in players:
            for suite, tasks in suites.items():
                for spec in (
                    EpisodeSpec(policy, suite, task, episode, seed, protocol, ablation)
                    for task in tasks
                    for episode in range(episodes)
                ):
                    score = scores(spec.player, spec.task, spec.episode)
                    if score is None or not isnan(score):
                        log.write(_record(spec, score, measured).to_json() + "\n")
    return Run.existing(path)


def listed_run(
    path: Path,
    ends: Mapping[str, Mapping[str, Sequence[Score]]],
    episodes: int,
    suite: str = "points_two",
    **options: Any,
) -> Run:
    """Write a run of one suite from each policy's scores on each task; further ones are missing."""
    tasks = list(dict.fromkeys(task for mine in ends.values() for task in mine))

    def scores(policy: str, task: str, episode: int) -> Score:
        mine = ends[policy].get(task, [])
        return mine[episode] if episode < len(mine) else nan

    label = "points/plain@1234567890"
    return write_run(path, list(ends), {suite: tasks}, scores, label, episodes, **options)


def summary_of(*runs: Run) -> Summary:
    """Return the summary of runs."""
    return summarise(runs)


def summed(*runs: Run) -> tuple[Sequence[Run], Summary, Cost | None]:
    """Return the arguments of `write_page`."""
    summary = summarise(runs)
    return runs, summary, make_cost(summary.episodes)


def _record(spec: EpisodeSpec, score: Score, measured: Mapping[str, Any]) -> EpisodeRecord:
    """Return a record in which every field has a value."""
    scored, won = score is not None, score == 1
    values: dict[str, Any] = {
        "outcome": "success" if won else "failure" if scored else "error",
        "success": won if scored else None,
        "progress": score,
        "subgoals": {"near": True, "there": won} if scored else {},
        "steps": (20 + spec.episode if won else 60) if scored else 0,
        "reason": "success" if won else "step_limit" if scored else "OSError: <b>gone",
        "instruction": "reach",
        "actions_sha256": sha256(f"{score}".encode()).hexdigest() if scored else None,
        "state_sha256": "cd" * 32 if scored else None,
        "started": 1000.0 + spec.episode,
        "timing": {"env": 1.0, "policy": 0.25, "total": 1.5},
        "cpu": {"env": 1.0, "policy": 0.2, "total": 1.25},
        "batches": {"2": 5},
        "chunks": 5,
        "evaluations": 50,
        "replica": "host:1",
    }
    # Only a success ends with the reason `success`.
    more = {name: value for name, value in measured.items() if not (won and name == "reason")}
    return EpisodeRecord(spec=spec, **{**values, **more})
