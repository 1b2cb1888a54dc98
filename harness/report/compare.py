"""Compares two policies by task, by suite and overall, and states the conclusion."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd
from tabulate import tabulate

from harness.contracts.errors import UsageError
from harness.published.reference import published
from harness.statistics.compare import (
    Comparison,
    paired_scores,
    paired_success,
    unpaired_scores,
    unpaired_success,
)
from harness.statistics.family import holm
from harness.statistics.verdict import compare_with_published, verdict

MOST_UNPAIRED = 0.5
"""The comparison is paired unless more than this share of the smaller side lacks a partner."""

_TASK = ["benchmark", "task"]
_SCENE = [*_TASK, "protocol", "seed", "episode"]


@dataclass(frozen=True)
class ComparedTasks:
    """Two policies compared on one task, on the tasks of a suite, or on all tasks.

    Attributes:
        name: The task, the suite, or `everything`.
        means: The mean of each policy.
        comparison: The statistics; p is corrected for the other suites or tasks.
        lost: Episodes without a partner, which a paired comparison omits.
    """

    name: str
    means: tuple[float, float]
    comparison: Comparison
    lost: int


def compare_runs(
    a: pd.DataFrame, b: pd.DataFrame, metric: str, force: bool = False
) -> list[ComparedTasks]:
    """Compare the episodes of two policies: all together, by suite, and by task.

    Holm's correction covers the suites and, separately, the tasks. The comparison over everything
    is a single test and needs no correction.

    Raises:
        UsageError: The policies have no scored task in common, or their protocols differ.
    """
    a, b = _scored(a, metric), _scored(b, metric)
    both = a[_TASK].drop_duplicates().merge(b[_TASK].drop_duplicates()).sort_values(_TASK)
    if both.empty:
        raise UsageError("the policies have no task in common with scored episodes")
    a, b = a.merge(both), b.merge(both)
    protocols = sorted(set(a["protocol"])), sorted(set(b["protocol"]))
    if protocols[0] != protocols[1] and not force:
        raise UsageError(
            f"the protocols differ: {', '.join(protocols[0])} and {', '.join(protocols[1])}; a "
            "difference could come from the protocols alone; --force compares anyway"
        )
    everything = [_compare("everything", a, b, metric)] if len(both) > 1 else []
    suites = [
        _compare(name, a[a["benchmark"] == name], b[b["benchmark"] == name], metric)
        for name in both["benchmark"].unique()
    ]
    tasks = [
        _compare(f"{suite} {task}", a.merge(here), b.merge(here), metric)
        for suite, task in both.itertuples(index=False)
        for here in [pd.DataFrame([(suite, task)], columns=_TASK)]
    ]
    return everything + (_corrected(suites) if len(suites) > 1 else []) + _corrected(tasks)


def comparison_table(compared: Sequence[ComparedTasks], names: tuple[str, str], metric: str) -> str:
    """Return the comparison as a Markdown table, with the verdict on its first row."""
    scale, digits = (100, 1) if metric == "success" else (1, 3)
    rows = []
    for each in compared:
        gap, outcome = each.comparison.difference, verdict(each.comparison).outcome
        low, high = (f"{scale * limit:+.{digits}f}" for limit in (gap.low, gap.high))
        rows.append(
            [
                each.name,
                each.comparison.episodes,
                *(f"{scale * mean:.{digits}f}" for mean in each.means),
                f"{scale * gap.estimate:+.{digits}f} [{low}, {high}]",
                f"{each.comparison.p:.2g}",
                "not distinguishable" if outcome == "undecided" else outcome,
            ]
        )
    headers = ["tasks", "n", *names, f"difference in {metric}", "p", f"{names[0]} is"]
    table = tabulate(rows, headers, tablefmt="github", disable_numparse=True)
    tests = dict.fromkeys(each.comparison.test for each in compared)
    notes = [
        verdict(compared[0].comparison, names).sentence,
        f"Test: {', '.join(tests)}. p is Holm-corrected over suites and over tasks.",
    ]
    lost = max(each.lost for each in compared)
    if lost:
        notes.append(f"{lost} episodes without a partner were omitted.")
    return table + "\n\n" + "\n".join(f"- {note}" for note in notes)


def against_published(episodes: pd.DataFrame, method: str) -> list[str]:
    """Return for each suite whether a policy's success rate agrees with a published method's.

    Raises:
        UsageError: No number of this method is published for these suites.
    """
    scored, sentences, methods = _scored(episodes, "success"), [], set()
    for suite, mine in scored.groupby("benchmark", observed=True):
        printed = published(str(suite))
        printed = printed[(printed["task"] == "") & (printed["arm"] == "")]
        methods |= set(printed["method"])
        for row in printed[printed["method"] == method].to_dict("records"):
            n = None if pd.isna(row["n"]) else int(row["n"])
            ours = int(mine["value"].sum())
            result = compare_with_published(ours, len(mine), row["number"] / 100, n)
            sentences.append(f"{suite}, {method} in {row['source']}: {result.sentence}")
    if not sentences:
        known = f"published methods: {', '.join(sorted(methods))}" if methods else "no method is"
        raise UsageError(f"no number of {method!r} is published for these suites; {known}")
    return sentences


def _scored(episodes: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return the scored scenes, with the score as `value`."""
    scored = episodes[episodes["outcome"] != "error"]
    value = scored["outcome"].eq("success") if metric == "success" else scored["progress"]
    frame = scored[_SCENE].astype(dict.fromkeys((*_TASK, "protocol"), object))
    return frame.assign(value=value.astype(float)).dropna(subset="value")


def _compare(name: str, a: pd.DataFrame, b: pd.DataFrame, metric: str) -> ComparedTasks:
    """Compare in pairs if most scenes are the same, else unpaired."""
    pairs = a.merge(b, on=_SCENE, suffixes=("_a", "_b"))
    success = metric == "success"
    if len(pairs) >= (1 - MOST_UNPAIRED) * min(len(a), len(b)):
        one, two = pairs["value_a"].to_numpy(), pairs["value_b"].to_numpy()
        comparison = (paired_success if success else paired_scores)(one, two)
        lost = len(a) + len(b) - 2 * len(pairs)
    else:
        one, two, lost = a["value"].to_numpy(), b["value"].to_numpy(), 0
        comparison = (unpaired_success if success else unpaired_scores)(one, two)
    return ComparedTasks(name, (float(one.mean()), float(two.mean())), comparison, lost)


def _corrected(compared: Sequence[ComparedTasks]) -> list[ComparedTasks]:
    corrected = holm([each.comparison.p for each in compared])
    return [
        replace(each, comparison=replace(each.comparison, p=float(p)))
        for each, p in zip(compared, corrected, strict=True)
    ]
