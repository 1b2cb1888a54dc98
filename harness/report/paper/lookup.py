"""Looks up the numbers of our runs for each policy and place of a layout."""

import math
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
from harness.report.paper.layout import LayoutPlace, TableLayout, matches
from harness.report.summary import JOINED, Summary, interval_over
from harness.statistics.interval import Floats, Interval

TaskKey = tuple[str, str, str, str]
"""Policy, benchmark, protocol and task, as in `frame.CELL`."""


@dataclass(frozen=True)
class PolicyRow:
    """A policy under one protocol of each benchmark.

    A policy that ran a benchmark under two protocols has two rows, so no mean mixes them.

    Attributes:
        label: The text in the table.
        policy: The policy's identity.
        protocols: The protocols of its numbers.
        name: The policy's name in the summary.
    """

    label: str
    policy: str
    protocols: tuple[str, ...]
    name: str


@dataclass(frozen=True)
class Measurement:
    """The number of one policy row in one place.

    Attributes:
        estimate: Success or progress; nan if nothing was scored.
        low: The interval's lower limit.
        high: The upper limit.
        n: Scored episodes.
        errors: Episodes that ended in an error.
        missing: Planned episodes that were not played.
        protocol: The label; a mean over several protocols joins their labels.
        units: The tasks of each place in a mean; a single place is a list of one.
        by_place: Whether a mean gives each place, not each task, the same weight.
    """

    estimate: float
    low: float
    high: float
    n: int
    errors: int
    missing: int
    protocol: str
    units: tuple[tuple[TaskKey, ...], ...]
    by_place: bool = False

    @property
    def known(self) -> bool:
        """Whether any episode was scored."""
        return not math.isnan(self.estimate)

    @property
    def keys(self) -> list[TaskKey]:
        """All tasks."""
        return [key for unit in self.units for key in unit]

    @property
    def tasks(self) -> frozenset[tuple[str, str]]:
        """Benchmark and name of all tasks."""
        return frozenset((benchmark, task) for _, benchmark, _, task in self.keys)

    @property
    def kind(self) -> tuple[str, frozenset[tuple[str, str]]]:
        """Protocol and tasks: only measurements of equal kind may be compared."""
        return self.protocol, self.tasks


class CellLookup:
    """Looks up measurements; build it once per table, since it sorts all episodes by task."""

    def __init__(self, summary: Summary, layout: TableLayout) -> None:
        """Index the summary by policy, benchmark, protocol and task."""
        self.layout, self.metric = layout, layout.metric
        self._identities = summary.identities
        self._seeds: dict[TaskKey, list[str]] = {}
        self._suites: dict[tuple[str, str, str], Any] = {}
        self._tasks: dict[tuple[str, str, str], dict[str, Any]] = {}
        for row in summary.level("suite", "task").itertuples():
            suite = (str(row.policy), str(row.suite), str(row.protocol))
            if row.level == "suite":
                self._suites[suite] = row
            else:
                self._tasks.setdefault(suite, {})[str(row.task)] = row
                self._seeds[*suite, str(row.task)] = str(row.seeds).split(", ")
        self._episodes = summary.episodes
        self.rows = tuple(self._all_rows())

    def measurement(self, row: PolicyRow, place: LayoutPlace) -> Measurement | None:
        """Return a row's number in a place; a mean needs a number in each of its places."""
        if not place.mean:
            return self._single(row, place.ours) if place.ours else None
        members = [self._single(row, member.ours) for member in self.layout.members(place)]
        known = [value for value in members if value is not None and value.known]
        if not known or len(known) < len(members):
            return None
        return self._mean(known, by_place=place.weigh == "places")

    def sample(self, value: Measurement) -> Sample:
        """Return the scored episodes behind a number."""
        names = sorted(key[1:] for key in value.keys)
        frames = [self._scored(key) for key in value.keys]
        sizes = [len(frame) for frame in frames]
        return Sample(
            np.concatenate([frame["scene"].to_numpy(np.uint64) for frame in frames]),
            np.repeat([names.index(key[1:]) for key in value.keys], sizes),
            np.concatenate([frame["value"].to_numpy(np.float64) for frame in frames]),
        )

    def task_weights(self, value: Measurement) -> Floats:
        """Return each task's weight in a number, in the task order of `sample`."""
        weights = {
            key[1:]: 1 / (len(value.units) * len(unit)) if value.by_place else 1 / len(value.keys)
            for unit in value.units
            for key in unit
        }
        return np.array([weights[name] for name in sorted(weights)])

    def task_clusters(self, value: Measurement) -> npt.NDArray[np.intp]:
        """Return each task's cluster, in the task order of `sample`.

        A cluster is a place if the number weighs places equally, else a task.
        """
        units = value.units if value.by_place else [(key,) for key in value.keys]
        cluster = {key[1:]: index for index, unit in enumerate(units) for key in unit}
        return np.array([cluster[name] for name in sorted(cluster)])

    def _all_rows(self) -> list[PolicyRow]:
        places = [place.ours for place in self.layout.places if place.ours]
        wanted = {ours.partition("/")[0] for ours in places}
        suites: dict[str, dict[str, list[str]]] = {}
        for policy, suite, protocol in self._suites:
            if suite in wanted:
                suites.setdefault(policy, {}).setdefault(suite, []).append(protocol)
        candidates = [
            PolicyRow(label, self._identity(name), protocols, name)
            for label, name in self._labels(list(suites))
            for protocols in _split_protocols(suites[name].values())
        ]
        return [row for row in candidates if any(self._single(row, ours) for ours in places)]

    def seeds(self, row: PolicyRow) -> list[int]:
        """Return the seeds of a row's numbers."""
        seeds = {
            int(seed)
            for place in self.layout.places
            if place.ours and (value := self._single(row, place.ours)) is not None
            for key in value.keys
            for seed in self._seeds[key]
        }
        return sorted(seeds)

    def _identity(self, name: str) -> str:
        return self._identities.get(name, name)

    def _labels(self, policies: list[str]) -> list[tuple[str, str]]:
        """Return label and name of the layout's policies, in its order."""
        if not self.layout.policies:
            return [(name, name) for name in policies]
        labels = []
        for policy in self.layout.policies:
            names = [n for n in policies if matches(policy.ours, self._identity(n))]
            several = len(names) > 1
            labels += [(f"{policy.label} ({n})" if several else policy.label, n) for n in names]
        return labels

    def _single(self, row: PolicyRow, ours: str) -> Measurement | None:
        suite, _, task = ours.partition("/")
        for protocol in row.protocols:
            key = (row.name, suite, protocol)
            if key not in self._suites:
                continue
            tasks = self._tasks[key]
            if task and task not in tasks:
                continue
            found = tasks[task] if task else self._suites[key]
            return Measurement(
                getattr(found, self.metric),
                getattr(found, f"{self.metric}_low"),
                getattr(found, f"{self.metric}_high"),
                n=int(found.n),
                errors=int(found.errors),
                missing=int(found.missing),
                protocol=protocol,
                units=(tuple((*key, name) for name in ([task] if task else tasks)),),
            )
        return None

    def _mean(self, values: Sequence[Measurement], by_place: bool) -> Measurement:
        units = tuple(value.units[0] for value in values)
        if by_place:
            interval = self._interval(units)
            # A place's number is the mean over its tasks, even if some have lost episodes.
            estimate = float(np.mean([value.estimate for value in values]))
            low, high = min(interval.low, estimate), max(interval.high, estimate)
            interval = Interval(estimate, low, high)
        else:
            interval = self._interval([(key,) for unit in units for key in unit])
        return Measurement(
            interval.estimate,
            interval.low,
            interval.high,
            n=sum(value.n for value in values),
            errors=sum(value.errors for value in values),
            missing=sum(value.missing for value in values),
            protocol=JOINED.join(dict.fromkeys(value.protocol for value in values)),
            units=units,
            by_place=by_place,
        )

    def _interval(self, clusters: Sequence[Sequence[TaskKey]]) -> Interval:
        values = [
            np.concatenate([self._scored(key)["value"].to_numpy(np.float64) for key in cluster])
            for cluster in clusters
        ]
        return interval_over(values, self.metric)

    def _scored(self, key: TaskKey) -> pd.DataFrame:
        """Return scene and value of a task's scored episodes."""
        return self._tables.get(key, self._nothing)

    @cached_property
    def _nothing(self) -> pd.DataFrame:
        return pd.DataFrame({"scene": np.zeros(0, np.uint64), "value": np.zeros(0)})

    @cached_property
    def _tables(self) -> dict[Any, pd.DataFrame]:
        """The scored episodes by task; only means and comparisons need them."""
        frame = self._episodes[self._episodes["outcome"] != "error"]
        scene = pd.util.hash_pandas_object(
            frame[["benchmark", "task", "protocol", "episode", "seed"]], index=False
        )
        success = self.metric == "success"
        value = (frame["outcome"] == "success") if success else frame["progress"]
        small = frame[CELL].assign(scene=scene, value=value.astype(float)).dropna(subset="value")
        return dict(list(small.groupby(CELL, observed=True)))


def _split_protocols(suites: Iterable[Sequence[str]]) -> Iterator[tuple[str, ...]]:
    """Split a policy's protocols into rows: several if a suite was run under several.

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
