"""Measures what an episode costs: wall and CPU seconds of each part."""

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Meter:
    """Adds up seconds by part: `build`, `reset`, `env`, `render`, `policy`, and `total`.

    It also counts the chunks, the forward passes of the network for them, and the answers that a
    batch may have changed in the last bits.
    """

    wall: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    cpu: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    chunks: int = 0
    evaluations: int = 0
    inexact: int = 0

    @contextmanager
    def measure(self, part: str) -> Iterator[None]:
        """Measure a block of code, with all threads of the process."""
        wall, cpu = time.perf_counter(), time.process_time()
        try:
            yield
        finally:
            self.wall[part] += time.perf_counter() - wall
            self.cpu[part] += time.process_time() - cpu


def rounded(seconds: dict[str, float]) -> dict[str, float]:
    """Round to a tenth of a millisecond, for a record."""
    return {part: round(value, 4) for part, value in seconds.items()}
