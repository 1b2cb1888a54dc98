"""Compares two policies on the same scenes, place by place, and says what may be concluded."""

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

TASK = ["benchmark", "task"]
SCENE = [*TASK, "protocol", "seed", "episode"]
MOST_LOST = 0.5
"""The share of the smaller side's episodes that may lack a partner before pairs are given up."""


@dataclass(frozen=True)
class Place:
    """How two policies compare on one task, one suite, or on everything.

    Attributes:
        name: Where.
        means: The first one's mean and the second one's.
        comparison: The statistics, with p corrected for the other places of its kind.
        lost: Episodes that had no partner and so were left out.
    """

    name: str
    means: tuple[float, float]
    comparison: Comparison
    lost: int


def compare(a: pd.DataFrame, b: pd.DataFrame, metric: str, force: bool = False) -> list[Place]:
    """Compare the episodes of two policies: all together, by suite, and by task.

    Holm's correction is over the suites and, apart from them, over the tasks. The comparison of
    everything is one question and needs none.

    Raises:
        UsageError: They have no task in common, or were scored under different protocols.
    """
    a, b = _scored(a, metric), _scored(b, metric)
    both = a[TASK].drop_duplicates().merge(b[TASK].drop_duplicates()).sort_values(TASK)
    if both.empty:
        raise UsageError("the two have no task in common with scored episodes")
    a, b = a.merge(both), b.merge(both)
    protocols = sorted(set(a["protocol"])), sorted(set(b["protocol"]))
    if protocols[0] != protocols[1] and not force:
        raise UsageError(
            f"the protocols differ: {', '.join(protocols[0])} and {', '.join(protocols[1])}; a "
            f"difference could come from the rules alone; --force compares all the same"
        )
    everything = [_place("everything", a, b, metric)] if len(both) > 1 else []
    suites = [
        _place(name, a[a["benchmark"] == name], b[b["benchmark"] == name], metric)
        for name in both["benchmark"].unique()
    ]
    tasks = [
        _place(f"{suite} {task}", a.merge(here), b.merge(here), metric)
        for suite, task in both.itertuples(index=False)
        for here in [pd.DataFrame([(suite, task)], columns=TASK)]
    ]
    return everything + (_corrected(suites) if len(suites) > 1 else []) + _corrected(tasks)


def markdown(places: Sequence[Place], names: tuple[str, str], metric: str) -> str:
    """Return the comparison as a table and the verdict on its first place as a sentence."""
    scale, digits = (100, 1) if metric == "success" else (1, 3)
    rows = []
    for place in places:
        gap, outcome = place.comparison.difference, verdict(place.comparison).outcome
        low, high = (f"{scale * limit:+.{digits}f}" for limit in (gap.low, gap.high))
        rows.append(
            [
                place.name,
                place.comparison.episodes,
                *(f"{scale * mean:.{digits}f}" for mean in place.means),
                f"{scale * gap.estimate:+.{digits}f} [{low}, {high}]",
                f"{place.comparison.p:.2g}",
                "not distinguishable" if outcome == "undecided" else outcome,
            ]
        )
    headers = ["where", "n", *names, f"difference in {metric}", "p", f"{names[0]} is"]
    table = tabulate(rows, headers, tablefmt="github", disable_numparse=True)
    lost = max(place.lost for place in places)
    notes = [
        verdict(places[0].comparison, names).sentence,
        f"{places[0].comparison.test}; p is corrected by Holm within suites and within tasks.",
        *([f"{lost} episodes without a partner were left out."] if lost else []),
    ]
    return table + "\n\n" + "\n".join(f"- {note}" for note in notes)


def against_published(episodes: pd.DataFrame, method: str) -> list[str]:
    """Say for each suite whether a policy's success rate agrees with a published method's.

    Raises:
        UsageError: Nothing is published of this method on these suites.
    """
    scored, sentences, methods = _scored(episodes, "success"), [], set()
    for suite, mine in scored.groupby("benchmark", observed=True):
        there = published(str(suite))
        there = there[(there["task"] == "") & (there["arm"] == "")]
        methods |= set(there["method"])
        for row in there[there["method"] == method].to_dict("records"):
            n = None if pd.isna(row["n"]) else int(row["n"])
            ours = int(mine["value"].sum())
            found = compare_with_published(ours, len(mine), row["number"] / 100, n)
            sentences.append(f"{suite}, {method} in {row['source']}: {found.sentence}")
    if not sentences:
        known = f"published there: {', '.join(sorted(methods))}" if methods else "nothing is"
        raise UsageError(f"no number of {method!r} is published for these suites; {known}")
    return sentences


def _scored(episodes: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return the scenes that have a score, with the score as `value`."""
    scored = episodes[episodes["outcome"] != "error"]
    value = scored["outcome"].eq("success") if metric == "success" else scored["progress"]
    frame = scored[SCENE].astype(dict.fromkeys((*TASK, "protocol"), object))
    return frame.assign(value=value.astype(float)).dropna(subset="value")


def _place(name: str, a: pd.DataFrame, b: pd.DataFrame, metric: str) -> Place:
    """Compare as pairs where the scenes are the same, otherwise as they are."""
    pairs = a.merge(b, on=SCENE, suffixes=("_a", "_b"))
    success = metric == "success"
    if len(pairs) >= (1 - MOST_LOST) * min(len(a), len(b)):
        one, two = pairs["value_a"].to_numpy(), pairs["value_b"].to_numpy()
        comparison = (paired_success if success else paired_scores)(one, two)
        lost = len(a) + len(b) - 2 * len(pairs)
    else:
        one, two, lost = a["value"].to_numpy(), b["value"].to_numpy(), 0
        comparison = (unpaired_success if success else unpaired_scores)(one, two)
    return Place(name, (float(one.mean()), float(two.mean())), comparison, lost)


def _corrected(places: Sequence[Place]) -> list[Place]:
    corrected = holm([place.comparison.p for place in places])
    return [
        replace(place, comparison=replace(place.comparison, p=float(p)))
        for place, p in zip(places, corrected, strict=True)
    ]
