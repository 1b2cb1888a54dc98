"""Plays episodes one after the other and makes the best of a simulator that fails."""

import gc
import os
import platform
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from harness import __version__
from harness.contracts.ablation import Control
from harness.contracts.environment import BatchEnv, BenchmarkEnv
from harness.contracts.errors import UsageError
from harness.contracts.policy import Policy, check_compatible
from harness.contracts.protocol import Protocol
from harness.contracts.record import EpisodeRecord
from harness.contracts.spec import EpisodeSpec
from harness.play.batch_rollout import run_block
from harness.play.meter import Meter, rounded
from harness.play.rollout import Episode, run_episode
from harness.runs.block import Block
from harness.runs.plan import Cell

RETRIES = 2
"""How often an episode is started again after an error of the infrastructure."""

Simulator = TypeVar("Simulator", BenchmarkEnv, BatchEnv)

LONGEST_REASON = 300
"""Characters of an error that a record keeps; the rest would only swell the log."""


class Simulators:
    """Keeps the last task's simulator, since building one takes seconds and a reset does not."""

    def __init__(self) -> None:
        """Start with none."""
        self._held: tuple[tuple[str, str, str], Any] | None = None

    def get(self, cell: Cell, task: str) -> BenchmarkEnv:
        """Return the simulator of a task, building it if another one is held."""
        return self._hold(cell, task, cell.family.make)

    def get_batch(self, cell: Cell, task: str) -> BatchEnv:
        """Return the simulator of a task's batches, building it if another one is held."""
        return self._hold(cell, task, cell.family.make_batch)

    def _hold(
        self, cell: Cell, task: str, make: Callable[[str, str, Protocol], Simulator]
    ) -> Simulator:
        wanted = (cell.benchmark, task, cell.protocol.label)
        if self._held is None or self._held[0] != wanted:
            self.close()
            self._held = (wanted, make(cell.benchmark, task, cell.protocol))
        held: Simulator = self._held[1]
        return held

    def close(self) -> None:
        """Give the simulator back."""
        if self._held is not None:
            env, self._held = self._held[1], None
            with suppress(Exception):  # A broken one may throw again; its episodes are told of.
                env.close()
            # Simulators are full of cycles; the next one would be built beside 250 MiB of this.
            del env
            gc.collect()


class Worker:
    """Plays any episode of a plan, in this process or in one of its own."""

    def __init__(
        self,
        cells: Sequence[Cell],
        policies: Mapping[str, Policy],
        alive: Callable[[], None] = lambda: None,
    ) -> None:
        """Take what there is to play.

        Args:
            cells: The benchmarks.
            policies: The policies by their identity.
            alive: Called before everything that could hang.
        """
        self._cells = {(cell.benchmark, cell.protocol.label): cell for cell in cells}
        self._policies = policies
        self._alive = alive
        self._simulators = Simulators()

    def play(self, block: Block) -> list[Episode]:
        """Play a block; an error is retried with a fresh simulator, then recorded.

        The episodes of a block share its costs, as if they had been played one after the other.
        """
        retries, started, meter = 0, time.time(), Meter()
        while True:
            try:
                with meter.measure("total"):
                    episodes = self._attempt(block, meter)
                break
            except UsageError:
                raise
            except ImportError as error:
                # Every episode would meet it: the installation is at fault, the user mends it.
                raise UsageError(
                    f"{block.benchmark} cannot start ({_one_line(error)}); run: run_eval.py doctor"
                ) from error
            except Exception as error:  # noqa: BLE001 - whatever a simulator throws, it is no score
                self.close()
                if retries == RETRIES:
                    episodes = [failed_episode(spec, error) for spec in block.wanted]
                    break
                retries += 1
        return [
            self._stamped(episode, retries, started + index * share.wall["total"], share)
            for index, (episode, share) in enumerate(
                zip(episodes, meter.divided(len(episodes)), strict=True)
            )
        ]

    def close(self) -> None:
        """Give the simulator back, whatever state it is in."""
        self._simulators.close()

    def _attempt(self, block: Block, meter: Meter) -> list[Episode]:
        cell, policy = self._cells[block.benchmark, block.protocol], self._policies[block.policy]
        self._alive()
        if cell.protocol.batch > 1:
            with meter.measure("build"):
                batch = self._simulators.get_batch(cell, block.task)
            check_compatible(policy.spec, batch)
            return run_block(
                batch, policy, block, cell.instructions, cell.protocol, meter, self._alive
            )
        with meter.measure("build"):
            env = self._simulators.get(cell, block.task)
        check_compatible(policy.spec, env)
        (spec,) = block.specs
        control = Control(spec, cell.instructions)
        return [run_episode(env, policy, control, cell.protocol, meter, self._alive)]

    def _stamped(self, episode: Episode, retries: int, started: float, meter: Meter) -> Episode:
        spec = episode.record.spec
        versions = dict(self._cells[spec.benchmark, spec.protocol].family.versions()) | {
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
    """Return who this process is, unique within a cluster."""
    return f"{socket.gethostname()}:{os.getpid()}"


def failed_episode(spec: EpisodeSpec, error: Exception) -> Episode:
    """Return the record of an episode that the infrastructure could not finish."""
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
