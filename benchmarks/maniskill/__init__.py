"""ManiSkill: every task with a success condition, and the five of RDT-1B and E0."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from benchmarks import vulkan
from benchmarks.maniskill import catalog
from benchmarks.maniskill.layouts import env_spec
from benchmarks.maniskill.protocol import ManiSkillProtocol, protocols
from benchmarks.suites import SuiteFamily
from harness.contracts.environment import EnvSpec
from harness.contracts.extras import install_command
from harness.contracts.protocol import Protocol

_RDT_SUITE = "maniskill_rdt"


class ManiSkill(SuiteFamily):
    """The ManiSkill family: maniskill_rdt, and maniskill with every task by its id."""

    name = "maniskill"
    default_protocol = "rdt"
    env_class = "benchmarks.maniskill.env:ManiSkillEnv"

    def benchmarks(self) -> Sequence[str]:
        """Return the suite of five tasks, and the benchmark of all tasks."""
        return [_RDT_SUITE, self.name] if catalog.tasks() else []

    def task_data(self, benchmark: str) -> Mapping[str, catalog.TaskFacts]:
        """Return the suite's tasks in the papers' order, or all tasks by id."""
        tasks = catalog.tasks()
        names = catalog.RDT_TASKS if benchmark == _RDT_SUITE else tasks
        return {name: tasks[name] for name in names}

    def instruction(self, benchmark: str, task: str) -> str:
        """Return RDT's instruction, or else the task's documentation."""
        del benchmark
        return protocols()["rdt"].instructions.get(task, catalog.tasks()[task].description)

    def protocols(self) -> Mapping[str, Protocol]:
        """Return the protocol cards by short name."""
        return protocols()

    def step_limit(self, benchmark: str, task: str, protocol: Protocol) -> int:
        """Return the protocol's limit, or else the task's registered one."""
        return protocol.limit(benchmark) or catalog.tasks()[task].max_steps

    def gymnasium_names(self) -> Mapping[str, tuple[str, str]]:
        """Return the tasks of the benchmark of all tasks, by id."""
        return {task: (self.name, task) for task in catalog.tasks()}

    def env_spec(self, benchmark: str, task: str, protocol: Protocol) -> EnvSpec | None:
        """Return a task's cameras and layouts; None for another robot than a Panda."""
        assert isinstance(protocol, ManiSkillProtocol)
        return env_spec(catalog.tasks()[task], protocol)

    def demonstration_protocol(self, protocol: Protocol) -> Protocol:
        """Return the protocol with seeds from 0 on, which no evaluation uses."""
        assert isinstance(protocol, ManiSkillProtocol)
        return replace(protocol, name=f"{protocol.name}-demos", first_seed=0)

    def problem(self, images: bool) -> str | None:
        """Return which is missing: the package, or a Vulkan driver.

        SAPIEN needs the driver even if no image is rendered.
        """
        if not catalog.tasks():
            return f"ManiSkill is not installed; run: {install_command('maniskill')}"
        return vulkan.find_driver().problem

    def rendering(self) -> str:
        """Return the Vulkan driver and its device."""
        return f"{vulkan.find_driver().name}: {vulkan.device()}"

    def versions(self) -> Mapping[str, str]:
        """Return the versions of ManiSkill and SAPIEN."""
        return catalog.versions()
