"""Sums up episodes: a row for each task, each suite, each benchmark, and for all benchmarks."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from harness.contracts.protocol import ProtocolLabel
from harness.report.frame import CELL, read_frame, wanted_cells
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


@dataclass(frozen=True)
class Summary:
    """The results of one or more runs.

    Attributes:
        episodes: A row for every episode; see `read_frame`.
        rows: Means for each policy at each `level`: `task`, `suite`, `benchmark` (the family of its
            suites) or `overall`. Each row has n, errors, missing episodes, and success and progress
            with an interval.
        facts: The contents of each run's run.json.
        decisions: The state of each run that may stop early.
    """

    episodes: pd.DataFrame
    rows: pd.DataFrame
    facts: tuple[dict[str, Any], ...]
    decisions: tuple[Decision, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether every planned episode has a score, or the runs were decided early."""
        tasks = self.level("task")
        if self.decisions and all(decision.decided for decision in self.decisions):
            return len(self.decisions) == len(self.facts)
        return bool((tasks["errors"] + tasks["missing"] == 0).all())

    @property
    def seeds(self) -> list[int]:
        """The runs' seeds."""
        return sorted({facts["plan"]["seed"] for facts in self.facts})

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


def summarise(runs: Sequence[Run]) -> Summary:
    """Return the summary of runs, complete or not."""
    episodes, wanted = read_frame(runs), wanted_cells(runs)
    wanted["family"] = [ProtocolLabel.parse(label).family for label in wanted["protocol"]]
    played = _played(episodes)
    rows = [row for policy in wanted["policy"].unique() for row in _rows(policy, wanted, played)]
    decisions = [
        decision_of(run.facts, wanted_cells([run]), episodes[episodes["run"] == str(run.path)])
        for run in runs
        if run.facts["plan"].get("stop_when_decided")
    ]
    facts = tuple(run.facts for run in runs)
    return Summary(episodes, pd.DataFrame(rows), facts, tuple(decisions))


def _rows(policy: str, wanted: pd.DataFrame, played: "_Played") -> Iterator[dict[str, Any]]:
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
            **_measure([cells[index] for index in tasks.index]),
        }

    for (name, suite, _), tasks in mine.groupby(["family", "benchmark", "protocol"], sort=False):
        for index in tasks.index:
            yield over("task", name, suite, tasks.loc[[index]])
        yield over("suite", name, suite, tasks)
    for (name, _), tasks in mine.groupby(["family", "protocol"], sort=False):
        if tasks["benchmark"].nunique() > 1:
            yield over("benchmark", name, _ALL, tasks)
    if len(mine[["family", "protocol"]].drop_duplicates()) == mine["family"].nunique() > 1:
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
