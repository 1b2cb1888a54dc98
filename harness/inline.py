"""The inline backend: every episode in this process, where a debugger can follow it."""

import os
import platform
import socket
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from harness import __version__
from harness.environment import BenchmarkEnv
from harness.errors import UsageError
from harness.plan import Cell, Work
from harness.policy import check_compatible
from harness.record import EpisodeRecord
from harness.rollout import Episode, run_episode
from harness.spec import EpisodeSpec

RETRIES = 2
"""How often an episode is started again after an error of the infrastructure."""

LONGEST_REASON = 300
"""Characters of an error that a record keeps; the rest would only swell the log."""


class Simulators:
    """Keeps the last task's simulator, since building one takes seconds and a reset does not."""

    def __init__(self) -> None:
        """Start with none."""
        self._held: tuple[tuple[str, str, str], BenchmarkEnv] | None = None

    def get(self, cell: Cell, task: str) -> BenchmarkEnv:
        """Return the simulator of a task, building it if another one is held."""
        wanted = (cell.benchmark, task, cell.protocol.label)
        if self._held is None or self._held[0] != wanted:
            self.close()
            env = cell.family.make(cell.benchmark, task, cell.protocol)
            self._held = (wanted, env)
        return self._held[1]

    def close(self) -> None:
        """Give the simulator back."""
        if self._held is not None:
            env, self._held = self._held[1], None
            env.close()


def run_inline(work: Work, specs: Sequence[EpisodeSpec]) -> Iterator[Episode]:
    """Play the episodes in order; an error is retried with a fresh simulator, then recorded."""
    simulators = Simulators()
    try:
        for spec in specs:
            yield _try_episode(work, spec, simulators)
    finally:
        simulators.close()


def _try_episode(work: Work, spec: EpisodeSpec, simulators: Simulators) -> Episode:
    cell, policy = work.cell(spec), work.policies[spec.policy]
    retries = 0
    while True:
        try:
            env = simulators.get(cell, spec.task)
            check_compatible(policy.spec, env)
            episode = run_episode(env, policy, spec, cell.protocol)
            break
        except UsageError:
            raise
        except ImportError as error:
            # Every episode would meet it, so it is the installation's fault and the user's to mend.
            raise UsageError(
                f"{spec.benchmark} cannot start ({' '.join(str(error).split())}); "
                f"run: run_eval.py doctor"
            ) from error
        except Exception as error:  # noqa: BLE001 - whatever a simulator throws, it is not scored
            simulators.close()
            if retries == RETRIES:
                episode = failed_episode(spec, error)
                break
            retries += 1
    versions = dict(cell.family.versions()) | {
        "assay": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
    }
    worker = f"{socket.gethostname()}:{os.getpid()}"
    record = replace(episode.record, retries=retries, worker=worker, versions=versions)
    return Episode(record, episode.actions)


def failed_episode(spec: EpisodeSpec, error: Exception) -> Episode:
    """Return the record of an episode that the infrastructure could not finish."""
    message = f"{type(error).__name__}: {' '.join(str(error).split())}"
    record = EpisodeRecord(
        spec=spec,
        outcome="error",
        success=None,
        progress=None,
        subgoals={},
        steps=0,
        reason=message[:LONGEST_REASON],
        instruction="",
        actions_sha256=None,
        state_sha256=None,
    )
    return Episode(record, np.zeros((0, 0), np.float32))
