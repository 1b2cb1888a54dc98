"""Which worker plays which block next: tasks stay where their simulator is."""

from collections import deque
from collections.abc import Callable, Hashable, Iterable

from harness.runs.block import Block

WORTH_HELPING = 3
"""Episodes a task must have left before another worker builds its simulator too.

Building one takes as long as two or three episodes.
"""

Group = int


class Schedule:
    """The blocks to play, in groups that follow each other and need the same simulator."""

    def __init__(
        self,
        blocks: Iterable[Block],
        interpreter: Callable[[Block], str] = lambda block: "",
    ) -> None:
        """Queue the blocks in their order; `interpreter` says in which program each is played."""
        self.interpreters: list[str] = []
        self._groups: dict[Group, deque[Block]] = {}
        self._group_of: dict[Block, Group] = {}
        self._at: dict[Hashable, Group] = {}
        self._waiting = 0
        last = None
        for block in blocks:
            simulator = (block.benchmark, block.task, block.protocol)
            if simulator != last:
                last = simulator
                self._groups[len(self._groups)] = deque()
                self.interpreters.append(interpreter(block))
            self._group_of[block] = len(self._groups) - 1
            self._groups[len(self._groups) - 1].append(block)
            self._waiting += 1

    def next(self, worker: Hashable, interpreter: str = "") -> Block | None:
        """Return the block that `worker` should play, or None when it can no longer help.

        A worker keeps its task while that has blocks; then it takes a task that nobody has, and
        then helps the longest one: of those for the program it runs in, while there are any.
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

    def put_back(self, block: Block) -> None:
        """Queue a block again that was given out, before the others of its group."""
        self._groups[self._group_of[block]].appendleft(block)
        self._waiting += 1

    def leave(self, worker: Hashable) -> None:
        """Forget a worker that is gone."""
        self._at.pop(worker, None)

    def hand_over(self, worker: Hashable, successor: Hashable) -> None:
        """Let another worker have a worker's task."""
        self._at[successor] = self._at.pop(worker)

    def __len__(self) -> int:
        """Return how many blocks wait."""
        return self._waiting

    def _choose(self, worker: Hashable, interpreter: str) -> Group | None:
        taken = {group for other, group in self._at.items() if other != worker}
        waiting = {
            group: len(queue) * len(queue[0].specs)
            for group, queue in self._groups.items()
            if queue
        }
        mine = {group for group in waiting if self.interpreters[group] == interpreter}
        free = [group for group in waiting if group not in taken]
        if free:
            return min(free, key=lambda group: group not in mine)
        crowded = [group for group, length in waiting.items() if length >= WORTH_HELPING]
        return max(crowded, key=lambda group: (group in mine, waiting[group]), default=None)
