"""Plots training logs: losses, gradient norm and learning rate over steps."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from policies.train.log import read_log

_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000")
"""Okabe and Ito's palette, which is safe for colour-blind readers."""
_WINDOW = 50
"""Steps in the moving average of a curve."""


def plot_logs(logs: Mapping[str, Path], path: Path) -> None:
    """Plot trainings into one picture.

    Args:
        logs: The logs, by the name in the legend.
        path: The picture; its suffix is the format.

    Raises:
        UsageError: A log cannot be read.
    """
    lines = {name: read_log(log, torn=True) for name, log in logs.items()}
    with mpl.rc_context({"font.size": 8, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(9, 3), layout="constrained")
        loss, norm, rate = figure.subplots(1, 3)
        for (name, entries), colour in zip(lines.items(), _colours(len(lines)), strict=True):
            steps = [line for line in entries if "loss" in line]
            checks = [line for line in entries if "validation" in line]
            places, values = _curve(steps, "loss")
            loss.plot(places, values, color=colour, label=name)
            loss.plot(*_points(checks, "validation"), "o:", color=colour, markersize=3)
            norm.plot(*_curve(steps, "grad_norm"), color=colour)
            rate.plot(*_points(steps, "lr"), color=colour)
        loss.set(yscale="log", xlabel="step", ylabel="loss (dots: held-out)")
        norm.set(yscale="log", xlabel="step", ylabel="gradient norm")
        rate.set(xlabel="step", ylabel="learning rate")
        loss.legend(frameon=False)
        figure.savefig(path, dpi=150)


def _curve(
    lines: Sequence[Mapping[str, Any]], name: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return steps and values, averaged over a moving window."""
    steps, values = _points(lines, name)
    width = min(_WINDOW, max(len(values) // 10, 1))
    if not len(values):
        return steps, values
    window = np.full(width, 1 / width)
    return np.convolve(steps, window, "valid"), np.convolve(values, window, "valid")


def _points(
    lines: Sequence[Mapping[str, Any]], name: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return (
        np.array([line["step"] for line in lines], np.float64),
        np.array([line[name] for line in lines], np.float64),
    )


def _colours(count: int) -> list[str]:
    return [_COLOURS[number % len(_COLOURS)] for number in range(count)]
