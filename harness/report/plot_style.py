"""The looks of the figures: colours, markers, fonts, labels and legends."""

import math
import re
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.textpath import TextPath

from harness.report import chart_data
from harness.report.summary import Summary

Looks = Mapping[str, dict[str, Any]]
"""How matplotlib draws the marker of each policy."""

_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7", "#F0E442")
"""The palette of Okabe and Ito, which is safe for colour-blind readers."""
_MARKERS = ("o", "s", "^", "D", "v", "P", "p", "X")
"""One more than colours, so that colour and marker together distinguish 56 policies."""
_OUTCOME_STYLES = {
    "success": ("#009E73", ""),
    "failure": ("#E69F00", "////"),
    "error": ("#000000", ""),
    "missing": ("#FFFFFF", "\\\\\\\\"),
}
"""Colour and hatch of each outcome; the hatch distinguishes them in grey."""
INK, GRID = "0.25", "0.9"
"""The greys of intervals and of grid lines."""

LETTER_WIDTH = 0.1
"""Inches of an m in the font of legends."""
_MARKER_WIDTH = 0.4
"""Inches of a legend's marker with its margins."""
_MOST_LETTERS = 40
"""Letters in a line of a legend."""

_STYLE: dict[Any, Any] = {
    "font.size": 8,
    "axes.labelsize": 8,
    "axes.titlesize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "hatch.linewidth": 0.5,
    # Publishers reject Type 3 fonts.
    "pdf.fonttype": 42,
    # A dollar sign in a name does not start a formula.
    "text.parse_math": False,
    "savefig.dpi": 300,
}


@contextmanager
def plot_settings() -> Iterator[None]:
    """Use our matplotlib settings and ignore the user's, which would change the bytes."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        yield


def outcome_look(outcome: str) -> dict[str, Any]:
    """Return the style of an outcome's bars."""
    colour, hatch = _OUTCOME_STYLES[outcome]
    return {"facecolor": colour, "hatch": hatch, "edgecolor": "black", "linewidth": 0.4}


def policy_looks(summary: Summary, rows: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Return the marker style of each policy in the rows; a policy has one style in all figures."""
    shown = set(rows["policy"])
    return {policy: look for policy, look in all_looks(summary).items() if policy in shown}


def all_looks(summary: Summary) -> dict[str, dict[str, Any]]:
    """Return the marker style of every policy."""
    return {
        policy: {
            "color": _COLOURS[index % len(_COLOURS)],
            "marker": _MARKERS[index % len(_MARKERS)],
            "markersize": 4.2,
            "markeredgecolor": "black",
            "markeredgewidth": 0.5,
            "linestyle": "none",
            "label": policy,
            "zorder": 3,
        }
        for index, policy in enumerate(chart_data.policy_order(summary))
    }


def draw_legend(figure: Figure, looks: Looks, width: float) -> None:
    """Draw a legend above the figure."""
    labels = _legend_labels(looks, width)
    handles = [
        Line2D([], [], **(look | {"label": label}))
        for label, look in zip(labels, looks.values(), strict=True)
    ]
    columns = _legend_columns(labels, width)
    figure.legend(handles=handles, loc="outside upper center", ncols=columns, handletextpad=0.2)


def _legend_labels(looks: Looks, width: float) -> list[str]:
    """Return the policies' names, broken into lines that fit even if every letter is an m."""
    letters = min(_MOST_LETTERS, int((width - _MARKER_WIDTH) / LETTER_WIDTH))
    return [wrap_label(policy, letters) for policy in looks]


def _legend_columns(labels: list[str], width: float) -> int:
    lines = [line for label in labels for line in label.split("\n")]
    font = _STYLE["legend.fontsize"]
    longest = max(TextPath((0, 0), line, size=font).get_extents().width for line in lines) / 72
    return max(1, min(4, int(width / (_MARKER_WIDTH + longest))))


def legend_height(looks: Looks, width: float) -> float:
    """Return the height of the legend in inches."""
    labels = _legend_labels(looks, width)
    most = 1 + max(label.count("\n") for label in labels)
    return 0.16 * most * math.ceil(len(labels) / _legend_columns(labels, width)) + 0.05


def label_letters(width: float) -> int:
    """Return the letters in a line of an axis label, for a figure of this width."""
    return 22 if width < 5 else 44


def wrap_label(name: str, letters: int, most_lines: int = 3) -> str:
    """Return a name as words in a few lines, without characters that no font can draw."""
    printable = "".join(c if c.isprintable() else " " for c in name)
    words = re.sub(r"[_\s]+", " ", printable).strip()
    wrapped = textwrap.wrap(words, letters, max_lines=most_lines, placeholder=" ...")
    return "\n".join(wrapped)


def log_ticks(low: float, high: float) -> list[float]:
    """Return round numbers within the limits: powers of ten, or finer steps if those are few."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in ((1,), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9)):
        ticks = [step * 10.0**decade for decade in decades for step in steps]
        ticks = [tick for tick in ticks if low <= tick <= high]
        if len(ticks) >= 3:
            break
    return ticks
