"""What the figures show, as tables; the page and the plots draw the same numbers."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from harness.report.frame import Pairs
from harness.report.summary import NAN, Summary

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7", "#F0E442")
"""Okabe and Ito's, which the colour-blind can tell apart."""

OUTCOMES = ("success", "failure", "error", "missing")
OUTCOME_COLOURS = ("#009E73", "#E69F00", "#000000", "#BBBBBB")

ARENA = ["policy", "suite", "protocol"]
BINS = 20
MOST_REASONS = 8
"""Reasons of an outcome that are named; an error's text may be different every time."""


def policies(summary: Summary) -> list[str]:
    """Return the policies in the order that gives them their colours and markers."""
    return list(summary.rows["policy"].unique()) if len(summary.rows) else []


def lines(frame: pd.DataFrame) -> Iterator[Any]:
    """Yield a table's rows; what a column holds is known here and not to the type checker."""
    return iter(frame.itertuples())


def headline(summary: Summary) -> pd.DataFrame:
    """Return the widest rows of every policy: one, but for a suite under several protocols."""
    found = []
    for _, mine in summary.rows.groupby("policy", sort=False):
        widest = next(
            level for level in ("overall", "benchmark", "suite") if (mine["level"] == level).any()
        )
        found.append(mine[mine["level"] == widest])
    return pd.concat(found, ignore_index=True)


def place(row: Any) -> str:
    """Return what a row of a summary is the mean of."""
    if row.level == "overall":
        return "all benchmarks"
    return str(row.suite) if row.level == "suite" else f"{row.family} (mean)"


def arenas(rows: pd.DataFrame) -> Iterator[tuple[tuple[str, str], pd.DataFrame]]:
    """Yield the rows of each suite under each protocol, of every policy."""
    for (suite, protocol), mine in rows.groupby(["suite", "protocol"], sort=False):
        yield (str(suite), str(protocol)), mine


def costs(summary: Summary) -> pd.DataFrame:
    """Return success beside what it took, for each policy and suite; nan where none was kept.

    Errors are left out: what they took bought no score. Milliseconds are the policy's own, without
    the way to an actor. Evaluations are of the network, for one chunk.
    """
    suites = summary.level("suite")
    arena = ["policy", "benchmark", "protocol"]
    played = dict(list(_scored(summary).groupby(arena, observed=True)))
    empty = summary.episodes.iloc[:0]
    found = [
        _cost(played.get((row.policy, row.suite, row.protocol), empty)) for row in lines(suites)
    ]
    shown = [*ARENA, "n", "success", "success_low", "success_high"]
    return pd.concat([suites[shown], pd.DataFrame(found)], axis=1)


def priced(costs: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that have both a score and a time: those that can be drawn."""
    return costs[costs["ms_action"].gt(0) & costs["success"].notna()]


def _cost(episodes: pd.DataFrame) -> dict[str, float]:
    policy = float(episodes["wall_policy"].sum())
    chunks = float(episodes["chunks"].sum())
    return {
        "ms_action": _share(1000 * policy, float(episodes["steps"].sum())),
        "ms_chunk": _share(1000 * policy, chunks),
        "evaluations": _share(float(episodes["evaluations"].sum()), chunks),
        "policy_s": _share(policy, len(episodes)),
        "cpu_s": _share(float(episodes["cpu_total"].sum()), len(episodes)),
        "gpu_s": _share(float(episodes["gpu"].sum()), len(episodes)),
        "wall_s": _share(float(episodes["wall_total"].sum()), len(episodes)),
    }


def _share(total: float, count: float) -> float:
    """Return a mean; a cost of exactly nothing means that nobody measured it."""
    return total / count if count and total else NAN


def outcomes(summary: Summary) -> pd.DataFrame:
    """Return how many episodes of each policy and suite came to which end."""
    suites = summary.level("suite")
    frame = suites[ARENA].copy()
    frame["success"] = suites["successes"]
    frame["failure"] = suites["n"] - suites["successes"]
    frame["error"] = suites["errors"]
    frame["missing"] = suites["missing"].clip(lower=0)
    return frame


def reasons(summary: Summary) -> pd.DataFrame:
    """Return why episodes of each policy and suite ended, the commonest first."""
    columns = ["policy", "benchmark", "outcome", "reason"]
    counts = summary.episodes.groupby(columns, observed=True).size().reset_index(name="episodes")
    counts = counts.astype(dict.fromkeys(columns, object))
    counts = counts.sort_values("episodes", ascending=False, kind="stable")
    rank = counts.groupby(columns[:3]).cumcount()
    counts["reason"] = counts["reason"].where(rank < MOST_REASONS, "(other reasons)")
    order = {key: index for index, key in enumerate(_plan_order(summary))}
    summed = counts.groupby(columns, sort=False)["episodes"].sum().reset_index()
    places = [
        (order.get((row.policy, row.benchmark), len(order)), OUTCOMES.index(row.outcome))
        for row in lines(summed)
    ]
    return summed.iloc[sorted(range(len(places)), key=places.__getitem__)]


def _plan_order(summary: Summary) -> list[tuple[str, str]]:
    suites = summary.level("suite")
    return list(dict.fromkeys(zip(suites["policy"], suites["suite"], strict=True)))


def subgoals(summary: Summary) -> pd.DataFrame:
    """Return how often each sub-goal of each task was reached, as its benchmark counts it."""
    rows: list[tuple[Any, ...]] = []
    for cell, group in _scored(summary).groupby(
        ["policy", "benchmark", "task"], sort=False, observed=True
    ):
        reached: dict[str, list[int]] = {}
        # Few different ends are shared by many episodes, so they are counted before being opened.
        ends: dict[Pairs, int] = {}
        for pairs in group["subgoals"]:
            ends[pairs] = ends.get(pairs, 0) + 1
        for pairs, count in ends.items():
            for name, held in pairs:
                seen = reached.setdefault(name, [0, 0])
                seen[0] += count * bool(held)
                seen[1] += count
        rows += [(*cell, name, *seen) for name, seen in reached.items()]
    return pd.DataFrame(
        rows, columns=["policy", "benchmark", "task", "subgoal", "reached", "episodes"]
    )


def step_counts(summary: Summary) -> Iterator[tuple[tuple[str, str], float, pd.DataFrame]]:
    """Yield for each policy and suite the width of a bin and the episodes that end in each."""
    scored = _scored(summary)
    longest = scored.groupby("benchmark", observed=True)["steps"].max().to_dict()
    for (policy, suite), group in scored.groupby(
        ["policy", "benchmark"], sort=False, observed=True
    ):
        width = max(1.0, float(np.ceil((longest[suite] + 1) / BINS)))
        index = np.minimum(group["steps"].to_numpy() // width, BINS - 1).astype(int)
        won = (group["outcome"] == "success").to_numpy()
        bins = {
            "success": np.bincount(index[won], minlength=BINS),
            "failure": np.bincount(index[~won], minlength=BINS),
        }
        yield (str(policy), str(suite)), width, pd.DataFrame(bins)


def _scored(summary: Summary) -> pd.DataFrame:
    return summary.episodes[summary.episodes["outcome"] != "error"]
