"""VLABench's selection tasks with procedural assets: the lite backend."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from benchmarks import gl
from benchmarks.suites import SuiteFamily
from benchmarks.vlabench import catalog
from benchmarks.vlabench.protocol import FAMILY, LiteProtocol, find_protocol, protocols
from harness.contracts.environment import EnvSpec
from harness.contracts.extras import install_command
from harness.contracts.protocol import Protocol


class VLABenchLite(SuiteFamily):
    """VLABench's selection tasks with procedural assets: vlabench_lite, vlabench_lite_track3."""

    name = FAMILY
    default_protocol = "openpi"
    env_class = "benchmarks.vlabench.env:LiteEnv"

    def benchmarks(self) -> Sequence[str]:
        """Return the suite of five tasks and the suite of track 3."""
        return list(catalog.SUITES) if catalog.is_installed() else []

    def task_data(self, benchmark: str) -> Mapping[str, catalog.TaskFacts]:
        """Return a suite's tasks."""
        return {name: catalog.TASKS[name] for name in catalog.SUITES[benchmark]}

    def instruction(self, benchmark: str, task: str) -> str:
        """Return an example of the task's instruction."""
        del benchmark
        return catalog.TASKS[task].instruction

    def protocols(self) -> Mapping[str, Protocol]:
        """Return the protocol cards by short name."""
        return protocols()

    def protocol(self, short: str, options: Mapping[str, str]) -> Protocol:
        """Return a card; the option ``tracks`` names the folder of the track files."""
        return find_protocol(short, options)

    def step_limit(self, benchmark: str, task: str, protocol: Protocol) -> int:
        """Return the task's own limit, or else the benchmark's."""
        assert isinstance(protocol, LiteProtocol)
        return protocol.task_limit(benchmark, task)

    def env_spec(self, benchmark: str, task: str, protocol: Protocol) -> EnvSpec:
        """Return a task's cameras and layouts."""
        assert isinstance(protocol, LiteProtocol)
        return protocol.env_spec(task)

    def demonstration_protocol(self, protocol: Protocol) -> Protocol:
        """Return the protocol with random streams that no evaluation uses."""
        assert isinstance(protocol, LiteProtocol)
        scenes = "seen" if protocol.track else protocol.scenes
        return replace(
            protocol,
            name=f"{protocol.name}-demos",
            scenes=scenes,
            track=0,
            track_sha256="",
            rehearsal=True,
        )

    def problem(self, images: bool) -> str | None:
        """Return which is missing: a package, or a GL library for images."""
        if not catalog.is_installed():
            fix = install_command("vlabench")
            return f"vlabench_lite needs mujoco and the robot of robosuite; run: {fix}"
        return gl.problem("vlabench_lite") if images else None

    def rendering(self) -> str:
        """Return the GL backend."""
        return f"MUJOCO_GL={gl.choose_gl()}"

    def versions(self) -> Mapping[str, str]:
        """Return the versions of mujoco and robosuite."""
        return catalog.versions()
