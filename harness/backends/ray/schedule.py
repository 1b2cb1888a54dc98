"""Decides which worker plays which episode next, so that simulators are rarely rebuilt."""

from collections import deque
from collections.abc import Callable, Hashable, Iterable

from harness.contracts.spec import EpisodeSpec

WORTH_HELPING = 3
"""Episodes a task must have left before another worker builds its simulator too.

Building one takes as long as two or three episodes.
"""

Group = int


class Schedule:
    """The episodes to play, in groups that need the same simulator."""

    def __init__(
        self,
        specs: Iterable[EpisodeSpec],
        interpreter: Callable[[EpisodeSpec], str] = lambda spec: "",
    ) -> None:
        """Queue the episodes in their order; `interpreter` names the program that plays each."""
        self.interpreters: list[str] = []
        self._groups: dict[Group, deque[EpisodeSpec]] = {}
        self._group_of: dict[EpisodeSpec, Group] = {}
        self._at: dict[Hashable, Group] = {}
        self._reserved: dict[Hashable, Group] = {}
        self._waiting = 0
        last = None
        for spec in specs:
            simulator = (spec.benchmark, spec.task, spec.protocol)
            if simulator != last:
                last = simulator
                self._groups[len(self._groups)] = deque()
                self.interpreters.append(interpreter(spec))
            self._group_of[spec] = len(self._groups) - 1
            self._groups[len(self._groups) - 1].append(spec)
            self._waiting += 1

    def next(self, worker: Hashable, interpreter: str = "") -> EpisodeSpec | None:
        """Return the next episode for `worker`, or None if it can no longer help.

        A worker stays on its task while episodes are left. Then it takes a task without a worker,
        then it joins the longest task. Tasks for the program it runs come first.
        """
        group = self._at.get(worker)
        if group is None or not self._groups.get(group):
            group = self._choose(worker, interpreter)
            if group is None:
                self._at.pop(worker, None)
                return None
            self._at[worker] = group
        self._waiting -= 1
        return self._groups[group].popleft()

    def reserve(self, worker: Hashable, group: Group) -> EpisodeSpec:
        """Keep a group for a worker that is not up yet; return the group's first episode.

        Others take it only if nothing else is left.
        """
        self._reserved[worker] = group
        return self._groups[group][0]

    def put_back(self, spec: EpisodeSpec) -> None:
        """Queue an episode again, before the others of its group."""
        self._groups[self._group_of[spec]].appendleft(spec)
        self._waiting += 1

    def leave(self, worker: Hashable) -> None:
        """Forget a worker that was stopped."""
        self._at.pop(worker, None)
        self._reserved.pop(worker, None)

    def hand_over(self, worker: Hashable, successor: Hashable) -> None:
        """Give a worker's task to another worker."""
        self._at[successor] = self._at.pop(worker)

    def __len__(self) -> int:
        """Return how many episodes wait."""
        return self._waiting

    def _choose(self, worker: Hashable, interpreter: str) -> Group | None:
        taken = {group for other, group in self._at.items() if other != worker}
        waiting = {group: len(queue) for group, queue in self._groups.items() if queue}
        mine = {group for group in waiting if self.interpreters[group] == interpreter}
        free = [group for group in waiting if group not in taken]
        own = self._reserved.pop(worker, None)
        if own in free:
            return own
        if free:
            kept = set(self._reserved.values())
            return min(free, key=lambda group: (group in kept, group not in mine))
        crowded = [group for group, length in waiting.items() if length >= WORTH_HELPING]
        return max(crowded, key=lambda group: (group in mine, waiting[group]), default=None)
