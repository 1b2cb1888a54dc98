"""Replays episodes in another Python environment: an actor there runs a `Replayer`."""

from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayTaskError

from harness.backends.ray.backend import connect, disconnect
from harness.backends.ray.options import RayOptions
from harness.backends.ray.remote_policy import cause
from harness.backends.replay import Replayer
from harness.contracts.record import EpisodeRecord
from harness.contracts.setup import BenchmarkSetup
from harness.runs.folder import Run


class RemoteReplayer:
    """Replays episodes in the Python program `interpreter`."""

    def __init__(self, interpreter: str) -> None:
        """Start the actor, and Ray if it is not running."""
        self._started = connect(RayOptions(workers=1))
        make: Any = ray.remote(Replayer)
        self._actor = make.options(num_cpus=1, runtime_env={"py_executable": interpreter}).remote()

    def play(
        self, setup: BenchmarkSetup, run: Run, record: EpisodeRecord, video: Path | None
    ) -> list[str]:
        """Replay an episode as `Replayer.play` does."""
        # The actor has another working directory.
        there = Run(run.path.absolute())
        film = None if video is None else video.absolute()
        try:
            differences: list[str] = ray.get(self._actor.play.remote(setup, there, record, film))
        except RayTaskError as error:
            raise cause(error) from error
        return differences

    def close(self) -> None:
        """Stop the actor, and Ray if this started it."""
        ray.kill(self._actor)
        if self._started:
            disconnect()
