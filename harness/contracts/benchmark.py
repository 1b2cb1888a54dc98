"""The benchmark contract: what a family of benchmarks provides."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.contracts.environment import BenchmarkEnv, EnvSpec
from harness.contracts.errors import UsageError, require_known
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
    """The virtual environment in which `make` runs; None for this process's own.

    All other methods run without it, before it is built.
    """

    @abstractmethod
    def benchmarks(self) -> Sequence[str]:
        """Return the names of the benchmarks that can run with the installed packages."""

    def accepts(self, benchmark: str) -> bool:
        """Return whether the family has a benchmark that `benchmarks` does not list."""
        return False

    @abstractmethod
    def tasks(self, benchmark: str) -> Sequence[Task]:
        """Return a benchmark's tasks in the order of its indices."""

    @abstractmethod
    def protocols(self) -> Mapping[str, Protocol]:
        """Return the protocols by card name."""

    def protocol(self, short: str, options: Mapping[str, str]) -> Protocol:
        """Return a card by its short name, with the options of ``--protocol CARD,OPTION=VALUE``.

        A family whose protocols have options overrides this; by default there are none.

        Raises:
            UsageError: The card or an option is unknown.
        """
        for option in options:
            raise UsageError(f"the protocols of {self.name} have no options; leave out {option}")
        cards = self.protocols()
        require_known(f"protocol of {self.name}", short, cards)
        return cards[short]

    def protocol_from(self, card: Path) -> Protocol:
        """Return the protocol of a card by file, for this family's installed simulator.

        Raises:
            UsageError: The file is no card of this family, or has the name of a bundled card.
        """
        bundled = self.protocols()
        model = bundled[self.default_protocol]
        family = model.name.partition("/")[0]
        made = type(model).load(
            card, family, simulator=model.simulator, note=model.note, file=str(card.absolute())
        )
        short = made.name.removeprefix(f"{family}/")
        if short in bundled:
            raise UsageError(f"{card} has the name of a bundled card, {short}; give it another one")
        return made

    def protocol_of(self, benchmark: str) -> str:
        """Return the card of a benchmark's default protocol."""
        return self.default_protocol

    @abstractmethod
    def episodes(self, benchmark: str, task: str) -> int | None:
        """Return the number of distinct episodes of a task; None if unlimited."""

    def step_limit(self, benchmark: str, task: str, protocol: Protocol) -> int:
        """Return a task's step limit; a family whose tasks have their own overrides this."""
        return protocol.limit(benchmark)

    def gymnasium_names(self) -> Mapping[str, tuple[str, str]]:
        """Return a benchmark and a task by the name that Gymnasium's id has for them.

        By default it is the task's name, in the first benchmark that has the task.
        """
        names: dict[str, tuple[str, str]] = {}
        for benchmark in self.benchmarks():
            for task in self.tasks(benchmark):
                names.setdefault(task.name, (benchmark, task.name))
        return names

    def env_spec(self, benchmark: str, task: str, protocol: Protocol) -> EnvSpec | None:
        """Return a task's cameras and layouts without building its simulator.

        A plan is checked against it before anything is built. None if they are not known before.
        """
        return None

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
        """Return why the family cannot run here and the command that fixes it, or None.

        Args:
            images: Whether a policy needs images.
        """

    @abstractmethod
    def rendering(self) -> str:
        """Return the renderer in use here, for `doctor`."""

    @abstractmethod
    def versions(self) -> Mapping[str, str]:
        """Return the versions of the simulator's packages, for the records.

        A family with a virtual environment returns the versions that it declares.
        """
