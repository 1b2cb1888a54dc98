"""The figures as PNG and PDF for a paper, in the widths of a column and of a text."""

import re
import textwrap
from collections.abc import Iterator, Mapping
from math import ceil
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.textpath import TextPath

from harness.report import figures
from harness.report.html.charts import log_ticks
from harness.report.summary import Summary

WIDTHS = {"column": 3.25, "text": 6.75}
"""Inches."""

MARKERS = ("o", "s", "^", "D", "v", "P", "p", "_")
"""The page's, in its order."""

OUTCOME_LOOKS = (("#009E73", ""), ("#E69F00", "////"), ("#000000", ""), ("#FFFFFF", "...."))
"""A colour and a hatch for each outcome, so that grey tells them apart as well."""

MOST_TASKS = 30
"""In one figure, or it would not fit on a page."""
MOST_SUITES = 6
"""In one figure of costs, for the same reason."""

LOOK: dict[Any, Any] = {
    "font.size": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "hatch.linewidth": 0.5,
    # Publishers refuse Type 3 fonts.
    "pdf.fonttype": 42,
    # A name with dollar signs is a name, not mathematics.
    "text.parse_math": False,
    "savefig.dpi": 300,
}
LETTERS = 40
"""Of a name in a legend, at most, after which its next line begins."""

WIDEST, MARK = 0.1, 0.4
"""Inches of a legend: an m, and what stands beside a name."""


def write_plots(summary: Summary, folder: Path, widths: Mapping[str, float] = WIDTHS) -> list[Path]:
    """Write every figure in both widths and both formats; the same numbers give the same bytes.

    Args:
        summary: What runs found.
        folder: Where the files go; it is made if it is not there.
        widths: The figures' widths in inches, by name.

    Returns:
        The files, named FIGURE-WIDTH.png and .pdf; none where no episode has a score.
    """
    written: list[Path] = []
    folder.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context():
        # A user's own settings would change the bytes.
        mpl.rcdefaults()
        mpl.rcParams.update(LOOK)
        for width, inches in widths.items():
            for name, figure in _figures(summary, inches):
                for suffix, metadata in (("png", {"Software": None}), ("pdf", PDF_FACTS)):
                    path = folder / f"{name}-{width}.{suffix}"
                    figure.savefig(path, metadata=metadata)
                    written.append(path)
    return written


PDF_FACTS = {"CreationDate": None, "Producer": None, "Creator": None}
"""Without the time of day and the library's version, which would change the bytes."""


def _figures(summary: Summary, width: float) -> Iterator[tuple[str, Figure]]:
    """Draw the figures one by one, so that only one is held."""
    tasks = summary.level("task")
    if not tasks["n"].sum():
        return
    names: set[str] = set()
    for (suite, protocol), rows in figures.arenas(tasks):
        ordered = rows.sort_values("position", kind="stable")
        cells = [(str(name), mine) for name, mine in ordered.groupby("task", sort=False)]
        for part, shown in _sheets(cells, MOST_TASKS):
            name = f"success-{_file_name(suite)}{part}"
            if name in names:  # The suite under another protocol, or with a name like it.
                name = f"{name}-{_file_name(protocol)}-{len(names)}"
            names.add(name)
            yield name, _success(summary, shown, width)
    costs = figures.priced(figures.costs(summary))
    panels = [(suite, mine) for (suite, _), mine in figures.arenas(costs)]
    for part, shown in _sheets(panels, MOST_SUITES):
        yield f"cost{part}", _cost(summary, shown, width)
    yield "endings", _endings(figures.outcomes(summary), width)


Cells = list[tuple[str, pd.DataFrame]]
"""Names, each with what is drawn beside it."""


def _sheets(cells: Cells, most: int) -> Iterator[tuple[str, Cells]]:
    """Spread cells over figures, each with its mark in a file's name: none where one is enough."""
    for start in range(0, len(cells), most):
        mark = f"-{start // most + 1}" if len(cells) > most else ""
        yield mark, cells[start : start + most]


def _success(summary: Summary, cells: Cells, width: float) -> Figure:
    """Draw a dot and its interval for each policy on each task."""
    looks = _looks(summary)
    letters = 22 if width < 5 else 44
    labels = [_label(name, letters) for name, _ in cells]
    lines = [max(len(looks) * 0.75 + 0.6, 1.1 * (label.count("\n") + 1)) for label in labels]
    height = 0.115 * sum(lines)
    figure, axes = _canvas(width, height + 0.55 + _legend_height(looks, width))
    bottom = np.cumsum([0.0, *lines])
    for (_, rows), start, size in zip(cells, bottom, lines, strict=False):
        for row in figures.lines(rows[rows["n"] > 0]):
            index = list(looks).index(row.policy)
            y = start + size / 2 + 0.75 * (index - (len(looks) - 1) / 2)
            limits = [100 * row.success_low, 100 * row.success_high]
            axes.plot(limits, [y, y], color="0.25", linewidth=0.9, solid_capstyle="butt")
            axes.plot([100 * row.success], [y], **looks[row.policy])
    axes.hlines(bottom[1:-1], 0, 100, color="0.9", linewidth=0.5)
    axes.set_yticks((bottom[:-1] + bottom[1:]) / 2, labels)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(bottom[-1], 0)
    axes.set_xlim(-2, 102)
    axes.set_xticks([0, 25, 50, 75, 100])
    axes.grid(axis="x", color="0.9", linewidth=0.5)
    axes.set_xlabel("success in %, with 95 % intervals")
    _legend(figure, looks, width)
    return figure


def _cost(summary: Summary, suites: Cells, width: float) -> Figure:
    """Draw success over the policy's time for an action, a dot for each policy, a panel a suite."""
    looks = _looks(summary)
    times = pd.concat([mine["ms_action"] for _, mine in suites])
    columns = min(len(suites), 2 if width > 5 else 1)
    rows = ceil(len(suites) / columns)
    height = 0.3 + 1.8 * rows + _legend_height(looks, width)
    figure = Figure(figsize=(width, height), layout="constrained")
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    low, high = times.min() / 1.5, times.max() * 1.5
    ticks = log_ticks(low, high)
    for axes, (suite, mine) in zip(panels.flat, suites, strict=False):
        for row in figures.lines(mine):
            limits = [100 * row.success_low, 100 * row.success_high]
            axes.plot([row.ms_action] * 2, limits, color="0.25", linewidth=0.9, zorder=2)
            axes.plot([row.ms_action], [100 * row.success], **looks[row.policy])
        axes.set_xscale("log")
        axes.set_xlim(low, high)
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.set_xticks([], minor=True)
        axes.set_ylim(-2, 102)
        axes.set_yticks([0, 25, 50, 75, 100])
        axes.grid(color="0.9", linewidth=0.5)
        if len(suites) > 1:
            axes.set_title(_label(suite, 22 * columns, 1), fontsize=8)
    for axes in panels.flat[len(suites) :]:
        axes.set_axis_off()
    figure.supxlabel("policy's milliseconds for an action", fontsize=8)
    figure.supylabel("success in %", fontsize=8)
    _legend(figure, looks, width)
    return figure


def _endings(outcomes: pd.DataFrame, width: float) -> Figure:
    """Draw the share of each outcome, a bar for each policy and suite."""
    letters = 22 if width < 5 else 44
    labels = [
        f"{_label(row.policy, letters, 1)}\n{_label(row.suite, letters, 1)}"
        for row in figures.lines(outcomes)
    ]
    figure, axes = _canvas(width, 0.75 + 0.3 * len(labels))
    counts = outcomes[list(figures.OUTCOMES)].to_numpy(float)
    shares = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    start = np.zeros(len(labels))
    places = np.arange(len(labels))
    for outcome, share, look in zip(figures.OUTCOMES, shares.T, OUTCOME_LOOKS, strict=True):
        if share.any():
            axes.barh(
                places,
                share,
                left=start,
                height=0.65,
                label=outcome,
                facecolor=look[0],
                hatch=look[1],
                edgecolor="black",
                linewidth=0.4,
            )
        start = start + share
    axes.set_yticks(places, labels)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.set_xlim(0, 100)
    axes.set_xlabel("episodes in %")
    figure.legend(loc="outside upper center", ncols=len(figures.OUTCOMES), handlelength=1.2)
    return figure


def _canvas(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, max(1.2, height)), layout="constrained")
    return figure, figure.add_subplot()


def _looks(summary: Summary) -> dict[str, dict[str, Any]]:
    """Return what each policy's dots look like."""
    return {
        policy: {
            "color": figures.COLOURS[index % len(figures.COLOURS)],
            "marker": MARKERS[index % len(MARKERS)],
            "markersize": 4.2,
            "markeredgecolor": "black",
            "markeredgewidth": 0.5,
            "linestyle": "none",
            "label": policy,
            "zorder": 3,
        }
        for index, policy in enumerate(figures.policies(summary))
    }


def _legend(figure: Figure, looks: dict[str, dict[str, Any]], width: float) -> None:
    labels = _labels(looks, width)
    shown = [
        Line2D([], [], **(look | {"label": label}))
        for label, look in zip(labels, looks.values(), strict=True)
    ]
    columns = _columns(labels, width)
    figure.legend(handles=shown, loc="outside upper center", ncols=columns, handletextpad=0.2)


def _labels(looks: dict[str, dict[str, Any]], width: float) -> list[str]:
    """Return the names for a legend, in lines that fit whatever letters they are of."""
    letters = min(LETTERS, int((width - MARK) / WIDEST))
    return [_label(policy, letters) for policy in looks]


def _columns(labels: list[str], width: float) -> int:
    """Return how many of the names stand side by side."""
    lines = [line for label in labels for line in label.split("\n")]
    font = LOOK["legend.fontsize"]
    longest = max(TextPath((0, 0), line, size=font).get_extents().width for line in lines) / 72
    return max(1, min(4, int(width / (MARK + longest))))


def _legend_height(looks: dict[str, dict[str, Any]], width: float) -> float:
    labels = _labels(looks, width)
    most = 1 + max(label.count("\n") for label in labels)
    return 0.16 * most * ceil(len(labels) / _columns(labels, width)) + 0.05


def _label(name: str, letters: int, most_lines: int = 3) -> str:
    """Return a name as words in a few lines."""
    words = re.sub(r"[_\s]+", " ", name).strip()
    wrapped = textwrap.wrap(words, letters, max_lines=most_lines, placeholder=" ...")
    return "\n".join(wrapped)


def _file_name(name: str) -> str:
    """Return a name that is nothing but a file's name, whatever a run calls its suite."""
    return re.sub(r"[^0-9A-Za-z_+-]+", "-", name).strip("-")[:80] or "suite"
