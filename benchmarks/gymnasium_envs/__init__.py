"""Any environment that `gymnasium.make` builds here, as gym:ENV_ID."""

from collections.abc import Mapping, Sequence

import gymnasium

from benchmarks import gl
from benchmarks.gymnasium_envs.protocol import (
    FAMILY,
    PREFIX,
    GymProtocol,
    instruction,
    protocols,
    registered,
)
from harness.contracts.benchmark import Benchmark, Task
from harness.contracts.environment import BenchmarkEnv
from harness.contracts.protocol import Protocol


class GymnasiumEnvs(Benchmark):
    """Any environment of Gymnasium: gym:ENV_ID, or gym:MODULE:ENV_ID."""

    name = FAMILY
    default_protocol = "default"

    def benchmarks(self) -> Sequence[str]:
        """Return nothing: the environments are not known before one is named."""
        return []

    def accepts(self, benchmark: str) -> bool:
        """Return whether the name begins with ``gym:``."""
        return benchmark.startswith(PREFIX)

    def tasks(self, benchmark: str) -> Sequence[Task]:
        """Return the environment as the benchmark's only task.

        Raises:
            UsageError: Gymnasium does not know it.
        """
        name = registered(benchmark).id
        return [Task(name, instruction(name))]

    def protocols(self) -> Mapping[str, Protocol]:
        """Return the card with the defaults; a card by file describes an environment better."""
        return protocols()

    def episodes(self, benchmark: str, task: str) -> int | None:
        """Return no limit: an episode is a seed."""
        return None

    def step_limit(self, benchmark: str, task: str, protocol: Protocol) -> int:
        """Return the protocol's limit, or else the environment's registered one."""
        assert isinstance(protocol, GymProtocol)
        return protocol.steps(benchmark)

    def make(self, benchmark: str, task: str, protocol: Protocol) -> BenchmarkEnv:
        """Build the environment."""
        from benchmarks.gymnasium_envs.env import GymEnv

        assert isinstance(protocol, GymProtocol)
        return GymEnv(benchmark, protocol)

    def problem(self, images: bool) -> str | None:
        """Return nothing: what an environment needs is known when it is built."""
        return None

    def rendering(self) -> str:
        """Return the GL backend of MuJoCo's environments."""
        return f"MUJOCO_GL={gl.choose_gl()}"

    def versions(self) -> Mapping[str, str]:
        """Return the version of Gymnasium."""
        return {"gymnasium": gymnasium.__version__}
