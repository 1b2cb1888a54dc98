"""The numbers behind the figures and the page, as tables."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from harness.report.frame import Pairs
from harness.report.summary import Summary

OUTCOMES = ("success", "failure", "error", "missing")
BINS = 20
"""Bins of a histogram of steps."""
MOST_REASONS = 8
"""Reasons listed for one outcome; the text of an error may differ in every episode."""

_SUITE = ["policy", "suite", "protocol"]


def policy_order(summary: Summary) -> list[str]:
    """Return the policies in plan order, which decides their colours and markers."""
    return list(summary.rows["policy"].unique()) if len(summary.rows) else []


def iter_rows(frame: pd.DataFrame) -> Iterator[Any]:
    """Yield a table's rows, typed as Any: mypy does not know the columns."""
    return iter(frame.itertuples())


def widest_rows(summary: Summary) -> pd.DataFrame:
    """Return each policy's rows at the widest level: overall, or else the benchmark or suite.

    A policy has several such rows if it ran several suites or protocols without a common mean.
    """
    widest = []
    for _, mine in summary.rows.groupby("policy", sort=False):
        if (overall := mine["level"] == "overall").any():
            widest.append(mine[overall])
            continue
        for _, family in mine.groupby(["family", "protocol"], sort=False):
            mean = family["level"] == "benchmark"
            widest.append(family[mean if mean.any() else family["level"] == "suite"])
    return pd.concat(widest, ignore_index=True)


def pools_seeds(rows: pd.DataFrame) -> bool:
    """Return whether any row adds up episodes of several seeds."""
    return bool(rows["seeds"].str.contains(",").any())


def scope_label(row: Any) -> str:
    """Return the name of what a summary row averages over."""
    if row.level == "overall":
        return "all benchmarks"
    return str(row.suite) if row.level == "suite" else f"{row.family} (mean)"


def by_suite(rows: pd.DataFrame) -> Iterator[tuple[tuple[str, str], pd.DataFrame]]:
    """Yield suite, protocol and the rows of every policy there."""
    for (suite, protocol), mine in rows.groupby(["suite", "protocol"], sort=False):
        yield (str(suite), str(protocol)), mine


def policy_costs(summary: Summary) -> pd.DataFrame:
    """Return success and mean cost for each policy and suite; nan where it was not measured.

    Only scored episodes count. `ms_action` is the policy's own time per executed action, without
    the transfer to a policy actor. `evaluations` are network evaluations per action chunk.
    """
    suites = summary.level("suite")
    key = ["policy", "benchmark", "protocol"]
    played = dict(list(_scored(summary).groupby(key, observed=True)))
    none = summary.episodes.iloc[:0]
    costs = [
        _mean_costs(played.get((row.policy, row.suite, row.protocol), none))
        for row in iter_rows(suites)
    ]
    shown = [*_SUITE, "n", "success", "success_low", "success_high"]
    return pd.concat([suites[shown], pd.DataFrame(costs)], axis=1)


def with_policy_time(costs: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `policy_costs` that have both a score and a policy time."""
    return costs[costs["ms_action"].gt(0) & costs["success"].notna()]


def _mean_costs(episodes: pd.DataFrame) -> dict[str, float]:
    policy = float(episodes["wall_policy"].sum())
    chunks = float(episodes["chunks"].sum())
    return {
        "ms_action": _ratio(1000 * policy, float(episodes["steps"].sum())),
        "ms_chunk": _ratio(1000 * policy, chunks),
        "evaluations": _ratio(float(episodes["evaluations"].sum()), chunks),
        "policy_s": _ratio(policy, len(episodes)),
        "cpu_s": _ratio(float(episodes["cpu_total"].sum()), len(episodes)),
        "gpu_s": _ratio(float(episodes["gpu"].sum()), len(episodes)),
        "wall_s": _ratio(float(episodes["wall_total"].sum()), len(episodes)),
    }


def _ratio(total: float, count: float) -> float:
    """Return total / count, or nan; a total of exactly zero was not measured."""
    return total / count if count and total else math.nan


def outcome_counts(summary: Summary) -> pd.DataFrame:
    """Return the number of episodes of each policy and suite by outcome."""
    suites = summary.level("suite")
    frame = suites[_SUITE].copy()
    frame["success"] = suites["successes"]
    frame["failure"] = suites["n"] - suites["successes"]
    frame["error"] = suites["errors"]
    frame["missing"] = suites["missing"].clip(lower=0)
    return frame


def end_reasons(summary: Summary) -> pd.DataFrame:
    """Return why episodes of each policy and suite ended, the most frequent reason first."""
    columns = ["policy", "benchmark", "outcome", "reason"]
    counts = summary.episodes.groupby(columns, observed=True).size().reset_index(name="episodes")
    counts = counts.astype(dict.fromkeys(columns, object))
    counts = counts.sort_values("episodes", ascending=False, kind="stable")
    rank = counts.groupby(columns[:3]).cumcount()
    counts["reason"] = counts["reason"].where(rank < MOST_REASONS, "(other reasons)")
    order = {key: index for index, key in enumerate(_plan_order(summary))}
    summed = counts.groupby(columns, sort=False)["episodes"].sum().reset_index()
    positions = [
        (order.get((row.policy, row.benchmark), len(order)), OUTCOMES.index(row.outcome))
        for row in iter_rows(summed)
    ]
    return summed.iloc[sorted(range(len(positions)), key=positions.__getitem__)]


def _plan_order(summary: Summary) -> list[tuple[str, str]]:
    suites = summary.level("suite")
    return list(dict.fromkeys(zip(suites["policy"], suites["suite"], strict=True)))


def subgoal_counts(summary: Summary) -> pd.DataFrame:
    """Return in how many scored episodes each sub-goal of each task was reached."""
    rows: list[tuple[Any, ...]] = []
    for task, group in _scored(summary).groupby(
        ["policy", "benchmark", "task"], sort=False, observed=True
    ):
        # Many episodes share the same sub-goals, so count equal ones before unpacking them.
        ends: dict[Pairs, int] = {}
        for pairs in group["subgoals"]:
            ends[pairs] = ends.get(pairs, 0) + 1
        counts: dict[str, list[int]] = {}
        for pairs, count in ends.items():
            for name, reached in pairs:
                count_of = counts.setdefault(name, [0, 0])
                count_of[0] += count * bool(reached)
                count_of[1] += count
        rows += [(*task, name, *count_of) for name, count_of in counts.items()]
    return pd.DataFrame(
        rows, columns=["policy", "benchmark", "task", "subgoal", "reached", "episodes"]
    )


def step_histograms(summary: Summary) -> Iterator[tuple[tuple[str, str], float, pd.DataFrame]]:
    """Yield for each policy and suite the bin width and the episodes that end in each bin.

    The bins of a suite are the same for every policy.
    """
    scored = _scored(summary)
    longest = scored.groupby("benchmark", observed=True)["steps"].max().to_dict()
    for (policy, suite), group in scored.groupby(
        ["policy", "benchmark"], sort=False, observed=True
    ):
        width = max(1.0, float(np.ceil((longest[suite] + 1) / BINS)))
        index = np.minimum(group["steps"].to_numpy() // width, BINS - 1).astype(int)
        success = (group["outcome"] == "success").to_numpy()
        bins = {
            "success": np.bincount(index[success], minlength=BINS),
            "failure": np.bincount(index[~success], minlength=BINS),
        }
        yield (str(policy), str(suite)), width, pd.DataFrame(bins)


def _scored(summary: Summary) -> pd.DataFrame:
    return summary.episodes[summary.episodes["outcome"] != "error"]
