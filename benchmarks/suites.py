"""What the families of benchmarks share: a base class and small helpers."""

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from harness.contracts.benchmark import Benchmark, Task
from harness.contracts.environment import BenchmarkEnv
from harness.contracts.errors import UsageError
from harness.contracts.protocol import Protocol

LARGEST_IMAGE = 4096
"""Pixels of an image's side, at most."""


class SuiteFamily(Benchmark):
    """A family that lists its tasks without a simulator and has one class of environments.

    The class takes the benchmark's name, the task's data from `task_data`, and the protocol.
    """

    env_class: str
    """The environments' class as ``module:Class``; `make` imports it."""

    @abstractmethod
    def task_data(self, benchmark: str) -> Mapping[str, Any]:
        """Return what the environment of each task is built from, by task name and in order."""

    def instruction(self, benchmark: str, task: str) -> str:
        """Return the instruction that listings show for a task; by default its name's words."""
        del benchmark
        return task.replace("_", " ")

    def tasks(self, benchmark: str) -> Sequence[Task]:
        """Return a benchmark's tasks in the order of its indices."""
        return [Task(name, self.instruction(benchmark, name)) for name in self.task_data(benchmark)]

    def episodes(self, benchmark: str, task: str) -> int | None:
        """Return how many episodes a task has; by default there is no limit."""
        del benchmark, task
        return None

    def make(self, benchmark: str, task: str, protocol: Protocol) -> BenchmarkEnv:
        """Build a task's environment."""
        module, _, name = self.env_class.partition(":")
        env: BenchmarkEnv = getattr(import_module(module), name)(
            benchmark, self.task_data(benchmark)[task], protocol
        )
        return env


def require_image_size(name: str, size: tuple[int, int]) -> None:
    """Refuse a protocol's images without pixels, and images that fill the memory.

    Raises:
        UsageError: Height or width is not from 1 to 4096.
    """
    if not all(1 <= side <= LARGEST_IMAGE for side in size):
        raise UsageError(f"camera_size of {name} must be 1 to {LARGEST_IMAGE} pixels, got {size}")


def indexed_names(family: Benchmark) -> dict[str, tuple[str, str]]:
    """Return a family's tasks by names like ``object-3``: benchmark and index.

    It is for families whose benchmarks have different tasks of the same name.
    """
    return {
        f"{benchmark.removeprefix(f'{family.name}_')}-{index}": (benchmark, task.name)
        for benchmark in family.benchmarks()
        for index, task in enumerate(family.tasks(benchmark))
    }


def installed_versions(packages: Iterable[str]) -> dict[str, str]:
    """Return the versions of those packages that are installed."""
    found = {}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
