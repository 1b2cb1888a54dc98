"""Measures what an episode costs: wall and CPU seconds, by what they were spent on."""

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Meter:
    """Adds up seconds by part: `build`, `reset`, `env`, `render`, `policy`, and `total`.

    Beside them it counts the chunks that were asked for and the network's evaluations for them.
    """

    wall: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    cpu: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    chunks: int = 0
    evaluations: int = 0

    def divided(self, parts: int) -> "list[Meter]":
        """Return equal shares, which add up to the whole."""
        wall = {part: value / parts for part, value in self.wall.items()}
        cpu = {part: value / parts for part, value in self.cpu.items()}
        counts = zip(split(self.chunks, parts), split(self.evaluations, parts), strict=True)
        return [Meter(wall, cpu, chunks, evaluations) for chunks, evaluations in counts]

    @contextmanager
    def measure(self, part: str) -> Iterator[None]:
        """Measure a block, with every thread that works for it."""
        wall, cpu = time.perf_counter(), time.process_time()
        try:
            yield
        finally:
            self.wall[part] += time.perf_counter() - wall
            self.cpu[part] += time.process_time() - cpu


def split(count: int, parts: int) -> list[int]:
    """Divide a count into whole numbers that add up to it."""
    return [count * (part + 1) // parts - count * part // parts for part in range(parts)]


def rounded(seconds: dict[str, float]) -> dict[str, float]:
    """Round to the tenth of a millisecond, for a record."""
    return {part: round(value, 4) for part, value in seconds.items()}
