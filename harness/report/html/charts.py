"""Where the page's charts put their marks, in percent of a chart's width and height."""

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from harness.report import figures
from harness.report.markdown import percent
from harness.report.summary import Summary

MARKERS = (
    "M-5 0A5 5 0 1 0 5 0A5 5 0 1 0 -5 0Z",
    "M-4.5 -4.5H4.5V4.5H-4.5Z",
    "M0 -5.5L5.5 4.5H-5.5Z",
    "M0 -6L6 0L0 6L-6 0Z",
    "M0 5.5L5.5 -4.5H-5.5Z",
    "M-2 -5.5H2V-2H5.5V2H2V5.5H-2V2H-5.5V-2H-2Z",
    "M0 -6L5.7 -1.9L3.5 4.9H-3.5L-5.7 -1.9Z",
    "M-5.5 -2.5H5.5V2.5H-5.5Z",
)
"""As many as colours and one, so that colour and marker together name 56 policies."""


def styles(policies: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return each policy's colour and marker; the marker tells them apart in grey."""
    return {
        policy: {
            "colour": figures.COLOURS[index % len(figures.COLOURS)],
            "marker": index % len(MARKERS),
        }
        for index, policy in enumerate(policies)
    }


def place(share: float) -> str:
    """Return a share of a chart as a percentage that an attribute can hold."""
    return f"{100 * share:.2f}"


def whiskers(summary: Summary) -> list[dict[str, Any]]:
    """Return for each suite its tasks in order, with a point for each policy."""
    found: list[dict[str, Any]] = []
    for (suite, protocol), rows in figures.arenas(summary.level("task")):
        ordered = rows.sort_values("position", kind="stable")
        tasks = [
            {
                "name": str(name),
                "id": f"task-{len(found)}-{index}",
                "points": [_point(row) for row in figures.lines(mine)],
            }
            for index, (name, mine) in enumerate(ordered.groupby("task", sort=False))
        ]
        found.append({"suite": suite, "protocol": protocol, "tasks": tasks})
    return found


def _point(row: Any) -> dict[str, Any]:
    text = percent(row.success, row.success_low, row.success_high)
    point = {"policy": row.policy, "there": row.n > 0}
    if not row.n:
        return point | {"text": "no score yet"}
    values = (row.success, row.success_low, row.success_high)
    return point | {"text": text} | dict(zip(("x", "low", "high"), map(place, values), strict=True))


def scatters(costs: pd.DataFrame) -> list[dict[str, Any]]:
    """Return for each suite success over the logarithm of the policy's time for an action.

    The axis is the same for all, so that suites can be compared.
    """
    known = figures.priced(costs)
    if known.empty:
        return []
    low, high = float(known["ms_action"].min()) / 1.5, float(known["ms_action"].max()) * 1.5

    def across(value: float) -> str:
        return place(math.log(value / low) / math.log(high / low))

    ticks = [{"x": across(tick), "text": f"{tick:g}"} for tick in log_ticks(low, high)]
    found: list[dict[str, Any]] = []
    for (suite, protocol), rows in figures.arenas(known):
        points = [
            {
                "policy": row.policy,
                "text": percent(row.success, row.success_low, row.success_high),
                "cost": f"{row.ms_action:.3g}",
                "x": across(row.ms_action),
                "y": place(1 - row.success),
                "low": place(1 - row.success_low),
                "high": place(1 - row.success_high),
            }
            for row in figures.lines(rows)
        ]
        chart = {"suite": suite, "protocol": protocol, "id": f"scatter-{len(found)}"}
        found.append(chart | {"points": points, "ticks": ticks})
    return found


def log_ticks(low: float, high: float) -> list[float]:
    """Return round numbers between two: powers of ten where there are several, or 1, 2 and 5."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in ((1,), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9)):
        ticks = [step * 10.0**decade for decade in decades for step in steps]
        ticks = [tick for tick in ticks if low <= tick <= high]
        if len(ticks) >= 3:
            break
    return ticks


def ends(outcomes: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a bar for each policy and suite, cut by outcome."""
    bars = []
    for index, row in enumerate(outcomes.to_dict("records")):
        counts = {outcome: int(row[outcome]) for outcome in figures.OUTCOMES}
        whole, start, parts = sum(counts.values()), 0, []
        for outcome, count in counts.items():
            if count:
                part = {"outcome": outcome, "count": count, "x": place(start / whole)}
                parts.append(part | {"width": place(count / whole)})
                start += count
        text = ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count)
        names = {"policy": row["policy"], "suite": row["suite"]}
        bars.append(names | {"id": f"end-{index}", "text": text, "parts": parts})
    return bars


def histograms(summary: Summary) -> list[dict[str, Any]]:
    """Return for each policy and suite how many episodes end after how many steps."""
    found: list[dict[str, Any]] = []
    for (policy, suite), width, bins in figures.step_counts(summary):
        highest = int((bins["success"] + bins["failure"]).max())
        bars = []
        for index, (won, lost) in enumerate(zip(bins["success"], bins["failure"], strict=True)):
            top = 1.0
            for outcome, count in (("success", int(won)), ("failure", int(lost))):
                if count:
                    height = count / highest
                    top -= height
                    bar = {"outcome": outcome, "x": place((index + 0.05) / figures.BINS)}
                    bar |= {"width": place(0.9 / figures.BINS)}
                    bars.append(bar | {"y": place(max(top, 0.0)), "height": place(height)})
        filled = bins[bins.sum(axis=1) > 0]
        text = "; ".join(
            f"{index * width:.0f} to {(index + 1) * width - 1:.0f}: "
            f"{int(row['success'])} success, {int(row['failure'])} failure"
            for index, row in filled.iterrows()
            if isinstance(index, int)
        )
        chart = {"policy": policy, "suite": suite, "id": f"steps-{len(found)}", "text": text}
        found.append(chart | {"bars": bars, "end": f"{width * figures.BINS:.0f}"})
    return found
