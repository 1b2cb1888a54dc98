"""What the scripts that measure a benchmark task by task share: a clock and the output."""

import json
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

Value = TypeVar("Value")


class CpuClock:
    """Adds up this process's CPU time by name."""

    def __init__(self) -> None:
        """Start with no time."""
        self.seconds: dict[str, float] = {}
        self._calls: dict[str, int] = {}

    def measure(self, name: str, action: Callable[[], Value]) -> Value:
        """Call a function and add its CPU time to a name."""
        start = time.process_time()
        value = action()
        self.seconds[name] = self.seconds.get(name, 0.0) + time.process_time() - start
        self._calls[name] = self._calls.get(name, 0) + 1
        return value

    def repeat(self, name: str, count: int, action: Callable[[], object]) -> None:
        """Call a function once without the clock, and then `count` times with it."""
        action()
        for _ in range(count):
            self.measure(name, action)

    def milliseconds(self) -> dict[str, float]:
        """Return the mean CPU time of one call by name, with the unit in the name."""
        return {
            f"{name}_ms": round(1000 * total / self._calls[name], 2)
            for name, total in self.seconds.items()
        }


def print_rows(
    benchmark: str, tasks: Sequence[str], measure: Callable[[str], dict[str, Any]]
) -> None:
    """Measure tasks; print a row for each of them and one JSON object in the last line."""
    results = []
    for task in tasks:
        results.append({"task": task} | measure(task))
        print(results[-1], flush=True)
    print(json.dumps({"benchmark": benchmark, "results": results}))
