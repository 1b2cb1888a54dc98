"""Meta-World: MT50, MT10 and the four difficulty groups."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from benchmarks import gl
from benchmarks.metaworld import catalog
from benchmarks.metaworld.protocol import FAMILY, MetaWorldProtocol, find_protocol, protocols
from benchmarks.suites import SuiteFamily
from harness.contracts.environment import EnvSpec
from harness.contracts.protocol import Protocol


class MetaWorld(SuiteFamily):
    """Meta-World's 50 tasks: metaworld_mt50, metaworld_mt10, and metaworld_easy to _very_hard."""

    name = FAMILY
    default_protocol = "lerobot"
    env_class = "benchmarks.metaworld.env:MetaWorldEnv"

    def benchmarks(self) -> Sequence[str]:
        """Return the suites."""
        return list(catalog.SUITES) if catalog.is_installed() else []

    def task_data(self, benchmark: str) -> Mapping[str, catalog.TaskFacts]:
        """Return a suite's tasks."""
        return {name: catalog.TASKS[name] for name in catalog.SUITES[benchmark]}

    def instruction(self, benchmark: str, task: str) -> str:
        """Return our own words for the task."""
        del benchmark
        return catalog.TASKS[task].instruction

    def protocols(self) -> Mapping[str, Protocol]:
        """Return the protocol cards by short name."""
        return protocols()

    def protocol(self, short: str, options: Mapping[str, str]) -> Protocol:
        """Return a card; the option ``instructions`` names a file with other instructions."""
        return find_protocol(short, options)

    def env_spec(self, benchmark: str, task: str, protocol: Protocol) -> EnvSpec:
        """Return the camera and the layouts."""
        assert isinstance(protocol, MetaWorldProtocol)
        return protocol.env_spec

    def demonstration_protocol(self, protocol: Protocol) -> Protocol:
        """Return the protocol with random streams that no evaluation uses."""
        assert isinstance(protocol, MetaWorldProtocol)
        return replace(protocol, name=f"{protocol.name}-demos", rehearsal=True)

    def problem(self, images: bool) -> str | None:
        """Return which is missing: a package, or a GL library for images."""
        if not catalog.is_installed():
            return (
                f"Meta-World is not installed; run: pip install mujoco==3.3.2 && "
                f"pip install --no-deps metaworld=={catalog.VERSION}"
            )
        return gl.problem("Meta-World") if images else None

    def rendering(self) -> str:
        """Return the GL backend."""
        return f"MUJOCO_GL={gl.choose_gl()}"

    def versions(self) -> Mapping[str, str]:
        """Return the versions of Meta-World and MuJoCo."""
        return catalog.versions()
