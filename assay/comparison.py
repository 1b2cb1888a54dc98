"""Compares two runs, or a run with a paper."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from assay.results import Results, load
from harness.contracts.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

    from harness.report.compare import ComparedTasks


@dataclass(frozen=True)
class Comparison:
    """Whether policy A is better than policy B.

    The numbers are those of the only benchmark; with several, read `table`.

    Attributes:
        names: A and B.
        table: A row for each benchmark, suite and task: n, the scores of A and B from 0 to 1,
            their difference with its interval, p, the outcome, and the test.
        text: What `compare` printed.
    """

    names: tuple[str, str]
    table: "pd.DataFrame"
    text: str

    @property
    def outcome(self) -> str:
        """`better` or `worse` if A differs significantly from B, otherwise `undecided`."""
        return str(self._only["outcome"])

    @property
    def difference(self) -> float:
        """A's score minus B's; a score is the mean over tasks of each task's mean."""
        return float(self._only["difference"])

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the difference, for these tasks."""
        return float(self._only["low"]), float(self._only["high"])

    @property
    def p(self) -> float:
        """The two-sided p-value."""
        return float(self._only["p"])

    @property
    def n(self) -> int:
        """Episodes of each policy."""
        return int(self._only["n"])

    @property
    def _only(self) -> "pd.Series[Any]":
        top = self.table[self.table["level"] == self.table["level"].iloc[0]]
        if len(top) > 1:
            raise UsageError(f"{len(top)} benchmarks are compared; read .table")
        only: pd.Series[Any] = top.iloc[0]
        return only


def compare(
    a: Results | str | Path,
    b: Results | str | Path,
    metric: Literal["success", "progress"] = "success",
    force: bool = False,
) -> Comparison:
    """Print whether policy A is better than policy B, and return the numbers.

    Args:
        a: The results of one policy, or a run's folder.
        b: The same of the other policy.
        metric: The score to compare.
        force: Whether to compare under different protocols.

    Raises:
        UsageError: A run holds several policies, or the runs cannot be compared. `Results.select`
            chooses a policy.
    """
    from harness.report.compare import compare_runs, comparison_table

    one, two = _single(a), _single(b)
    names = one.players[0], two.players[0]
    if names[0] == names[1]:
        names = f"{names[0]} in {one.path}", f"{names[1]} in {two.path}"
    compared = compare_runs(_frame(one), _frame(two), metric, force)
    text = comparison_table(compared, names, metric)
    print(text)
    return Comparison(names, _table(compared), text)


def _single(given: Results | str | Path) -> Results:
    results = given if isinstance(given, Results) else load(given)
    if len(results.players) != 1:
        raise UsageError(
            f"{results.path} holds {len(results.players)} policies: choose one with "
            f".select(NAME), one of {', '.join(results.players)}"
        )
    return results


def _frame(results: Results) -> "pd.DataFrame":
    from harness.report.frame import read_frame
    from harness.runs.folder import Run

    episodes = read_frame([Run.existing(results.path)])
    return episodes[episodes["policy"].isin(results.players)]


def _table(compared: "list[ComparedTasks]") -> "pd.DataFrame":
    import pandas as pd

    from harness.statistics.verdict import verdict

    rows = [
        {
            "level": row.level,
            "name": row.name,
            "n": row.comparison.episodes,
            "a": row.means[0],
            "b": row.means[1],
            "difference": row.comparison.difference.estimate,
            "low": row.comparison.difference.low,
            "high": row.comparison.difference.high,
            "p": row.comparison.p,
            "outcome": verdict(row.comparison).outcome,
            "test": row.comparison.test,
        }
        for row in compared
    ]
    return pd.DataFrame(rows)
