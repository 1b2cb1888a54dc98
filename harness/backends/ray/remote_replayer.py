"""Replays in another Python environment: an actor there does what `Replayer` does here."""

from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayTaskError

from harness.backends.ray.backend import connect
from harness.backends.ray.options import RayOptions
from harness.backends.ray.remote_policy import cause
from harness.backends.replay import Replayer
from harness.contracts.record import EpisodeRecord
from harness.runs.folder import Run
from harness.runs.plan import Cell


class RemoteReplayer:
    """Plays recorded episodes again in the program `interpreter`."""

    def __init__(self, interpreter: str) -> None:
        """Start the actor, and Ray if nobody has."""
        self._started = connect(RayOptions(workers=1))
        make: Any = ray.remote(Replayer)
        self._actor = make.options(num_cpus=1, runtime_env={"py_executable": interpreter}).remote()

    def play(self, cell: Cell, run: Run, record: EpisodeRecord, video: Path | None) -> list[str]:
        """Play one as `Replayer.play` does."""
        # Not as it is: an actor's current folder is its own.
        there = Run(run.path.absolute())
        film = None if video is None else video.absolute()
        try:
            differences: list[str] = ray.get(self._actor.play.remote(cell, there, record, film))
        except RayTaskError as error:
            raise cause(error) from error
        return differences

    def close(self) -> None:
        """End the actor, and Ray if it was started for it."""
        ray.kill(self._actor)
        if self._started:
            ray.shutdown()
