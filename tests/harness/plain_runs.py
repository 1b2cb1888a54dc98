"""Writes run folders by hand, so that a report's tests decide every outcome."""

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path

from harness.record import EpisodeRecord
from harness.report.summary import Summary, summarise
from harness.run import Run
from harness.spec import EpisodeSpec

Score = float | None
"""Progress of an episode, 1 is a success; None is an error."""
Scores = Callable[[str, str, int], Score]
"""What an episode's score is, from policy, task and episode."""


def write_run(
    path: Path,
    policies: Sequence[str],
    suites: dict[str, Sequence[str]],
    scores: Scores,
    protocol: str = "fam/card@1",
    episodes: int = 10,
    seed: int = 7,
) -> Run:
    """Write a run of some policies on some suites' tasks; a score of nan leaves an episode out."""
    family, _, rest = protocol.partition("/")
    card = rest.partition("@")[0]
    labels = {protocol: {"rules": {"max_steps": dict.fromkeys(suites, 10)}}}
    plan = {
        "policies": list(policies),
        "benchmarks": [
            {"name": suite, "tasks": list(tasks), "protocol": card}
            for suite, tasks in suites.items()
        ],
        "episodes": episodes,
        "seed": seed,
    }
    facts = {
        "plan": plan,
        "policies": list(policies),
        "task_order": {suite: list(tasks) for suite, tasks in suites.items()},
        "protocols": labels,
        "versions": {f"{family}-simulator": "1.2"},
    }
    path.mkdir(parents=True)
    (path / "run.json").write_text(json.dumps(facts))
    with (path / "episodes.jsonl").open("w") as log:
        for policy in policies:
            for suite, tasks in suites.items():
                for task in tasks:
                    for episode in range(episodes):
                        score = scores(policy, task, episode)
                        if score is None or not math.isnan(score):
                            spec = EpisodeSpec(policy, suite, task, episode, seed, protocol)
                            log.write(_record(spec, score).to_json() + "\n")
    return Run.existing(path)


def summary_of(*runs: Run) -> Summary:
    return summarise(runs)


def _record(spec: EpisodeSpec, score: Score) -> EpisodeRecord:
    success = None if score is None else score == 1
    return EpisodeRecord(
        spec=spec,
        outcome="error" if success is None else "success" if success else "failure",
        success=success,
        progress=score,
        subgoals={},
        steps=5,
        reason="",
        instruction="",
        actions_sha256="",
        state_sha256="",
    )
