"""A policy that replays recorded actions, to check that an environment is deterministic."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from harness.contracts.environment import BenchmarkEnv
from harness.contracts.errors import UsageError
from harness.contracts.policy import ActionChunk, Policy, PolicySpec, Query
from harness.contracts.record import EpisodeRecord
from harness.contracts.spec import EpisodeSpec, digest
from harness.runs.folder import Run


class ReplayPolicy(Policy):
    """Replays the actions of a recorded run on the same scenes."""

    source = "RUN_FOLDER"
    """The command line's syntax after ``replay:``."""

    needs_env = True
    errors_may_pass = True

    def __init__(self, source: str) -> None:
        """Read the run's records.

        Raises:
            UsageError: The run does not exist, or several policies played the same scene.
        """
        self._run = Run.existing(Path(source))
        self._by_scene: dict[str, EpisodeRecord] = {}
        for record in self._run.records().values():
            if self._by_scene.setdefault(record.spec.scene, record) is not record:
                raise UsageError(f"{source} has several policies; replay needs a run of one policy")
        hashes = {r.spec.key: r.actions_sha256 for r in self._by_scene.values()}
        self.spec = PolicySpec(f"replay@{digest(hashes)[:10]}")

    def missing(self, specs: Iterable[EpisodeSpec]) -> str | None:
        """Return a message about the first scene without recorded actions, or None."""
        for spec in specs:
            record = self._by_scene.get(spec.scene)
            if record is None or record.outcome == "error":
                return (
                    f"{self._run.path} has no actions for {spec.benchmark} {spec.task} "
                    f"episode {spec.episode} with seed {spec.seed} and {spec.protocol}"
                )
        return None

    def begin(self, env: BenchmarkEnv, spec: EpisodeSpec) -> None:
        """Load the actions that were recorded on the scene."""
        self._env = env
        self._actions = self._run.actions(self._by_scene[spec.scene].spec.key)

    def infer(self, queries: Sequence[Query]) -> Sequence[ActionChunk]:
        """Return the remaining actions, or the idle action after the last one."""
        rest = self._actions[self._env.steps :]
        return [rest if len(rest) else self._env.idle_action[np.newaxis]]
