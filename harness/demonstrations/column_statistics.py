"""Statistics of a data set's columns, with LeRobot's names and shapes."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

QUANTILES = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}
Statistics = Mapping[str, NDArray[np.float64]]


def number_statistics(values: NDArray[np.generic]) -> Statistics:
    """Return the statistics of a column of numbers, (T,), or of vectors, (T, D)."""
    rows = values.reshape(len(values), -1).astype(np.float64)
    found = {
        "min": rows.min(axis=0),
        "max": rows.max(axis=0),
        "mean": rows.mean(axis=0),
        "std": rows.std(axis=0),
        "count": np.array([len(rows)]),
    }
    quantiles = np.quantile(rows, list(QUANTILES.values()), axis=0)
    return found | dict(zip(QUANTILES, quantiles, strict=True))


def image_statistics(histogram: NDArray[np.int64], count: int) -> Statistics:
    """Return the statistics of `count` images by channel, for values scaled to [0, 1].

    They follow exactly from the histogram, so no image is sampled or kept.
    """
    levels = np.arange(256) / 255
    share = histogram / histogram.sum(axis=1, keepdims=True)
    mean = share @ levels
    below = np.cumsum(histogram, axis=1)
    found = {
        "min": levels[np.argmax(histogram > 0, axis=1)],
        "max": levels[255 - np.argmax(histogram[:, ::-1] > 0, axis=1)],
        "mean": mean,
        "std": np.sqrt((share * (levels - mean[:, None]) ** 2).sum(axis=1)),
    }
    for name, quantile in QUANTILES.items():
        found[name] = levels[np.argmax(below >= quantile * below[:, -1:], axis=1)]
    shaped = {name: values.reshape(3, 1, 1) for name, values in found.items()}
    return shaped | {"count": np.array([count])}


class RunningStatistics:
    """The statistics of a data set that is written one episode at a time.

    It keeps all numbers, so that the total's quantiles are exact; of images it keeps histograms.
    """

    def __init__(self) -> None:
        """Start without data."""
        self._numbers: dict[str, list[NDArray[np.generic]]] = {}
        self._histograms: dict[str, NDArray[np.int64]] = {}
        self._counts: dict[str, int] = {}

    def add_numbers(self, name: str, values: NDArray[np.generic]) -> Statistics:
        """Add an episode's column and return the episode's statistics."""
        self._numbers.setdefault(name, []).append(values)
        return number_statistics(values)

    def add_images(self, name: str, histogram: NDArray[np.int64], count: int) -> Statistics:
        """Add an episode's images of one camera and return the episode's statistics."""
        self._histograms[name] = self._histograms.get(name, 0) + histogram
        self._counts[name] = self._counts.get(name, 0) + count
        return image_statistics(histogram, count)

    def total(self) -> dict[str, Statistics]:
        """Return the statistics of everything added, by column."""
        numbers = {
            name: number_statistics(np.concatenate(columns))
            for name, columns in self._numbers.items()
        }
        return numbers | {
            name: image_statistics(histogram, self._counts[name])
            for name, histogram in self._histograms.items()
        }
