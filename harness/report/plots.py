"""Draws the figures: as PNG and PDF files for a paper, and for the page."""

import io
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from harness.contracts.atomic import write_whole
from harness.report import chart_data
from harness.report.markdown import percent
from harness.report.plot_style import (
    GRID,
    INK,
    LETTER_WIDTH,
    Looks,
    all_looks,
    draw_legend,
    label_letters,
    legend_height,
    log_ticks,
    outcome_look,
    plot_settings,
    policy_looks,
    wrap_label,
)
from harness.report.summary import Summary

WIDTHS = {"column": 3.25, "text": 6.75}
"""Widths in inches: a column of a two-column paper, and the whole text."""

MOST_TASKS = 30
"""Tasks, or bars, in one figure; more would not fit a page."""
MOST_SUITES = 6
"""Panels in one figure of costs or steps, for the same reason."""

_METADATA: dict[str, dict[str, Any]] = {
    "png": {"Software": None},
    "pdf": {"CreationDate": None, "Producer": None, "Creator": None},
}
"""Leaves out the date and matplotlib's version, so that equal results give equal bytes."""

Panels = list[tuple[str, pd.DataFrame]]
"""Names, each with the rows drawn beside or under it."""


@dataclass(frozen=True)
class Plot:
    """A figure.

    Attributes:
        name: Its file name without width and suffix.
        title: The figure's subject.
        suite: The suite it shows; empty for several.
        protocol: The suite's protocol; empty for several.
        text: The same in words, for screen readers.
        figure: The figure.
    """

    name: str
    title: str
    suite: str
    protocol: str
    text: str
    figure: Figure


def write_plots(summary: Summary, folder: Path, widths: Mapping[str, float] = WIDTHS) -> list[Path]:
    """Write every figure in both formats; equal results give equal bytes.

    Args:
        summary: The results of the runs.
        folder: The output folder; it is created if missing.
        widths: The figures' widths in inches, by name.

    Returns:
        The files, named FIGURE-WIDTH.png and .pdf; none if no episode has a score.
    """
    written: list[Path] = []
    folder.mkdir(parents=True, exist_ok=True)
    if not summary.level("task")["n"].sum():
        return written
    with plot_settings():
        for width, inches in widths.items():
            # Drawn one by one, so that memory holds one figure only.
            for draw in (success_plots, cost_plots, outcome_plots, step_plots):
                for plot in draw(summary, inches):
                    for suffix, metadata in _METADATA.items():
                        path = folder / f"{plot.name}-{width}.{suffix}"
                        # In memory first: matplotlib hides the error of a full disk.
                        drawn = io.BytesIO()
                        plot.figure.savefig(drawn, format=suffix, metadata=metadata)
                        write_whole(path, drawn.getvalue())
                        written.append(path)
    return written


def success_plots(summary: Summary, width: float, legend: bool = True) -> Iterator[Plot]:
    """Draw success by task: a figure for each suite, a marker and interval for each policy."""
    names: set[str] = set()
    for (suite, protocol), rows in chart_data.by_suite(summary.level("task")):
        ordered = rows.sort_values("position", kind="stable")
        tasks = [(str(name), mine) for name, mine in ordered.groupby("task", sort=False)]
        for part, shown in _sheets(tasks, MOST_TASKS):
            name = _unique(f"success-{_file_name(suite)}{part}", names)
            text = " ".join(f"{task}: {_rates(mine)}." for task, mine in shown)
            figure = _success(shown, policy_looks(summary, rows), width, legend)
            yield Plot(name, "Success by task", suite, protocol, text, figure)


def cost_plots(
    summary: Summary, width: float, legend: bool = True, most: int = MOST_SUITES
) -> Iterator[Plot]:
    """Draw success against the policy's time, a panel for each suite, all on the same axes.

    Args:
        summary: The results of the runs.
        width: The figures' width in inches.
        legend: Whether to draw a legend.
        most: Panels in one figure, at most.
    """
    costs = chart_data.with_policy_time(chart_data.policy_costs(summary))
    limits = (costs["ms_action"].min() / 1.5, costs["ms_action"].max() * 1.5)
    groups = list(chart_data.by_suite(costs))
    panels = [(suite, mine) for (suite, _), mine in groups]
    for index, (part, shown) in enumerate(_sheets(panels, most)):
        looks = policy_looks(summary, pd.concat([mine for _, mine in shown]))
        text = " ".join(
            f"{row.policy}: {_rate(row)} at {row.ms_action:.3g} ms."
            for _, mine in shown
            for row in chart_data.iter_rows(mine)
        )
        suite, protocol = groups[index * most][0] if len(shown) == 1 else ("", "")
        figure = _costs(shown, looks, limits, width, legend)
        yield Plot(f"cost{part}", "Success and policy time", suite, protocol, text, figure)


def outcome_plots(summary: Summary, width: float) -> Iterator[Plot]:
    """Draw the share of each outcome: a bar for each policy and suite."""
    outcomes = chart_data.outcome_counts(summary)
    letters = label_letters(width)
    bars = [
        (
            f"{wrap_label(row.policy, letters, 2)}\n{wrap_label(row.suite, letters, 1)}",
            outcomes.loc[[row.Index]],
        )
        for row in chart_data.iter_rows(outcomes)
    ]
    for part, shown in _sheets(bars, MOST_TASKS):
        rows = pd.concat([row for _, row in shown])
        text = " ".join(
            f"{row.policy} on {row.suite}: "
            + ", ".join(f"{n} {name}" for name in chart_data.OUTCOMES if (n := getattr(row, name)))
            + "."
            for row in chart_data.iter_rows(rows)
        )
        figure = _outcomes([label for label, _ in shown], rows, width)
        yield Plot(f"endings{part}", "Outcomes", "", "", text, figure)


def step_plots(summary: Summary, width: float) -> Iterator[Plot]:
    """Draw histograms of steps: a figure for each suite, a panel for each policy."""
    suites: dict[str, list[tuple[str, pd.DataFrame]]] = {}
    widths: dict[str, float] = {}
    for (policy, suite), step, bins in chart_data.step_histograms(summary):
        widths[suite] = step
        suites.setdefault(suite, []).append((policy, bins))
    names: set[str] = set()
    for suite, histograms in suites.items():
        for part, shown in _sheets(histograms, MOST_SUITES):
            text = " ".join(f"{policy}: {_bins(bins, widths[suite])}." for policy, bins in shown)
            name = _unique(f"steps-{_file_name(suite)}{part}", names)
            yield Plot(name, "Steps", suite, "", text, _steps(shown, widths[suite], width))


def marker_figures(summary: Summary) -> dict[str, Figure]:
    """Return for each policy a small square figure with its marker."""
    figures = {}
    for policy, look in all_looks(summary).items():
        figure = figures[policy] = Figure(figsize=(0.16, 0.16))
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        axes.set(xlim=(-1, 1), ylim=(-1, 1))
        axes.plot([0], [0], **(look | {"markersize": 7}))
    return figures


def _success(tasks: Panels, looks: Looks, width: float, legend: bool) -> Figure:
    labels = [wrap_label(name, label_letters(width)) for name, _ in tasks]
    lines = [max(len(looks) * 0.75 + 0.6, 1.1 * (label.count("\n") + 1)) for label in labels]
    height = 0.115 * sum(lines) + 0.55
    figure, axes = _canvas(width, height + legend_height(looks, width) * legend)
    bottom = np.cumsum([0.0, *lines])
    for (_, rows), start, size in zip(tasks, bottom, lines, strict=False):
        for row in chart_data.iter_rows(rows[rows["n"] > 0]):
            index = list(looks).index(row.policy)
            y = start + size / 2 + 0.75 * (index - (len(looks) - 1) / 2)
            limits = [100 * row.success_low, 100 * row.success_high]
            axes.plot(limits, [y, y], color=INK, linewidth=0.9, solid_capstyle="butt")
            axes.plot([100 * row.success], [y], clip_on=False, **looks[row.policy])
    axes.hlines(bottom[1:-1], 0, 100, color=GRID, linewidth=0.5)
    axes.set_yticks((bottom[:-1] + bottom[1:]) / 2, labels)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(bottom[-1], 0)
    axes.set_xlim(-2, 102)
    axes.set_xticks([0, 25, 50, 75, 100])
    axes.grid(axis="x", color=GRID, linewidth=0.5)
    axes.set_xlabel("success in %, with 95 % intervals")
    if legend:
        draw_legend(figure, looks, width)
    return figure


def _costs(
    suites: Panels,
    looks: Looks,
    limits: tuple[float, float],
    width: float,
    legend: bool,
) -> Figure:
    columns = min(len(suites), 2 if width > 5 else 1)
    rows = math.ceil(len(suites) / columns)
    height = 0.3 + 1.8 * rows + legend_height(looks, width) * legend
    figure = Figure(figsize=(width, height), layout="constrained")
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).flat
    ticks = log_ticks(*limits)
    for index, (axes, (suite, mine)) in enumerate(zip(panels, suites, strict=False)):
        for row in chart_data.iter_rows(mine):
            interval = [100 * row.success_low, 100 * row.success_high]
            axes.plot([row.ms_action] * 2, interval, color=INK, linewidth=0.9, zorder=2)
            axes.plot([row.ms_action], [100 * row.success], clip_on=False, **looks[row.policy])
        axes.set_xscale("log")
        axes.set_xlim(*limits)
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.set_xticks([], minor=True)
        # The lowest panel of each column has the labels, also in a last row that is not full.
        axes.tick_params(labelbottom=index + columns >= len(suites))
        axes.set_ylim(-2, 102)
        axes.set_yticks([0, 25, 50, 75, 100])
        axes.grid(color=GRID, linewidth=0.5)
        if len(suites) > 1:
            axes.set_title(wrap_label(suite, 22 * columns, 1))
    for axes in panels[len(suites) :]:
        axes.set_axis_off()
    figure.supxlabel("policy time per action in ms", fontsize=8)
    figure.supylabel("success in %", fontsize=8)
    if legend:
        draw_legend(figure, looks, width)
    return figure


def _outcomes(labels: list[str], rows: pd.DataFrame, width: float) -> Figure:
    lines = 1 + max(label.count("\n") for label in labels)
    figure, axes = _canvas(width, 0.75 + (0.08 + 0.11 * lines) * len(labels))
    counts = rows[list(chart_data.OUTCOMES)].to_numpy(float)
    shares = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    start = np.zeros(len(labels))
    y = np.arange(len(labels))
    for outcome, share in zip(chart_data.OUTCOMES, shares.T, strict=True):
        if share.any():
            axes.barh(y, share, left=start, height=0.65, label=outcome, **outcome_look(outcome))
        start = start + share
    axes.set_yticks(y, labels)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.set_xlim(0, 100)
    axes.set_xlabel("episodes in %")
    figure.legend(loc="outside upper center", ncols=len(chart_data.OUTCOMES), handlelength=1.2)
    return figure


def _steps(histograms: Panels, step: float, width: float) -> Figure:
    figure = Figure(figsize=(width, 0.65 + 0.7 * len(histograms)), layout="constrained")
    panels = figure.subplots(len(histograms), 1, sharex=True, sharey=True, squeeze=False).flat
    x = step * np.arange(chart_data.BINS)
    for axes, (policy, bins) in zip(panels, histograms, strict=True):
        below = np.zeros(chart_data.BINS)
        for outcome in ("success", "failure"):
            counts = bins[outcome].to_numpy()
            filled = counts > 0
            axes.bar(
                x[filled],
                counts[filled],
                width=step,
                align="edge",
                bottom=below[filled],
                **outcome_look(outcome),
            )
            below = below + counts
        axes.yaxis.set_major_locator(MaxNLocator(2, integer=True))
        letters = int((width - 0.7) / LETTER_WIDTH)
        axes.set_title(wrap_label(policy, letters, 2), loc="left", fontsize=7)
    panels[0].set_xlim(0, step * chart_data.BINS)
    figure.supxlabel("steps", fontsize=8)
    figure.supylabel("episodes", fontsize=8)
    return figure


def _canvas(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, max(1.2, height)), layout="constrained")
    return figure, figure.add_subplot()


def _sheets(panels: Panels, most: int) -> Iterator[tuple[str, Panels]]:
    """Split panels over figures; yield the number in the file name, empty for a single figure."""
    for start in range(0, len(panels), most):
        number = f"-{start // most + 1}" if len(panels) > most else ""
        yield number, panels[start : start + most]


def _file_name(name: str) -> str:
    """Return a safe file name for a suite of any name."""
    return re.sub(r"[^0-9A-Za-z_+-]+", "-", name).strip("-")[:80] or "suite"


def _unique(name: str, names: set[str]) -> str:
    """Return the name, numbered if a suite of a similar name, or another protocol, took it."""
    name = f"{name}-{len(names)}" if name in names else name
    names.add(name)
    return name


def _rate(row: Any) -> str:
    return percent(row.success, row.success_low, row.success_high) if row.n else "no score yet"


def _rates(rows: pd.DataFrame) -> str:
    return "; ".join(f"{row.policy} {_rate(row)}" for row in chart_data.iter_rows(rows))


def _bins(bins: pd.DataFrame, step: float) -> str:
    return "; ".join(
        f"{row.Index * step:.0f} to {(row.Index + 1) * step - 1:.0f} steps: "
        f"{row.success} success, {row.failure} failure"
        for row in chart_data.iter_rows(bins[bins.sum(axis=1) > 0])
    )
