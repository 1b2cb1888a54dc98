"""Finds what our runs have for each policy and place of a layout."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from harness.contracts.protocol import ProtocolLabel
from harness.report.frame import CELL
from harness.report.paper.best import Sample
from harness.report.paper.layout import Place, TableLayout, matches
from harness.report.summary import JOINED, Summary, interval_over
from harness.statistics.interval import Floats, Interval

Key = tuple[str, str, str, str]
"""Policy, benchmark, protocol and task, as in `frame.CELL`."""


@dataclass(frozen=True)
class Series:
    """Our numbers that belong together: a policy, under one protocol of each benchmark.

    A policy that was evaluated under two protocols has two, so that no mean runs across them.
    """

    label: str
    policy: str
    protocols: tuple[str, ...]


@dataclass(frozen=True)
class Found:
    """What a series has in one place.

    Attributes:
        estimate: Success or progress; nan where nothing was scored.
        low: The interval's lower limit.
        high: The upper one.
        n: Scored episodes.
        errors: Episodes that ended in an error.
        missing: Episodes that are not there.
        protocol: The label; those of a mean over several are joined.
        units: The tasks of each place that it is the mean of, a list of one for a place itself.
        by_place: Whether a mean weighs places, and not tasks, the same.
    """

    estimate: float
    low: float
    high: float
    n: int
    errors: int
    missing: int
    protocol: str
    units: tuple[tuple[Key, ...], ...]
    by_place: bool = False

    @property
    def known(self) -> bool:
        """Return whether there is a number at all."""
        return self.estimate == self.estimate

    @property
    def keys(self) -> list[Key]:
        """Return all tasks."""
        return [key for unit in self.units for key in unit]

    @property
    def tasks(self) -> frozenset[tuple[str, str]]:
        """Return all tasks' names."""
        return frozenset((benchmark, task) for _, benchmark, _, task in self.keys)

    @property
    def kind(self) -> tuple[str, frozenset[tuple[str, str]]]:
        """Return what must be the same for two numbers to be comparable."""
        return self.protocol, self.tasks


class Finder:
    """Looks up cells; built once for a table, since it sorts all episodes by task."""

    def __init__(self, summary: Summary, layout: TableLayout) -> None:
        """Sort what the runs found by policy, benchmark, protocol and task."""
        self.layout, self.metric = layout, layout.metric
        self._suites: dict[tuple[str, str, str], Any] = {}
        self._tasks: dict[tuple[str, str, str], dict[str, Any]] = {}
        for row in summary.level("suite", "task").itertuples():
            place = (str(row.policy), str(row.suite), str(row.protocol))
            if row.level == "suite":
                self._suites[place] = row
            else:
                self._tasks.setdefault(place, {})[str(row.task)] = row
        self._episodes = summary.episodes
        self.series = tuple(self._all_series())

    def find(self, series: Series, place: Place) -> Found | None:
        """Return what a series has in a place; a mean needs something in each of its places."""
        if not place.mean:
            return self._single(series, place.ours) if place.ours else None
        members = [self._single(series, member.ours) for member in self.layout.members(place)]
        there = [found for found in members if found is not None and found.known]
        if not there or len(there) < len(members):
            return None
        return self._mean(there, by_place=place.weigh == "places")

    def sample(self, found: Found) -> Sample:
        """Return the scored episodes behind a number."""
        names = sorted(key[1:] for key in found.keys)
        frames = [self._scored(key) for key in found.keys]
        sizes = [len(frame) for frame in frames]
        return Sample(
            np.concatenate([frame["scene"].to_numpy(np.uint64) for frame in frames]),
            np.repeat([names.index(key[1:]) for key in found.keys], sizes),
            np.concatenate([frame["value"].to_numpy(np.float64) for frame in frames]),
        )

    def shares(self, found: Found) -> Floats:
        """Return each task's weight in a number, the tasks in the order of `sample`."""
        weights = {
            key[1:]: 1 / (len(found.units) * len(unit)) if found.by_place else 1 / len(found.keys)
            for unit in found.units
            for key in unit
        }
        return np.array([weights[name] for name in sorted(weights)])

    def clusters(self, found: Found) -> npt.NDArray[np.intp]:
        """Return what each task counts with in a number, the tasks in the order of `sample`.

        A task stands for itself, but where places weigh the same it counts with its place.
        """
        units = found.units if found.by_place else [(key,) for key in found.keys]
        which = {key[1:]: index for index, unit in enumerate(units) for key in unit}
        return np.array([which[name] for name in sorted(which)])

    def _all_series(self) -> list[Series]:
        places = [place.ours for place in self.layout.places if place.ours]
        wanted = {ours.partition("/")[0] for ours in places}
        suites: dict[str, dict[str, list[str]]] = {}
        for policy, suite, protocol in self._suites:
            if suite in wanted:
                suites.setdefault(policy, {}).setdefault(suite, []).append(protocol)
        candidates = [
            Series(label, policy, protocols)
            for label, policy in self._labels(list(suites))
            for protocols in _split(suites[policy].values())
        ]
        return [s for s in candidates if any(self._single(s, ours) for ours in places)]

    def _labels(self, policies: list[str]) -> list[tuple[str, str]]:
        """Return label and name of the policies that the layout wants, in its order."""
        if not self.layout.policies:
            return [(name, name) for name in policies]
        labels = []
        for policy in self.layout.policies:
            names = [name for name in policies if matches(policy.ours, name)]
            several = len(names) > 1
            labels += [(f"{policy.label} ({n})" if several else policy.label, n) for n in names]
        return labels

    def _single(self, series: Series, ours: str) -> Found | None:
        suite, _, task = ours.partition("/")
        for protocol in series.protocols:
            place = (series.policy, suite, protocol)
            if place not in self._suites:
                continue
            tasks = self._tasks[place]
            if task and task not in tasks:
                continue
            row = tasks[task] if task else self._suites[place]
            keys = tuple((*place, name) for name in ([task] if task else tasks))
            estimate, low, high = (getattr(row, self.metric + end) for end in ("", "_low", "_high"))
            n, errors, missing = int(row.n), int(row.errors), int(row.missing)
            return Found(estimate, low, high, n, errors, missing, protocol, (keys,))
        return None

    def _mean(self, there: Sequence[Found], by_place: bool) -> Found:
        units = tuple(found.units[0] for found in there)
        if by_place:
            interval = self._interval(units)
            # A place's own number is the mean over its tasks, also where these have lost episodes.
            estimate = float(np.mean([found.estimate for found in there]))
            low, high = min(interval.low, estimate), max(interval.high, estimate)
            interval = Interval(estimate, low, high)
        else:
            interval = self._interval([(key,) for unit in units for key in unit])
        return Found(
            interval.estimate,
            interval.low,
            interval.high,
            n=sum(found.n for found in there),
            errors=sum(found.errors for found in there),
            missing=sum(found.missing for found in there),
            protocol=JOINED.join(dict.fromkeys(found.protocol for found in there)),
            units=units,
            by_place=by_place,
        )

    def _interval(self, clusters: Sequence[Sequence[Key]]) -> Interval:
        """Return the interval that the summary uses."""
        values = [
            np.concatenate([self._scored(key)["value"].to_numpy(np.float64) for key in cluster])
            for cluster in clusters
        ]
        return interval_over(values, self.metric)

    def _scored(self, key: Key) -> pd.DataFrame:
        """Return scene and value of a cell's scored episodes."""
        return self._cells.get(key, self._nothing)

    @cached_property
    def _nothing(self) -> pd.DataFrame:
        return pd.DataFrame({"scene": np.zeros(0, np.uint64), "value": np.zeros(0)})

    @cached_property
    def _cells(self) -> dict[Any, pd.DataFrame]:
        """Sort the scored episodes by cell; only means and comparisons need them."""
        frame = self._episodes[self._episodes["outcome"] != "error"]
        scene = pd.util.hash_pandas_object(
            frame[["benchmark", "task", "protocol", "episode", "seed"]], index=False
        )
        success = self.metric == "success"
        value = (frame["outcome"] == "success") if success else frame["progress"]
        small = frame[CELL].assign(scene=scene, value=value.astype(float)).dropna(subset="value")
        return dict(list(small.groupby(CELL, observed=True)))


def _split(suites: Iterable[Sequence[str]]) -> Iterator[tuple[str, ...]]:
    """Split a policy's protocols into rows: more than one where a suite was run under several.

    Args:
        suites: The protocols of each suite.
    """
    families: dict[str, dict[str, None]] = {}
    several: set[str] = set()
    for protocols in suites:
        name = ProtocolLabel.parse(protocols[0]).family
        families.setdefault(name, {}).update(dict.fromkeys(protocols))
        if len(protocols) > 1:
            several.add(name)
    depth = max(len(families[name]) for name in several) if several else 1
    for rank in range(depth):
        chosen: list[str] = []
        for name, labels in families.items():
            if name in several:
                chosen += list(labels)[rank : rank + 1]
            elif rank == 0:
                chosen += labels
        yield tuple(chosen)
