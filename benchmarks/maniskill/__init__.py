"""ManiSkill: every task with a condition of success, and the five of RDT-1B and E0."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import gymnasium

from benchmarks import vulkan
from benchmarks.maniskill import catalog, cuda
from benchmarks.maniskill.protocol import ManiSkillProtocol, protocols
from harness.contracts.benchmark import Benchmark, Task
from harness.contracts.environment import BatchEnv, BenchmarkEnv
from harness.contracts.errors import UsageError, require_known
from harness.contracts.protocol import Protocol

INSTALL = 'pip install -e ".[maniskill]" -c constraints.txt'
SUITE = "maniskill_rdt"


class ManiSkill(Benchmark):
    """The family of ManiSkill: maniskill_rdt, and maniskill with every task by its id."""

    name = "maniskill"
    default_protocol = "rdt"

    def benchmarks(self) -> Sequence[str]:
        """Return the suite of five and the whole."""
        return [SUITE, self.name] if catalog.tasks() else []

    def tasks(self, benchmark: str) -> Sequence[Task]:
        """Return the suite's tasks in the papers' order, or all by their id."""
        names = catalog.RDT_TASKS if benchmark == SUITE else list(catalog.tasks())
        told = protocols()["rdt"].instructions
        facts = catalog.tasks()
        return [Task(name, told.get(name, facts[name].description)) for name in names]

    def protocols(self) -> Mapping[str, Protocol]:
        """Return the protocol cards."""
        return protocols()

    def episodes(self, benchmark: str, task: str) -> int | None:
        """Return None: every seed is an episode."""
        return None

    def make(self, benchmark: str, task: str, protocol: Protocol) -> BenchmarkEnv:
        """Build a task's simulator."""
        from benchmarks.maniskill.env import ManiSkillEnv

        assert isinstance(protocol, ManiSkillProtocol)
        return ManiSkillEnv(benchmark, catalog.tasks()[task], protocol)

    def make_batch(self, benchmark: str, task: str, protocol: Protocol) -> BatchEnv:
        """Build as many environments of a task as the protocol's batch has, on the GPU."""
        problem = self.batch_problem()
        if problem:
            raise UsageError(problem)
        from benchmarks.maniskill.batch import ManiSkillBatch

        assert isinstance(protocol, ManiSkillProtocol)
        return ManiSkillBatch(benchmark, catalog.tasks()[task], protocol)

    def batch_problem(self) -> str | None:
        """Return what is missing: a GPU, or a torch that can use it."""
        return cuda.problem()

    def rehearsal(self, protocol: Protocol) -> Protocol:
        """Return the protocol with seeds from 0 on, below those of every evaluation."""
        assert isinstance(protocol, ManiSkillProtocol)
        return replace(protocol, name=f"{protocol.name}-demos", first_seed=0)

    def problem(self, images: bool) -> str | None:
        """Return what is missing: the package or a Vulkan driver, which SAPIEN wants always."""
        if not catalog.tasks():
            return f"ManiSkill is not installed; run: {INSTALL}"
        return vulkan.find_driver().problem

    def rendering(self) -> str:
        """Return the Vulkan driver and the device that it offers."""
        return f"{vulkan.find_driver().name}: {vulkan.device()}"

    def versions(self) -> Mapping[str, str]:
        """Return the versions of ManiSkill and SAPIEN."""
        return catalog.versions()


def make_env(
    benchmark: str, task: str, protocol: str = "rdt", render_mode: str | None = None
) -> BenchmarkEnv:
    """Build a task for `gymnasium.make`.

    Raises:
        UsageError: There is no such protocol, or the task cannot run here.
    """
    from benchmarks.maniskill.env import ManiSkillEnv

    cards = protocols()
    require_known("protocol of maniskill", protocol, cards)
    return ManiSkillEnv(benchmark, catalog.tasks()[task], cards[protocol], render_mode)


def register_envs() -> None:
    """Give every task its Gymnasium id, e.g. ``maniskill/PickCube-v1``."""
    for task in catalog.tasks():
        gymnasium.register(
            id=f"maniskill/{task}",
            entry_point="benchmarks.maniskill:make_env",
            kwargs={"benchmark": "maniskill", "task": task},
        )


register_envs()
