"""LIBERO and LIBERO-PRO: every suite whose files are installed."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache

import gymnasium

from benchmarks.gl import DISABLED, choose_gl
from benchmarks.libero import catalog
from benchmarks.libero.protocol import LiberoProtocol, protocols
from harness.contracts.benchmark import Benchmark, Task
from harness.contracts.environment import BenchmarkEnv
from harness.contracts.errors import require_known
from harness.contracts.protocol import Protocol

# MuJoCo and robosuite read the backend when they are imported, and fail there if it is missing.
# Another benchmark may import MuJoCo before LIBERO is built, as ManiSkill does.
os.environ["MUJOCO_GL"] = choose_gl()

INSTALL = 'pip install -e ".[libero]" -c constraints.txt'


class Libero(Benchmark):
    """The LIBERO family: libero_object, libero_spatial, ..., libero_object_swap, ..."""

    name = "libero"
    default_protocol = "openpi"

    def benchmarks(self) -> Sequence[str]:
        """Return the suites, the standard five first."""
        return list(catalog.suites())

    def tasks(self, benchmark: str) -> Sequence[Task]:
        """Return a suite's tasks in LIBERO's order."""
        return [Task(files.name, files.instruction) for files in catalog.suites()[benchmark]]

    def protocols(self) -> Mapping[str, Protocol]:
        """Return the protocol cards."""
        return protocols()

    def episodes(self, benchmark: str, task: str) -> int:
        """Return the number of official initial states."""
        return len(_files(benchmark, task).states)

    def make(self, benchmark: str, task: str, protocol: Protocol) -> BenchmarkEnv:
        """Build a task's simulator."""
        from benchmarks.libero.env import LiberoEnv

        assert isinstance(protocol, LiberoProtocol)
        return LiberoEnv(benchmark, _files(benchmark, task), protocol)

    def rehearsal(self, protocol: Protocol) -> Protocol:
        """Return the protocol with scenes that are drawn, none official.

        Each task has seeds of its own: of one for all, the things of ten tasks would stand in the
        same places, and held-out scenes would be known from other tasks.
        """
        assert isinstance(protocol, LiberoProtocol)
        name = f"{protocol.name}-demos"
        return replace(protocol, name=name, init_states="drawn", env_seed="run+episode+task")

    def problem(self, images: bool) -> str | None:
        """Return what is missing: the package, its assets, or a GL library for images."""
        if not catalog.suites():
            return f"LIBERO is not installed, or without its task files; run: {INSTALL}"
        if images and choose_gl() in DISABLED:
            return (
                "LIBERO's images need a GL library; run: "
                "apt-get install -y libegl1 libegl-mesa0 libgl1-mesa-dri"
            )
        return None

    def rendering(self) -> str:
        """Return the GL backend."""
        return f"MUJOCO_GL={choose_gl()}"

    def versions(self) -> Mapping[str, str]:
        """Return the versions of LIBERO, robosuite and mujoco."""
        return catalog.versions()


@cache
def _by_name(benchmark: str) -> dict[str, catalog.TaskFiles]:
    return {files.name: files for files in catalog.suites()[benchmark]}


def _files(benchmark: str, task: str) -> catalog.TaskFiles:
    return _by_name(benchmark)[task]


def make_env(
    suite: str, task: int, protocol: str = "openpi", render_mode: str | None = None
) -> BenchmarkEnv:
    """Build a task for `gymnasium.make`.

    Raises:
        UsageError: There is no such protocol.
    """
    from benchmarks.libero.env import LiberoEnv

    cards = protocols()
    require_known("protocol of libero", protocol, cards)
    return LiberoEnv(suite, catalog.suites()[suite][task], cards[protocol], render_mode)


def register_envs() -> None:
    """Give every task its Gymnasium id, e.g. ``libero/object-3-v0``."""
    for suite, tasks in catalog.suites().items():
        for index in range(len(tasks)):
            gymnasium.register(
                id=f"libero/{suite.removeprefix('libero_')}-{index}-v0",
                entry_point="benchmarks.libero:make_env",
                kwargs={"suite": suite, "task": index},
            )


register_envs()
