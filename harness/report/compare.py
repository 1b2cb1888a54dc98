"""Compares two policies by benchmark, suite and task, and states the conclusion.

The numbers are those of the tables: the mean over tasks of each task's mean, over all scored
episodes. The differences in the tables of a layout are made here too.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
import pandas as pd
from tabulate import tabulate

from harness.contracts.errors import UsageError
from harness.contracts.protocol import ProtocolLabel
from harness.published.reference import published
from harness.report.paper.best import SHARED, Sample, shared_scenes
from harness.report.summary import FEWEST_TASKS
from harness.statistics.compare import Comparison
from harness.statistics.family import holm
from harness.statistics.interval import Interval
from harness.statistics.means import MeanComparison, paired_means, unpaired_means
from harness.statistics.verdict import compare_with_published, verdict

_CELL = ["family", "rules", "benchmark", "task"]
"""What identifies a task; `rules` names its protocol, or two if --force mixes them."""
_SCENE = ["benchmark", "task", "protocol", "seed", "episode"]

Level = Literal["benchmark", "suite", "task"]


@dataclass(frozen=True)
class ComparedTasks:
    """Two policies compared on one task, or by the mean over several.

    Attributes:
        level: Whether these are all tasks of a benchmark, those of a suite, or one.
        name: The name of the benchmark, suite or task.
        tasks: The number of tasks.
        means: The mean of each policy, as in the tables.
        compared: The statistics; p is corrected for the other rows of the level.
        lost: Episodes without a partner. They count in the means, not in interval and test.
    """

    level: Level
    name: str
    tasks: int
    means: tuple[float, float]
    compared: MeanComparison
    lost: int

    @property
    def comparison(self) -> Comparison:
        """The difference, its interval for these tasks, and its test."""
        return self.compared.comparison


def compare_runs(
    a: pd.DataFrame, b: pd.DataFrame, metric: str, force: bool = False
) -> list[ComparedTasks]:
    """Compare the episodes of two policies by benchmark, by suite, and by task.

    No number spans several benchmarks or protocols. Holm's correction covers the rows of each
    level.

    Returns:
        The comparison of each benchmark, of each suite if a benchmark has several, and of each
        task. If there is only one task, it is the only row.

    Raises:
        UsageError: The policies have no scored task in common, or their protocols differ.
    """
    a, b = _same_rules(_scored(a, metric), _scored(b, metric), force)
    both = a[_CELL].drop_duplicates().merge(b[_CELL].drop_duplicates()).sort_values(_CELL)
    success = metric == "success"

    def compare(level: Level, name: str, cells: pd.DataFrame) -> ComparedTasks:
        one, two = (_sample(frame, cells) for frame in (a, b))
        means = _mean_over_tasks(one), _mean_over_tasks(two)
        compared, lost = compare_samples(one, two, success)
        return ComparedTasks(level, name, len(cells), means, compared, lost)

    benchmarks: list[ComparedTasks] = []
    suites: list[ComparedTasks] = []
    several = both["rules"].nunique() > 1
    for (family, rules), cells in both.groupby(["family", "rules"], sort=False):
        mine = [(str(suite), group) for suite, group in cells.groupby("benchmark", sort=False)]
        name = str(family) if len(mine) > 1 else mine[0][0]
        benchmarks.append(compare("benchmark", f"{name}, {rules}" if several else name, cells))
        if len(mine) > 1:
            suites += [compare("suite", suite, group) for suite, group in mine]
    tasks = [
        compare("task", f"{benchmark} {task}", both.iloc[[index]])
        for index, (benchmark, task) in enumerate(zip(both["benchmark"], both["task"], strict=True))
    ]
    if len(tasks) == 1:
        return tasks
    return _corrected(benchmarks) + _corrected(suites) + _corrected(tasks)


def compare_samples(
    a: Sample, b: Sample, success: bool, test: bool = True
) -> tuple[MeanComparison, int]:
    """Compare two policies by the mean over tasks, in pairs if nearly all scenes are shared.

    Args:
        a: The scored episodes of the first policy.
        b: Those of the second, on the same tasks.
        success: Whether the values are successes; else they are scores.
        test: Whether to make slow tests too; without, their p is nan.

    Returns:
        The comparison, and the number of episodes without a partner.
    """
    shared = shared_scenes([a, b])
    if shared is None or set(shared[1]) != set(a.tasks):
        one, two = ((each.values, each.tasks.tolist()) for each in (a, b))
        return unpaired_means(one, two, success, test), 0
    (first, second), tasks = shared
    found = paired_means(first, second, tasks.tolist(), success, test)
    lost = len(a.values) + len(b.values) - 2 * len(tasks)
    if not lost:
        return found, 0
    # Every scored episode counts in the estimate, as in the tables; the pairs are at least 90 %.
    estimate = _mean_over_tasks(a) - _mean_over_tasks(b)
    pairs = found.comparison
    opposite = np.sign(estimate) != np.sign(pairs.difference.estimate)
    gap = pairs.difference.around(estimate)
    similar = found.similar.around(estimate) if found.similar else None
    comparison = replace(pairs, difference=gap, p=1.0 if opposite else pairs.p)
    return replace(found, comparison=comparison, similar=similar), lost


def comparison_table(compared: Sequence[ComparedTasks], names: tuple[str, str], metric: str) -> str:
    """Return the comparison as a Markdown table, with a verdict for each benchmark beneath."""
    similar = any(_similar(each) for each in compared)
    headers = ["tasks", "n", *names, f"difference in {metric}", "p", f"{names[0]} is", "test"]
    if similar:
        headers.insert(5, "for similar tasks")
    rows = [_row(each, metric, similar) for each in compared]
    table = tabulate(rows, headers, tablefmt="github", disable_numparse=True)
    top = top_rows(compared)
    prefixes = [f"{each.name}: " if len(top) > 1 else "" for each in top]
    verdicts = [
        prefix + verdict(each.comparison, names, points=metric == "success").sentence
        for prefix, each in zip(prefixes, top, strict=True)
    ]
    notes = verdicts + _notes(compared, similar)
    return table + "\n\n" + "\n".join(f"- {note}" for note in notes)


def top_rows(compared: Sequence[ComparedTasks]) -> list[ComparedTasks]:
    """Return the rows with the verdict: one for each benchmark, or the only task."""
    return [each for each in compared if each.level == compared[0].level]


def _row(each: ComparedTasks, metric: str, similar: bool) -> list[str]:
    scale, digits = (100, 1) if metric == "success" else (1, 3)

    def signed(value: float) -> str:
        return f"{scale * value:+.{digits}f}"

    gap, outcome = each.comparison.difference, verdict(each.comparison).outcome
    cells = [
        each.name,
        str(each.comparison.episodes),
        *(f"{scale * mean:.{digits}f}" for mean in each.means),
        f"{signed(gap.estimate)} [{signed(gap.low)}, {signed(gap.high)}]",
        f"{each.comparison.p:.2g}",
        "not distinguishable" if outcome == "undecided" else outcome,
        each.comparison.test,
    ]
    if similar:
        wide = _similar(each)
        cells.insert(5, f"[{signed(wide.low)}, {signed(wide.high)}]" if wide else "")
    return cells


def _similar(each: ComparedTasks) -> Interval | None:
    """Return the interval for similar tasks, if there are as many tasks as a table asks for."""
    return each.compared.similar if each.tasks >= FEWEST_TASKS else None


def _notes(compared: Sequence[ComparedTasks], similar: bool) -> list[str]:
    """Return the notes on intervals, corrections and pairs."""
    notes = []
    if len(compared) > 1:
        notes.append(
            "A mean is over the tasks, each with the same weight, as in the report's tables. "
            "Intervals and tests are for exactly these tasks."
        )
    if similar:
        notes.append(
            "`for similar tasks`: the 95 % interval of the same difference if the tasks were drawn "
            "anew, clustered by task as in the report's tables. It has no test."
        )
    levels = [[each for each in compared if each.level == level] for level in get_args(Level)]
    names = [f"{level[0].level}s" for level in levels if len(level) > 1]
    if names:
        notes.append(f"p is Holm-corrected over the {' and, separately, over the '.join(names)}.")
    lost = max(each.lost for each in compared)
    if lost:
        notes.append(
            f"{lost} episodes without a partner count in the means, but not in intervals and tests."
        )
    if not all(each.compared.paired for each in compared):
        unpaired = sum(not each.compared.paired for each in compared)
        which = "All rows" if unpaired == len(compared) else f"{unpaired} of {len(compared)} rows"
        notes.append(
            f"{which} compare different scenes: less than {SHARED:.0%} of the scenes are shared. "
            "The same seed and number of episodes would give pairs."
        )
    return notes


def against_published(episodes: pd.DataFrame, method: str) -> list[str]:
    """Return for each suite whether a policy's success rate agrees with a published method's.

    Raises:
        UsageError: No number of this method is published for these suites.
    """
    scored, sentences, methods = _scored(episodes, "success"), [], set()
    for (suite, rules), mine in scored.groupby(["benchmark", "rules"]):
        printed = published(str(suite))
        printed = printed[(printed["task"] == "") & (printed["arm"] == "")]
        methods |= set(printed["method"])
        for row in printed[printed["method"] == method].to_dict("records"):
            n = None if pd.isna(row["n"]) else int(row["n"])
            result = compare_with_published(
                mine["value"], mine["task"].tolist(), row["number"] / 100, n
            )
            sentences.append(f"{suite}, {rules}, {method} in {row['source']}: {result.sentence}")
    if not sentences:
        known = f"published methods: {', '.join(sorted(methods))}" if methods else "no method is"
        raise UsageError(f"no number of {method!r} is published for these suites; {known}")
    return sentences


def _scored(episodes: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return the scored scenes, with the score as `value`, the family and the rules."""
    scored = episodes[episodes["outcome"] != "error"]
    value = scored["outcome"].eq("success") if metric == "success" else scored["progress"]
    frame = scored[_SCENE].astype(dict.fromkeys(("benchmark", "task", "protocol"), object))
    families = {label: ProtocolLabel.parse(label).family for label in frame["protocol"].unique()}
    frame = frame.assign(
        value=value.astype(float), rules=frame["protocol"], family=frame["protocol"].map(families)
    )
    return frame.dropna(subset="value")


def _same_rules(a: pd.DataFrame, b: pd.DataFrame, force: bool) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the episodes of the tasks that both played under the same protocol.

    With `force`, a suite's protocols may differ; its rules then name both.
    """
    rules: dict[str, str] = {}
    for suite in sorted(set(a["benchmark"]) & set(b["benchmark"])):
        one, two = (sorted(set(f.loc[f["benchmark"] == suite, "protocol"])) for f in (a, b))
        if set(one) & set(two):
            continue
        if not force or len(one) > 1 or len(two) > 1:
            hint = (
                "a difference could come from the protocols alone; --force compares anyway"
                if len(one) == len(two) == 1
                else "a mean never mixes protocols"
            )
            raise UsageError(f"the protocols differ: {', '.join(one)} and {', '.join(two)}; {hint}")
        rules[suite] = f"{one[0]} and {two[0]}"
    a, b = (f.assign(rules=f["benchmark"].map(rules).fillna(f["protocol"])) for f in (a, b))
    both = a[_CELL].drop_duplicates().merge(b[_CELL].drop_duplicates())
    if both.empty:
        raise UsageError("the policies have no task in common with scored episodes")
    return a.merge(both), b.merge(both)


def _sample(frame: pd.DataFrame, cells: pd.DataFrame) -> Sample:
    """Return the episodes of these cells, numbered in the order of the cells."""
    mine = frame.merge(cells[_CELL].assign(index=range(len(cells))))
    scenes = pd.util.hash_pandas_object(mine[_SCENE], index=False)
    return Sample(
        np.asarray(scenes, np.uint64),
        mine["index"].to_numpy(np.intp),
        mine["value"].to_numpy(np.float64),
    )


def _mean_over_tasks(sample: Sample) -> float:
    counts = np.bincount(sample.tasks)
    return float(np.mean(np.bincount(sample.tasks, sample.values) / counts))


def _corrected(compared: Sequence[ComparedTasks]) -> list[ComparedTasks]:
    corrected = holm([each.comparison.p for each in compared])
    return [
        replace(
            each,
            compared=replace(each.compared, comparison=replace(each.comparison, p=float(p))),
        )
        for each, p in zip(compared, corrected, strict=True)
    ]
