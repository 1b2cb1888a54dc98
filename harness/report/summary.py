"""Sums up episodes: a row for each task, each suite, each benchmark, and for all benchmarks."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from harness.contracts.protocol import ProtocolLabel
from harness.contracts.spec import player_name
from harness.report.frame import CELL, read_frame, refused_lines, wanted_cells
from harness.report.labels import ablations_of, player_labels
from harness.runs.folder import Run, notes_of
from harness.runs.stopping import Decision, decision_of
from harness.statistics.interval import (
    Floats,
    Interval,
    fixed_tasks_interval,
    mean_interval,
    rate_interval,
    sampled_tasks_interval,
)

FEWEST_TASKS = 5
"""Tasks from which an interval generalises to similar tasks; with two it would span 0 to 87 %."""

INTERVALS = (
    "95 % intervals: Wilson for one task. The interval of a mean over tasks is clustered by task "
    f"and covers similar tasks; with fewer than {FEWEST_TASKS} tasks it covers only these tasks."
)
"""The note beneath every table with intervals."""

JOINED = " + "
"""Stands between the protocols of a mean over several."""
_ALL = "all"
_TIDY = (
    *("policy", "ablation", "level", "benchmark", "task", "protocol", "n"),
    *("success", "low", "high", "progress", "progress_low", "progress_high"),
    *("steps", "errors", "missing", "seeds"),
)


@dataclass(frozen=True)
class Summary:
    """The results of one or more runs.

    Attributes:
        episodes: A row for every episode; see `read_frame`.
        rows: Means for each policy at each `level`: `task`, `suite`, `benchmark` (the family of its
            suites) or, if asked for, `overall`. Each row has n, errors, missing episodes, the seeds
            that it pools, and success and progress with an interval.
        facts: The contents of each run's run.json.
        seeds: The runs' seeds.
        decisions: The state of each run that may stop early.
        identities: The policy, as the runs name it, by the label that the tables show.
        refused: What was left out of the logs, a sentence for each run.
    """

    episodes: pd.DataFrame
    rows: pd.DataFrame
    facts: tuple[dict[str, Any], ...]
    seeds: tuple[int, ...]
    decisions: tuple[Decision, ...] = ()
    identities: Mapping[str, str] = field(default_factory=dict)
    refused: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether every planned episode has a score, or the runs were decided early."""
        tasks = self.level("task")
        if self.decisions and all(decision.decided for decision in self.decisions):
            return len(self.decisions) == len(self.facts)
        return bool((tasks["errors"] + tasks["missing"] == 0).all())

    @property
    def versions(self) -> list[str]:
        """The packages, each with every version that the runs used."""
        versions: dict[str, set[str]] = {}
        for facts in self.facts:
            for name, version in facts["versions"].items():
                versions.setdefault(name, set()).add(version)
        return [f"{name} {' and '.join(sorted(known))}" for name, known in versions.items()]

    @property
    def notes(self) -> dict[str, str]:
        """The notes that protocols attach to their numbers, by protocol label."""
        return {label: note for facts in self.facts for label, note in notes_of(facts).items()}

    def level(self, *levels: str) -> pd.DataFrame:
        """Return the rows of these levels."""
        return self.rows[self.rows["level"].isin(levels)].reset_index(drop=True)


def summarise(
    runs: Sequence[Run], labels: Mapping[str, str] | None = None, mean: bool = False
) -> Summary:
    """Return the summary of runs, complete or not.

    Args:
        runs: The runs, read as one.
        labels: Names for the tables, by the policy's identity.
        mean: Whether to add each policy's mean over unrelated benchmarks.
    """
    episodes, wanted = read_frame(runs), wanted_cells(runs)
    players = player_labels(runs, labels or {})
    wanted["family"] = [ProtocolLabel.parse(label).family for label in wanted["protocol"]]
    wanted["policy"] = wanted["policy"].map(players)
    episodes["policy"] = episodes["policy"].cat.rename_categories(players)
    played = _played(episodes)
    rows = [
        row for policy in wanted["policy"].unique() for row in _rows(policy, wanted, played, mean)
    ]
    return Summary(
        episodes,
        pd.DataFrame(rows),
        tuple(run.facts for run in runs),
        tuple(sorted({plan["seed"] for run in runs for plan in run.plans})),
        tuple(_decisions(runs, episodes, players)),
        {label: player for player, label in players.items()},
        tuple(refused_lines(runs)),
    )


def summary_frame(runs: Sequence[Run]) -> pd.DataFrame:
    """Return the success of every policy on every task, suite and benchmark as a tidy table.

    Rates are fractions from 0 to 1, and nan without a scored episode.

    Columns:
        policy: The policy's identity.
        ablation: What the policy was denied, e.g. ``no-image``; empty for nothing.
        level: ``task``, ``suite``, or ``benchmark`` for the mean over a family's suites.
        benchmark: The suite; for a mean over suites, the family.
        task: The task; ``all`` for a mean over tasks.
        protocol: The protocol's label.
        n: Scored episodes.
        success, low, high: The success rate and its 95 % interval.
        progress, progress_low, progress_high: The same of the process score.
        steps: Executed actions of an episode, on average.
        errors: Episodes that ended in an error. They are never scored.
        missing: Planned episodes that were not played.
        seeds: The seeds of the row's episodes, e.g. ``7`` or ``7, 8``.

    Raises:
        UsageError: A log is damaged, or two runs disagree about an episode.
    """
    rows = summarise(runs).rows
    known = {
        player_name(policy, ablation): (policy, ablation)
        for run in runs
        for policy in run.facts["policies"]
        for ablation in ("", *ablations_of(run))
    }
    tidy = rows.assign(
        policy=[known[player][0] for player in rows["policy"]],
        ablation=[known[player][1] for player in rows["policy"]],
        benchmark=rows["suite"].where(rows["level"] != "benchmark", rows["family"]),
    )
    return tidy.rename(columns={"success_low": "low", "success_high": "high"})[[*_TIDY]]


def _decisions(
    runs: Sequence[Run], episodes: pd.DataFrame, players: Mapping[str, str]
) -> Iterator[Decision]:
    for run in runs:
        if any(plan.get("stop_when_decided") for plan in run.plans):
            facts = run.facts | {"players": [players[name] for name in run.facts["players"]]}
            mine = episodes[episodes["run"] == str(run.path)]
            yield decision_of(facts, wanted_cells([run]), mine)


def _rows(
    policy: str, wanted: pd.DataFrame, played: "_Played", mean: bool
) -> Iterator[dict[str, Any]]:
    """Yield every row of a policy; only the overall mean may mix protocols."""
    mine = wanted[wanted["policy"] == policy].sort_values("position", kind="stable")
    keys = mine[CELL].itertuples(index=False, name=None)
    cells = {
        index: _TaskEpisodes(int(wanted), *played.get(key, _NOTHING))
        for index, wanted, key in zip(mine.index, mine["wanted"], keys, strict=True)
    }

    def over(level: str, family: Any, suite: Any, tasks: pd.DataFrame) -> dict[str, Any]:
        protocol = JOINED.join(tasks["protocol"].unique())
        single = level == "task"
        return {
            "policy": policy,
            "family": family,
            "suite": suite,
            "protocol": protocol,
            "level": level,
            "task": tasks["task"].iloc[0] if single else _ALL,
            "position": int(tasks["position"].iloc[0]) if single else -1,
            "seeds": ", ".join(map(str, sorted({s for seeds in tasks["seeds"] for s in seeds}))),
            **_measure([cells[index] for index in tasks.index]),
        }

    for (name, suite, _), tasks in mine.groupby(["family", "benchmark", "protocol"], sort=False):
        for index in tasks.index:
            yield over("task", name, suite, tasks.loc[[index]])
        yield over("suite", name, suite, tasks)
    for (name, _), tasks in mine.groupby(["family", "protocol"], sort=False):
        if tasks["benchmark"].nunique() > 1:
            yield over("benchmark", name, _ALL, tasks)
    if mean and len(mine[["family", "protocol"]].drop_duplicates()) == mine["family"].nunique() > 1:
        yield over("overall", _ALL, _ALL, mine)


@dataclass(frozen=True)
class _TaskEpisodes:
    """The episodes of one policy on one task as arrays, since several rows add them up."""

    wanted: int
    known: int
    successes: Floats
    scores: Floats
    steps: float


_Played = Mapping[tuple[str, ...], tuple[int, Floats, Floats, float]]
_NOTHING = (0, np.zeros(0), np.zeros(0), 0.0)


def _played(episodes: pd.DataFrame) -> _Played:
    """Return for each policy and task the number of episodes, successes, scores and steps."""
    outcome = episodes["outcome"]
    scored, success = (outcome != "error").to_numpy(), (outcome == "success").to_numpy(float)
    progress, steps = episodes["progress"].to_numpy(), episodes["steps"].to_numpy()
    played: dict[Any, tuple[int, Floats, Floats, float]] = {}
    for name, rows in episodes.groupby(CELL, observed=True).indices.items():
        mine = rows[scored[rows]]
        scores = progress[mine]
        known = scores[~np.isnan(scores)]
        played[name] = (len(rows), success[mine], known, float(steps[mine].sum()))
    return played


def _measure(cells: Sequence[_TaskEpisodes]) -> dict[str, Any]:
    """Return counts and means over one or more tasks, with intervals."""
    n, known = sum(len(cell.successes) for cell in cells), sum(cell.known for cell in cells)
    return {
        "tasks": len(cells),
        "n": n,
        "errors": known - n,
        "missing": sum(cell.wanted for cell in cells) - known,
        "successes": int(sum(cell.successes.sum() for cell in cells)),
        **_named("success", interval_over([cell.successes for cell in cells], "success")),
        **_named("progress", interval_over([cell.scores for cell in cells], "progress")),
        "steps": sum(cell.steps for cell in cells) / n if n else math.nan,
    }


def interval_over(cells: Sequence[Floats], metric: str) -> Interval:
    """Return the mean over tasks; its interval covers similar tasks if there are enough.

    Args:
        cells: The successes or scores of each task's scored episodes.
        metric: ``success`` or ``progress``.
    """
    cells = [cell for cell in cells if len(cell)]
    if not cells:
        return Interval(math.nan, math.nan, math.nan)
    if len(cells) > 1:
        tasks = [index for index, cell in enumerate(cells) for _ in range(len(cell))]
        several = sampled_tasks_interval if len(cells) >= FEWEST_TASKS else fixed_tasks_interval
        return several(np.concatenate(cells), tasks)
    if metric == "success":
        return rate_interval(int(cells[0].sum()), len(cells[0]))
    return mean_interval(cells[0])


def _named(name: str, interval: Interval) -> dict[str, float]:
    return {name: interval.estimate, f"{name}_low": interval.low, f"{name}_high": interval.high}
