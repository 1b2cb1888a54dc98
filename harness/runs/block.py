"""The unit of work: one episode, or a batch of them that one simulator plays together.

Where environments share a simulator, an episode may depend on those beside it. So a block's
composition follows from the protocol alone: whatever was asked for, done before or lost, it is
played whole, and what nobody wants of it is not recorded.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from harness.contracts.spec import EpisodeSpec
from harness.runs.plan import Cell, Work


@dataclass(frozen=True)
class Block:
    """Consecutive episodes of one policy and task, of which some are recorded.

    Attributes:
        specs: All that are played, one a row.
        rows: Those that are wanted.
    """

    specs: tuple[EpisodeSpec, ...]
    rows: tuple[int, ...] = (0,)

    @property
    def wanted(self) -> list[EpisodeSpec]:
        """The episodes to record."""
        return [self.specs[row] for row in self.rows]

    @property
    def policy(self) -> str:
        """The policy's identity."""
        return self.specs[0].policy

    @property
    def benchmark(self) -> str:
        """The benchmark's name."""
        return self.specs[0].benchmark

    @property
    def task(self) -> str:
        """The task's name."""
        return self.specs[0].task

    @property
    def protocol(self) -> str:
        """The protocol's label."""
        return self.specs[0].protocol


def blocks(work: Work, specs: Iterable[EpisodeSpec]) -> list[Block]:
    """Return what has to be played for these episodes, in the order of the first of each."""
    rows: dict[EpisodeSpec, list[int]] = {}
    for spec in specs:
        row = spec.episode % work.cell(spec).protocol.batch
        first = replace(spec, episode=spec.episode - row) if row else spec
        rows.setdefault(first, []).append(row)
    return [
        Block(_played(work.cell(first), first), tuple(sorted(wanted)))
        for first, wanted in rows.items()
    ]


def _played(cell: Cell, first: EpisodeSpec) -> tuple[EpisodeSpec, ...]:
    """Return a whole block; past a task's last episode it goes on with the first."""
    if cell.protocol.batch == 1:
        return (first,)
    there = cell.family.episodes(first.benchmark, first.task)
    numbers = range(first.episode, first.episode + cell.protocol.batch)
    return tuple(replace(first, episode=k % there if there else k) for k in numbers)
