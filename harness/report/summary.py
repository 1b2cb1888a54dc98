"""Sums episodes up: a row for each task, each suite, each benchmark and for everything."""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from harness.report.frame import CELL, family, read_frame, wanted_cells
from harness.run import Run
from harness.sequential import Decision, decision_of
from harness.statistics.interval import (
    Interval,
    mean_interval,
    rate_interval,
    sampled_tasks_interval,
)

LEVELS = ("task", "suite", "benchmark", "overall")
"""A suite is what the command line calls a benchmark; a benchmark is the family of its suites."""

ALL = "all"
NAN = float("nan")


@dataclass(frozen=True)
class Summary:
    """What runs found.

    Attributes:
        episodes: A row for every episode; see `frame.COLUMNS`.
        rows: A row for every policy, level and place, with n, errors and missing episodes, and
            success and progress, each with an interval.
        facts: What each run's run.json holds.
        decisions: What the runs decided that may stop early.
    """

    episodes: pd.DataFrame
    rows: pd.DataFrame
    facts: tuple[dict[str, Any], ...]
    decisions: tuple[Decision, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether every wanted episode has a score, or the rest is not needed."""
        tasks = self.level("task")
        if self.decisions and all(decision.decided for decision in self.decisions):
            return len(self.decisions) == len(self.facts)
        return bool((tasks["errors"] + tasks["missing"] == 0).all())

    def level(self, *levels: str) -> pd.DataFrame:
        """Return the rows of some levels."""
        return self.rows[self.rows["level"].isin(levels)].reset_index(drop=True)


def summarise(runs: Sequence[Run]) -> Summary:
    """Build the summary of runs, complete or not."""
    episodes, wanted = read_frame(runs), wanted_cells(runs)
    wanted["family"] = [family(label) for label in wanted["protocol"]]
    rows = [row for policy in wanted["policy"].unique() for row in _rows(policy, wanted, episodes)]
    decisions = [
        decision_of(run.facts, wanted_cells([run]), episodes[episodes["run"] == str(run.path)])
        for run in runs
        if run.facts["plan"].get("stop_when_decided")
    ]
    facts = tuple(run.facts for run in runs)
    return Summary(episodes, pd.DataFrame(rows), facts, tuple(decisions))


def _rows(policy: str, wanted: pd.DataFrame, episodes: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Build every row of a policy; a mean over protocols that differ names them all."""
    mine = wanted[wanted["policy"] == policy]
    played = episodes[episodes["policy"] == policy]
    by_cell = dict(list(played.groupby(CELL, observed=True)))
    suites = list(mine.groupby(["family", "benchmark", "protocol"], sort=False))
    for (name, suite, protocol), tasks in suites:
        place = {"policy": policy, "family": name, "suite": suite, "protocol": protocol}
        for cell in tasks.sort_values("position").itertuples():
            task = {"level": "task", "task": cell.task, "position": cell.position}
            yield place | task | _over(tasks[tasks["task"] == cell.task], by_cell)
        yield place | {"level": "suite", "task": ALL, "position": -1} | _over(tasks, by_cell)
    for name, tasks in mine.groupby("family", sort=False):
        if tasks["benchmark"].nunique() > 1:
            yield _wide(policy, "benchmark", str(name), tasks) | _over(tasks, by_cell)
    if mine["family"].nunique() > 1:
        yield _wide(policy, "overall", ALL, mine) | _over(mine, by_cell)


def _wide(policy: str, level: str, name: str, tasks: pd.DataFrame) -> dict[str, Any]:
    protocol = " + ".join(tasks["protocol"].unique())
    place = {"policy": policy, "family": name, "suite": ALL, "protocol": protocol}
    return place | {"level": level, "task": ALL, "position": -1}


def _over(tasks: pd.DataFrame, by_cell: dict[Any, pd.DataFrame]) -> dict[str, Any]:
    return _measure(
        [by_cell.get(_key(cell)) for cell in tasks.itertuples()], tasks["wanted"].tolist()
    )


def _key(cell: Any) -> tuple[str, ...]:
    return tuple(getattr(cell, name) for name in CELL)


def _measure(cells: Sequence[pd.DataFrame | None], wanted: Sequence[int]) -> dict[str, Any]:
    """Return what one or more cells found: counts, and means over tasks with intervals."""
    there = [cell for cell in cells if cell is not None]
    scored = [cell[cell["outcome"] != "error"] for cell in there]
    scored = [cell for cell in scored if len(cell)]
    n, known = sum(map(len, scored)), sum(map(len, there))
    successes: list[pd.Series[float]] = [1.0 * (cell["outcome"] == "success") for cell in scored]
    scores = [cell["progress"].dropna() for cell in scored]
    return {
        "tasks": len(cells),
        "n": n,
        "errors": known - n,
        "missing": sum(wanted) - known,
        "successes": int(sum(cell.sum() for cell in successes)),
        **_named("success", _interval(successes, alone=_rate)),
        **_named("progress", _interval([s for s in scores if len(s)], alone=mean_interval)),
        "steps": float(pd.concat([c["steps"] for c in scored]).mean()) if scored else NAN,
    }


def _interval(cells: "Sequence[pd.Series[float]]", alone: Any) -> Interval:
    """Return the mean over tasks, with an interval for tasks like these where there are several."""
    if not cells:
        return Interval(NAN, NAN, NAN)
    if len(cells) == 1:
        interval: Interval = alone(cells[0])
        return interval
    tasks: list[Hashable] = [index for index, cell in enumerate(cells) for _ in range(len(cell))]
    return sampled_tasks_interval(pd.concat(list(cells)), tasks)


def _rate(successes: "pd.Series[float]") -> Interval:
    return rate_interval(int(successes.sum()), len(successes))


def _named(name: str, interval: Interval) -> dict[str, float]:
    return {name: interval.estimate, f"{name}_low": interval.low, f"{name}_high": interval.high}
