"""LIBERO and LIBERO-PRO: every suite whose files are installed."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from benchmarks import gl
from benchmarks.libero import catalog
from benchmarks.libero.protocol import LiberoProtocol, protocols
from benchmarks.suites import SuiteFamily, indexed_names
from harness.contracts.environment import EnvSpec
from harness.contracts.extras import install_command
from harness.contracts.protocol import Protocol


class Libero(SuiteFamily):
    """The LIBERO family: libero_object, libero_spatial, ..., libero_object_swap, ..."""

    name = "libero"
    default_protocol = "openpi"
    env_class = "benchmarks.libero.env:LiberoEnv"

    def benchmarks(self) -> Sequence[str]:
        """Return the suites, the standard five first."""
        return list(catalog.suites())

    def task_data(self, benchmark: str) -> Mapping[str, catalog.TaskFiles]:
        """Return the files of a suite's tasks, in LIBERO's order."""
        return catalog.tasks(benchmark)

    def instruction(self, benchmark: str, task: str) -> str:
        """Return the task's instruction."""
        return catalog.tasks(benchmark)[task].instruction

    def protocols(self) -> Mapping[str, Protocol]:
        """Return the protocol cards by short name."""
        return protocols()

    def episodes(self, benchmark: str, task: str) -> int:
        """Return the number of official initial states."""
        return len(catalog.tasks(benchmark)[task].states)

    def gymnasium_names(self) -> Mapping[str, tuple[str, str]]:
        """Return the tasks by suite and index, e.g. ``object-3``; the suites share names."""
        return indexed_names(self)

    def env_spec(self, benchmark: str, task: str, protocol: Protocol) -> EnvSpec:
        """Return the two cameras and the layouts, which all tasks share."""
        assert isinstance(protocol, LiberoProtocol)
        return protocol.env_spec

    def demonstration_protocol(self, protocol: Protocol) -> Protocol:
        """Return the protocol with drawn scenes instead of the official ones.

        Each task has its own scene seeds. With shared seeds, the objects of all tasks would stand
        in the same places, and a scene held out for one task would be known from another.
        """
        assert isinstance(protocol, LiberoProtocol)
        name = f"{protocol.name}-demos"
        return replace(protocol, name=name, init_states="drawn", env_seed="run+episode+task")

    def problem(self, images: bool) -> str | None:
        """Return which is missing: the package, its assets, or a GL library for images."""
        if not catalog.suites():
            fix = install_command("libero")
            return f"LIBERO is not installed, or its task files are missing; run: {fix}"
        return gl.problem("LIBERO") if images else None

    def rendering(self) -> str:
        """Return the GL backend."""
        return f"MUJOCO_GL={gl.choose_gl()}"

    def versions(self) -> Mapping[str, str]:
        """Return the versions of LIBERO, robosuite and mujoco."""
        return catalog.versions()
