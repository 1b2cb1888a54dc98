"""RoboTwin 2.0: five tasks with blocks that run anywhere, and all 50 with a user's files."""

from collections.abc import Mapping, Sequence

from benchmarks import vulkan
from benchmarks.robotwin import assets
from benchmarks.robotwin.catalog import BLOCKS, EPISODES, TASKS
from benchmarks.robotwin.needs import SIMULATOR, VENV
from benchmarks.robotwin.protocol import RoboTwinProtocol, full_protocols, protocols
from harness.contracts.benchmark import Benchmark, Task
from harness.contracts.environment import BenchmarkEnv
from harness.contracts.protocol import Protocol


class RoboTwinBlocks(Benchmark):
    """The tasks that need none of RoboTwin's files, on two Pandas and the CPU."""

    name = "robotwin_blocks"
    default_protocol = "blocks"
    venv = VENV

    def benchmarks(self) -> Sequence[str]:
        """Return the one benchmark."""
        return [self.name]

    def tasks(self, benchmark: str) -> Sequence[Task]:
        """Return the tasks; every episode has an instruction of its own."""
        return [Task(name, name.replace("_", " ")) for name in BLOCKS]

    def protocols(self) -> Mapping[str, Protocol]:
        """Return the protocol cards."""
        return protocols()

    def episodes(self, benchmark: str, task: str) -> int | None:
        """Return how many scenes are evaluated."""
        return EPISODES

    def make(self, benchmark: str, task: str, protocol: Protocol) -> BenchmarkEnv:
        """Build a task, in the Python environment that is made for it."""
        from benchmarks.robotwin.env import RoboTwinEnv

        assert isinstance(protocol, RoboTwinProtocol)
        return RoboTwinEnv(benchmark, task, protocol)

    def problem(self, images: bool) -> str | None:
        """Return what is missing: a Vulkan driver, which SAPIEN wants always."""
        return vulkan.find_driver().problem

    def rendering(self) -> str:
        """Return the Vulkan driver."""
        return vulkan.find_driver().name

    def versions(self) -> Mapping[str, str]:
        """Return what its Python environment holds."""
        return SIMULATOR


class RoboTwin(RoboTwinBlocks):
    """All 50 tasks, with the user's files and cuRobo."""

    name = "robotwin"
    default_protocol = "demo_clean"

    def tasks(self, benchmark: str) -> Sequence[Task]:
        """Return the tasks; every episode has an instruction of its own."""
        return [Task(name, name.replace("_", " ")) for name in TASKS]

    def protocols(self) -> Mapping[str, Protocol]:
        """Return the protocol cards."""
        return full_protocols(assets.identity())

    def problem(self, images: bool) -> str | None:
        """Return what of RoboTwin's files is missing, or cuRobo, or a Vulkan driver."""
        return assets.problem() or super().problem(images)
