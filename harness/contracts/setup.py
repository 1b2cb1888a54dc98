"""A benchmark under a protocol: where episodes are played."""

from dataclasses import dataclass

from harness.contracts.benchmark import Benchmark
from harness.contracts.protocol import Protocol


@dataclass(frozen=True)
class BenchmarkSetup:
    """A benchmark, some of its tasks, and the protocol under which they are played."""

    family: Benchmark
    benchmark: str
    tasks: tuple[str, ...]
    protocol: Protocol

    @property
    def instructions(self) -> list[str]:
        """The instructions of all tasks of the benchmark."""
        return [task.instruction for task in self.family.tasks(self.benchmark)]
