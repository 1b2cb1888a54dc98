"""Statistics of a data set's columns, under LeRobot's names and in its shapes."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

QUANTILES = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}
Statistics = Mapping[str, NDArray[np.float64]]


def of_numbers(values: NDArray[np.generic]) -> Statistics:
    """Return the statistics of a column: one number a row, or a vector, (T,) or (T, D)."""
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


def of_pictures(histogram: NDArray[np.int64], count: int) -> Statistics:
    """Return the statistics of `count` pictures, by channel, for values between 0 and 1.

    They follow from how often each channel has each value, so no picture is sampled or held.
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


class Tally:
    """The statistics of a data set that is read one episode at a time.

    Numbers are kept, so that the quantiles of the whole are exact; of pictures only the counts.
    """

    def __init__(self) -> None:
        """Start with nothing."""
        self._numbers: dict[str, list[NDArray[np.generic]]] = {}
        self._histograms: dict[str, NDArray[np.int64]] = {}
        self._pictures: dict[str, int] = {}

    def add(self, name: str, values: NDArray[np.generic]) -> Statistics:
        """Take in an episode's column and return its own statistics."""
        self._numbers.setdefault(name, []).append(values)
        return of_numbers(values)

    def add_pictures(self, name: str, histogram: NDArray[np.int64], count: int) -> Statistics:
        """Take in an episode's pictures of one camera and return their own statistics."""
        self._histograms[name] = self._histograms.get(name, 0) + histogram
        self._pictures[name] = self._pictures.get(name, 0) + count
        return of_pictures(histogram, count)

    def total(self) -> dict[str, Statistics]:
        """Return the statistics of all that was taken in, by column."""
        numbers = {name: of_numbers(np.concatenate(all_)) for name, all_ in self._numbers.items()}
        return numbers | {
            name: of_pictures(histogram, self._pictures[name])
            for name, histogram in self._histograms.items()
        }
