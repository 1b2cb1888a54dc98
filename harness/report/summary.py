"""Sums episodes up: a row for each task, each suite, each benchmark and for everything."""

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

LEVELS = ("task", "suite", "benchmark", "overall")
"""A suite is what the command line calls a benchmark; a benchmark is the family of its suites."""

FEWEST_TASKS = 5
"""Tasks that say something of other tasks; two would leave a suite's interval from 0 to 87 %."""

ALL = "all"
JOINED = " + "
"""Stands between the protocols of a mean over several."""
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

    @property
    def seeds(self) -> list[int]:
        """The runs' seeds."""
        return sorted({facts["plan"]["seed"] for facts in self.facts})

    @property
    def versions(self) -> list[str]:
        """What ran, each package with every version that the runs had."""
        versions: dict[str, set[str]] = {}
        for facts in self.facts:
            for name, version in facts["versions"].items():
                versions.setdefault(name, set()).add(version)
        return [f"{name} {' and '.join(sorted(known))}" for name, known in versions.items()]

    @property
    def notes(self) -> dict[str, str]:
        """What has to be said with the numbers of some protocols, by their labels."""
        return {label: note for facts in self.facts for label, note in notes_of(facts).items()}

    def level(self, *levels: str) -> pd.DataFrame:
        """Return the rows of some levels."""
        return self.rows[self.rows["level"].isin(levels)].reset_index(drop=True)


def summarise(runs: Sequence[Run]) -> Summary:
    """Build the summary of runs, complete or not."""
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


def _rows(policy: str, wanted: pd.DataFrame, played: "Played") -> Iterator[dict[str, Any]]:
    """Build every row of a policy. Only the mean over everything may be over several protocols."""
    mine = wanted[wanted["policy"] == policy].sort_values("position", kind="stable")
    keys = mine[CELL].itertuples(index=False, name=None)
    cells = {
        index: _Cell(int(wanted), *played.get(key, _NOTHING))
        for index, wanted, key in zip(mine.index, mine["wanted"], keys, strict=True)
    }

    def over(level: str, family: Any, suite: Any, tasks: pd.DataFrame) -> dict[str, Any]:
        protocol = JOINED.join(tasks["protocol"].unique())
        place = {"policy": policy, "family": family, "suite": suite, "protocol": protocol}
        alone = level == "task"
        name = tasks["task"].iloc[0] if alone else ALL
        position = int(tasks["position"].iloc[0]) if alone else -1
        found = _measure([cells[index] for index in tasks.index])
        return place | {"level": level, "task": name, "position": position} | found

    for (name, suite, _), tasks in mine.groupby(["family", "benchmark", "protocol"], sort=False):
        for index in tasks.index:
            yield over("task", name, suite, tasks.loc[[index]])
        yield over("suite", name, suite, tasks)
    for (name, _), tasks in mine.groupby(["family", "protocol"], sort=False):
        if tasks["benchmark"].nunique() > 1:
            yield over("benchmark", name, ALL, tasks)
    if len(mine[["family", "protocol"]].drop_duplicates()) == mine["family"].nunique() > 1:
        yield over("overall", ALL, ALL, mine)


@dataclass(frozen=True)
class _Cell:
    """The episodes of one policy on one task, as plain arrays: they are added up several times."""

    wanted: int
    known: int
    successes: Floats
    scores: Floats
    steps: float


Played = Mapping[tuple[str, ...], tuple[int, Floats, Floats, float]]
_NOTHING = (0, np.zeros(0), np.zeros(0), 0.0)


def _played(episodes: pd.DataFrame) -> Played:
    """Return for each cell how many episodes there are, and successes, scores and steps."""
    outcome = episodes["outcome"]
    scored, success = (outcome != "error").to_numpy(), (outcome == "success").to_numpy(float)
    progress, steps = episodes["progress"].to_numpy(), episodes["steps"].to_numpy()
    found: dict[Any, tuple[int, Floats, Floats, float]] = {}
    for name, rows in episodes.groupby(CELL, observed=True).indices.items():
        mine = rows[scored[rows]]
        scores = progress[mine]
        known = scores[~np.isnan(scores)]
        found[name] = (len(rows), success[mine], known, float(steps[mine].sum()))
    return found


def _measure(cells: Sequence[_Cell]) -> dict[str, Any]:
    """Return what one or more cells found: counts, and means over tasks with intervals."""
    n, known = sum(len(cell.successes) for cell in cells), sum(cell.known for cell in cells)
    return {
        "tasks": len(cells),
        "n": n,
        "errors": known - n,
        "missing": sum(cell.wanted for cell in cells) - known,
        "successes": int(sum(cell.successes.sum() for cell in cells)),
        **_named("success", interval_over([cell.successes for cell in cells], "success")),
        **_named("progress", interval_over([cell.scores for cell in cells], "progress")),
        "steps": sum(cell.steps for cell in cells) / n if n else NAN,
    }


def interval_over(cells: Sequence[Floats], metric: str) -> Interval:
    """Return the mean over tasks, with an interval for tasks like these if there are enough.

    Args:
        cells: For each task the successes or scores of its scored episodes.
        metric: ``success`` or ``progress``.
    """
    cells = [cell for cell in cells if len(cell)]
    if not cells:
        return Interval(NAN, NAN, NAN)
    if len(cells) > 1:
        tasks = [index for index, cell in enumerate(cells) for _ in range(len(cell))]
        several = sampled_tasks_interval if len(cells) >= FEWEST_TASKS else fixed_tasks_interval
        return several(np.concatenate(cells), tasks)
    if metric == "success":
        return rate_interval(int(cells[0].sum()), len(cells[0]))
    return mean_interval(cells[0])


def _named(name: str, interval: Interval) -> dict[str, float]:
    return {name: interval.estimate, f"{name}_low": interval.low, f"{name}_high": interval.high}
