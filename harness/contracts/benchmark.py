"""The benchmark contract: what a family of benchmarks offers to the engine."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.contracts.environment import BenchmarkEnv
from harness.contracts.errors import UsageError
from harness.contracts.protocol import Protocol
from harness.contracts.venv import VirtualEnv


@dataclass(frozen=True)
class Task:
    """A task of a benchmark.

    Attributes:
        name: Unique within the benchmark, the same in every version of its task order.
        instruction: The language instruction, for listings.
    """

    name: str
    instruction: str


class Benchmark(ABC):
    """A family of benchmarks that share a simulator, e.g. LIBERO with its suites.

    Creating one is cheap and imports no simulator; `make` does.
    """

    name: str
    default_protocol: str
    venv: VirtualEnv | None = None
    """The Python environment that `make` runs in, where the engine's own cannot serve.

    Everything else runs without it: tasks are listed, and problems named, before it is built.
    """

    @abstractmethod
    def benchmarks(self) -> Sequence[str]:
        """Return the names of the benchmarks that can run with what is installed."""

    @abstractmethod
    def tasks(self, benchmark: str) -> Sequence[Task]:
        """Return a benchmark's tasks in the order of its indices."""

    @abstractmethod
    def protocols(self) -> Mapping[str, Protocol]:
        """Return the protocol cards by short name."""

    def protocol_of(self, benchmark: str) -> str:
        """Return the short name of the card that a benchmark runs under if none is asked for."""
        return self.default_protocol

    @abstractmethod
    def episodes(self, benchmark: str, task: str) -> int | None:
        """Return how many distinct episodes a task has; None when they are unlimited."""

    @abstractmethod
    def make(self, benchmark: str, task: str, protocol: Protocol) -> BenchmarkEnv:
        """Build the simulator of one task."""

    def demonstration_protocol(self, protocol: Protocol) -> Protocol:
        """Return the protocol under which demonstrations are recorded.

        It differs from `protocol` only in its scenes, which no protocol evaluates.

        Raises:
            UsageError: The family has no such scenes.
        """
        raise UsageError(f"{self.name} has no scenes for demonstrations under {protocol.name}")

    @abstractmethod
    def problem(self, images: bool) -> str | None:
        """Return why nothing can run here and the command that mends it, or None.

        Args:
            images: Whether anybody will ask for an image.
        """

    @abstractmethod
    def rendering(self) -> str:
        """Return what draws the images here, for the doctor."""

    @abstractmethod
    def versions(self) -> Mapping[str, str]:
        """Return the versions of the simulator's packages, for the records.

        With a Python of its own, a family returns what it declares for it: it is asked here too.
        """
