"""VLABench's selection tasks on things that are made here: the lite backend."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace

import gymnasium

from benchmarks.gl import DISABLED, choose_gl
from benchmarks.vlabench import catalog
from benchmarks.vlabench.protocol import FAMILY, LiteProtocol, protocols
from harness.contracts.benchmark import Benchmark, Task
from harness.contracts.environment import BenchmarkEnv
from harness.contracts.errors import require_known
from harness.contracts.protocol import Protocol

# MuJoCo reads the backend when it is imported, and fails there if it is missing.
os.environ["MUJOCO_GL"] = choose_gl()

INSTALL = 'pip install -e ".[vlabench]" -c constraints.txt'


class VLABenchLite(Benchmark):
    """The family of VLABench's selection tasks with procedural assets: vlabench_lite."""

    name = FAMILY
    default_protocol = "openpi"

    def benchmarks(self) -> Sequence[str]:
        """Return the suite of five and that of track 3."""
        return list(catalog.SUITES) if catalog.is_installed() else []

    def tasks(self, benchmark: str) -> Sequence[Task]:
        """Return a suite's tasks."""
        facts = (catalog.TASKS[name] for name in catalog.SUITES[benchmark])
        return [Task(task.name, task.instruction) for task in facts]

    def protocols(self) -> Mapping[str, Protocol]:
        """Return the protocol cards."""
        return protocols()

    def episodes(self, benchmark: str, task: str) -> int | None:
        """Return None: episodes are drawn, and only a track has so many of them."""
        return None

    def make(self, benchmark: str, task: str, protocol: Protocol) -> BenchmarkEnv:
        """Build a task."""
        from benchmarks.vlabench.env import LiteEnv

        assert isinstance(protocol, LiteProtocol)
        return LiteEnv(benchmark, catalog.TASKS[task], protocol)

    def rehearsal(self, protocol: Protocol) -> Protocol:
        """Return the protocol with scenes that are drawn apart from those of evaluations."""
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
        """Return what is missing: a package, or a GL library for images."""
        if not catalog.is_installed():
            return f"vlabench_lite needs mujoco and the robot of robosuite; run: {INSTALL}"
        if images and choose_gl() in DISABLED:
            return (
                "vlabench_lite's images need a GL library; run: "
                "apt-get install -y libegl1 libegl-mesa0 libgl1-mesa-dri"
            )
        return None

    def rendering(self) -> str:
        """Return the GL backend."""
        return f"MUJOCO_GL={choose_gl()}"

    def versions(self) -> Mapping[str, str]:
        """Return the versions of mujoco and robosuite."""
        return catalog.versions()


def make_env(
    benchmark: str, task: str, protocol: str = "openpi", render_mode: str | None = None
) -> BenchmarkEnv:
    """Build a task for `gymnasium.make`.

    Raises:
        UsageError: There is no such protocol, or the task cannot run under it.
    """
    from benchmarks.vlabench.env import LiteEnv

    cards = protocols()
    require_known(f"protocol of {FAMILY}", protocol, cards)
    return LiteEnv(benchmark, catalog.TASKS[task], cards[protocol], render_mode)


def register_envs() -> None:
    """Give every task its Gymnasium id, e.g. ``vlabench_lite/select_poker-v0``."""
    if not catalog.is_installed():
        return
    for task in catalog.TASKS:
        gymnasium.register(
            id=f"{FAMILY}/{task}-v0",
            entry_point="benchmarks.vlabench:make_env",
            kwargs={"benchmark": FAMILY, "task": task},
        )


register_envs()
