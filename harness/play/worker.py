"""Plays episodes one after the other and rebuilds a simulator that fails."""

import gc
import os
import platform
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

import numpy as np

from harness import __version__
from harness.contracts.ablation import Ablation
from harness.contracts.environment import BenchmarkEnv
from harness.contracts.errors import UsageError
from harness.contracts.policy import Policy, check_compatible
from harness.contracts.record import Episode, EpisodeRecord
from harness.contracts.setup import BenchmarkSetup
from harness.contracts.spec import EpisodeSpec
from harness.play.meter import Meter, rounded
from harness.play.rollout import run_episode

RETRIES = 2
"""How often an episode is played again after an error of the simulator."""

LONGEST_REASON = 300
"""Characters of an error message that a record keeps."""


class SimulatorCache:
    """Keeps the simulator of the last task: building one takes seconds, a reset does not."""

    def __init__(self) -> None:
        """Start empty."""
        self._key: tuple[str, str, str] | None = None
        self._env: BenchmarkEnv | None = None

    def get(self, setup: BenchmarkSetup, task: str) -> BenchmarkEnv:
        """Return the simulator of a task; build it if the cache holds another one."""
        key = (setup.benchmark, task, setup.protocol.label)
        if self._env is None or self._key != key:
            self.close()
            self._env = setup.family.make(setup.benchmark, task, setup.protocol)
            self._key = key
        return self._env

    def close(self) -> None:
        """Close the simulator."""
        if self._env is not None:
            env, self._env = self._env, None
            with suppress(Exception):  # A broken simulator may raise again; it is reported already.
                env.close()
            # Simulators hold reference cycles. Without this, 250 MiB stay while the next is built.
            del env
            gc.collect()


class Worker:
    """Plays any episode of a plan, in this process or in an actor."""

    def __init__(
        self,
        setups: Sequence[BenchmarkSetup],
        policies: Mapping[str, Policy],
        alive: Callable[[], None] = lambda: None,
    ) -> None:
        """Take what there is to play.

        Args:
            setups: The benchmarks.
            policies: The policies by identity.
            alive: Called before everything that could hang.
        """
        self._setups = {(setup.benchmark, setup.protocol.label): setup for setup in setups}
        self._policies = policies
        self._alive = alive
        self._simulators = SimulatorCache()

    def play(self, spec: EpisodeSpec) -> Episode:
        """Play an episode; after an error, try again with a new simulator, then record the error.

        Raises:
            UsageError: The user has to change the request or the installation.
        """
        retries, started, meter = 0, time.time(), Meter()
        while True:
            try:
                with meter.measure("total"):
                    episode = self._attempt(spec, meter)
                break
            except UsageError:
                raise
            except ImportError as error:
                # Every episode would fail with it: the installation is incomplete.
                raise UsageError(
                    f"{spec.benchmark} cannot start ({_one_line(error)}); run: run_eval.py doctor"
                ) from error
            except Exception as error:  # noqa: BLE001 - a simulator may raise anything
                self.close()
                if retries == RETRIES:
                    episode = failed_episode(spec, error)
                    break
                retries += 1
        return self._with_costs(episode, retries, started, meter)

    def close(self) -> None:
        """Close the simulator, whatever state it is in."""
        self._simulators.close()

    def _attempt(self, spec: EpisodeSpec, meter: Meter) -> Episode:
        setup, policy = self._setups[spec.benchmark, spec.protocol], self._policies[spec.policy]
        self._alive()
        with meter.measure("build"):
            env = self._simulators.get(setup, spec.task)
        check_compatible(policy.spec, env)
        ablation = Ablation(spec, setup.instructions)
        return run_episode(env, policy, ablation, setup.protocol, meter, self._alive)

    def _with_costs(self, episode: Episode, retries: int, started: float, meter: Meter) -> Episode:
        spec = episode.record.spec
        versions = dict(self._setups[spec.benchmark, spec.protocol].family.versions()) | {
            "assay": __version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
        }
        record = replace(
            episode.record,
            started=round(started, 3),
            timing=rounded(meter.wall),
            cpu=rounded(meter.cpu),
            chunks=meter.chunks,
            evaluations=meter.evaluations,
            retries=retries,
            worker=process_name(),
            versions=versions,
        )
        return Episode(record, episode.actions)


def process_name() -> str:
    """Return a name of this process that is unique within a cluster."""
    return f"{socket.gethostname()}:{os.getpid()}"


def failed_episode(spec: EpisodeSpec, error: Exception) -> Episode:
    """Return the record of an episode that ended in an error."""
    record = EpisodeRecord(
        spec=spec,
        outcome="error",
        success=None,
        progress=None,
        subgoals={},
        steps=0,
        reason=f"{type(error).__name__}: {_one_line(error)}"[:LONGEST_REASON],
        instruction="",
        actions_sha256=None,
        state_sha256=None,
    )
    return Episode(record, np.zeros((0, 0), np.float32))


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
