"""Stops a run of two policies when one is significantly better.

The test looks at the pairs in a fixed order: round by round, a few episodes of every task in each,
shuffled. So neither the scheduler nor an easy task can decide (docs/statistics.md). A pair with an
error is left out.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from harness.runs.plan import rounds
from harness.statistics.sequential import SequentialResult, sequential_comparison

Scene = tuple[str, str, str, int]
"""Benchmark, protocol, task and episode."""


class Decision:
    """The sequential comparison of two policies."""

    def __init__(self, policies: Sequence[str], scenes: Sequence[Scene], seed: int) -> None:
        """Fix the order of the pairs."""
        self._first, self._second = policies
        self._order = _shuffled_rounds(scenes, seed)
        self._results: dict[tuple[str, Scene], float | None] = {}
        self._looked_at = 0
        self._differences: list[float] = []
        self.state = sequential_comparison([])

    @property
    def decided(self) -> bool:
        """Whether one policy is significantly better."""
        return self.state.outcome != "undecided"

    @property
    def sentence(self) -> str:
        """The state of the comparison, as a sentence."""
        state: SequentialResult = self.state
        gap = state.difference
        numbers = (
            f"{state.pairs} pairs, difference {100 * gap.estimate:+.1f} points "
            f"[{100 * gap.low:+.1f}, {100 * gap.high:+.1f}], p <= {state.p:.2g}, both valid "
            f"whenever one stops"
        )
        if not self.decided:
            return f"{self._first} and {self._second} are not distinguishable so far ({numbers})"
        return f"decided: {self._first} is {state.outcome} than {self._second} ({numbers})"

    def add(self, policy: str, scene: Scene, outcome: str) -> None:
        """Add an episode; episodes may come in any order."""
        success = {"success": 1.0, "failure": 0.0}.get(outcome)
        self._results[policy, scene] = success
        before = len(self._differences)
        while self._looked_at < len(self._order):
            here = self._order[self._looked_at]
            pair = [(policy, here) for policy in (self._first, self._second)]
            if not all(episode in self._results for episode in pair):
                break
            one, two = (self._results[episode] for episode in pair)
            if one is not None and two is not None:
                self._differences.append(one - two)
            self._looked_at += 1
        if len(self._differences) > before and not self.decided:
            self.state = sequential_comparison(self._differences)
            # Which pairs follow the deciding one depends on the speed of the workers.
            self.state = sequential_comparison(self._differences[: self.state.pairs])


def decision_of(facts: Mapping[str, Any], cells: pd.DataFrame, episodes: pd.DataFrame) -> Decision:
    """Return the comparison of a run that may stop early, from its log alone."""
    (plan,) = facts["plans"]
    places = cells[["benchmark", "protocol", "task"]].drop_duplicates()
    scenes: list[Scene] = [
        (str(benchmark), str(protocol), str(task), episode)
        for benchmark, protocol, task in places.itertuples(index=False)
        for episode in range(plan["first"], plan["first"] + plan["episodes"])
    ]
    decision = Decision(facts["players"], scenes, plan["seed"])
    for row in episodes.to_dict("records"):
        scene = (row["benchmark"], row["protocol"], row["task"], int(row["episode"]))
        decision.add(row["policy"], scene, row["outcome"])
    return decision


def _shuffled_rounds(scenes: Sequence[Scene], seed: int) -> list[Scene]:
    order: list[Scene] = []
    indices = [scene[3] for scene in scenes]
    for number, episodes in enumerate(rounds(range(min(indices), max(indices) + 1))):
        mine = sorted(scene for scene in scenes if scene[3] in episodes)
        np.random.default_rng([seed, number]).shuffle(mine)
        order += mine
    return order
