"""Plays episodes one after the other and rebuilds a simulator that fails."""

import gc
import os
import platform
import socket
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

import numpy as np

from harness import __version__
from harness.contracts.ablation import Ablation
from harness.contracts.environment import BenchmarkEnv
from harness.contracts.errors import (
    LONGEST_MESSAGE,
    LONGEST_TRACEBACK,
    MemoryLost,
    PolicyCrashed,
    UsageError,
)
from harness.contracts.extras import program_name
from harness.contracts.policy import Policy, check_compatible
from harness.contracts.protocol import Protocol
from harness.contracts.record import Episode, EpisodeRecord
from harness.contracts.setup import BenchmarkSetup
from harness.contracts.spec import EpisodeSpec
from harness.play.meter import Meter, rounded
from harness.play.rollout import run_episode

RETRIES = 2
"""How often an episode is played again after an error of the simulator."""
RESTARTS = 5
"""How often an episode starts again because the policy's memory of it is lost."""


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
            # A broken simulator may raise again; it is reported already.
            with suppress(Exception, SystemExit):
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
        self._ahead = Meter()

    def prepare(self, spec: EpisodeSpec) -> None:
        """Build the simulator of the next episode, whose costs it counts; `play` repeats errors."""
        setup = self._setups[spec.benchmark, spec.protocol]
        self._alive()
        measured = self._ahead.measure
        with suppress(Exception, SystemExit), measured("total"), measured("build"):
            self._simulators.get(setup, spec.task)

    def play(self, spec: EpisodeSpec) -> Episode:
        """Play an episode; after an error, try again with a new simulator, then record the error.

        An exception in the policy's own code is recorded at once.

        Raises:
            UsageError: The user has to change the request or the installation.
        """
        retries, restarts, started = 0, 0, time.time()
        meter, self._ahead = self._ahead, Meter()
        while True:
            try:
                with meter.measure("total"):
                    episode = self._attempt(spec, meter)
                break
            except UsageError:
                raise
            except PolicyCrashed as crash:
                episode = crashed_episode(spec, crash)
                break
            except MemoryLost as error:
                if restarts == RESTARTS:
                    episode = failed_episode(spec, error)
                    break
                restarts += 1
            except ImportError as error:
                # Every episode would fail with it: the installation is incomplete.
                why = f"{spec.benchmark} cannot start ({_one_line(error)})"
                raise UsageError(f"{why}; run: {program_name()} doctor") from error
            except (Exception, SystemExit) as error:  # noqa: BLE001 - a simulator may raise anything
                self.close()
                if retries == RETRIES:
                    episode = failed_episode(spec, error)
                    break
                retries += 1
        return self._with_costs(episode, retries + restarts, started, meter)

    def close(self) -> None:
        """Close the simulator, whatever state it is in."""
        self._simulators.close()

    def _attempt(self, spec: EpisodeSpec, meter: Meter) -> Episode:
        setup, policy = self._setups[spec.benchmark, spec.protocol], self._policies[spec.policy]
        self._alive()
        with meter.measure("build"):
            env = self._simulators.get(setup, spec.task)
        check_compatible(policy.spec, env)
        check_replan(policy, setup.protocol)
        ablation = Ablation(spec, setup.instructions)
        return run_episode(env, policy, ablation, setup.protocol, meter, self._alive)

    def _with_costs(self, episode: Episode, retries: int, started: float, meter: Meter) -> Episode:
        spec = episode.record.spec
        family = self._setups[spec.benchmark, spec.protocol].family
        versions = {name: str(version) for name, version in family.versions().items()} | {
            "assay": __version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
        }
        record = replace(
            episode.record,
            started=round(max(0.0, started), 3),
            timing=rounded(meter.wall),
            cpu=rounded(meter.cpu),
            chunks=meter.chunks,
            evaluations=meter.evaluations,
            batching="fast" if meter.inexact else "",
            retries=retries,
            worker=process_name(),
            versions=versions,
        )
        return replace(episode, record=record)


def process_name() -> str:
    """Return a name of this process that is unique within a cluster."""
    return f"{socket.gethostname()}:{os.getpid()}"


def failed_episode(spec: EpisodeSpec, error: BaseException) -> Episode:
    """Return an episode that ended in an error."""
    lines = "".join(traceback.format_exception(error))[-LONGEST_TRACEBACK:]
    return _error_episode(spec, f"{type(error).__name__}: {_one_line(error)}", lines)


def crashed_episode(spec: EpisodeSpec, crash: PolicyCrashed) -> Episode:
    """Return an episode that ended with an exception in the policy's code."""
    episode = _error_episode(spec, f"policy_crash: {crash.summary}", crash.traceback)
    return replace(episode, crashed=True)


def _error_episode(spec: EpisodeSpec, reason: str, lines: str) -> Episode:
    record = EpisodeRecord(
        spec=spec,
        outcome="error",
        success=None,
        progress=None,
        subgoals={},
        steps=0,
        reason=reason[:LONGEST_MESSAGE],
        instruction="",
        actions_sha256=None,
        state_sha256=None,
    )
    return Episode(record, np.zeros((0, 0), np.float32), lines)


def check_replan(policy: Policy, protocol: Protocol) -> None:
    """Refuse a policy that executes another number of actions than the protocol's label says."""
    own = policy.own_replan
    if own is not None and own != protocol.replan:
        says = "the whole chunk" if protocol.replan is None else f"{protocol.replan}"
        raise UsageError(
            f"{policy.spec.name} executes {own} actions before it infers again, "
            f"{protocol.name} says {says}; add --replan {own}, so that the protocol's label says it"
        )


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
