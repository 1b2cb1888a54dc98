"""Draws logs: losses, learning rate and the gradient's norm, by step."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from policies.train.log import read_log

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000")
"""Which the colour-blind can tell apart (Okabe and Ito)."""
WINDOW = 50
"""Updates over which a curve is averaged; a single one is mostly noise."""


def plot_logs(logs: Mapping[str, Path], path: Path) -> None:
    """Draw trainings into one picture.

    Args:
        logs: Each training's log, by what it is called.
        path: Where the picture goes; its suffix decides the format.

    Raises:
        UsageError: A log cannot be read.
    """
    lines = {name: read_log(log, torn=True) for name, log in logs.items()}
    with mpl.rc_context({"font.size": 8, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(9, 3), layout="constrained")
        loss, norm, rate = figure.subplots(1, 3)
        for (name, all_), colour in zip(lines.items(), _colours(len(lines)), strict=True):
            steps = [line for line in all_ if "loss" in line]
            checks = [line for line in all_ if "validation" in line]
            where, values = curve(steps, "loss")
            loss.plot(where, values, color=colour, label=name)
            loss.plot(*_points(checks, "validation"), "o:", color=colour, markersize=3)
            norm.plot(*curve(steps, "grad_norm"), color=colour)
            rate.plot(*_points(steps, "lr"), color=colour)
        loss.set(yscale="log", xlabel="step", ylabel="loss (dots: held-out)")
        norm.set(yscale="log", xlabel="step", ylabel="gradient's norm")
        rate.set(xlabel="step", ylabel="learning rate")
        loss.legend(frameon=False)
        figure.savefig(path, dpi=150)


def curve(
    lines: Sequence[Mapping[str, Any]], name: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return a value by step, each the mean of the updates around it."""
    steps, values = _points(lines, name)
    width = min(WINDOW, max(len(values) // 10, 1))
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
    return [COLOURS[number % len(COLOURS)] for number in range(count)]
