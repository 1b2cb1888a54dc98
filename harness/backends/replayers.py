"""Replays episodes of any benchmark, each in the Python environment that it needs."""

from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from harness.backends.replay import Replayer
from harness.contracts.record import EpisodeRecord
from harness.contracts.setup import BenchmarkSetup
from harness.runs.folder import Run

if TYPE_CHECKING:
    from harness.backends.ray.remote_replayer import RemoteReplayer


class Replayers:
    """A context manager; it closes the simulators and any Ray that it started."""

    def __init__(self) -> None:
        """Start with the replayer of this process."""
        self._here = Replayer()
        self._remote: dict[str, RemoteReplayer] = {}

    def __enter__(self) -> Self:
        """Return the replayers."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close everything."""
        self._here.close()
        # The first one may have started the Ray that the others use, so it is closed last.
        for replayer in reversed(self._remote.values()):
            replayer.close()

    def play(
        self, setup: BenchmarkSetup, run: Run, record: EpisodeRecord, video: Path | None = None
    ) -> list[str]:
        """Replay an episode as `Replayer.play` does."""
        if setup.family.venv is None:
            return self._here.play(setup, run, record, video)
        interpreter = str(setup.family.venv.interpreter)
        if interpreter not in self._remote:
            from harness.backends.ray.remote_replayer import RemoteReplayer

            self._remote[interpreter] = RemoteReplayer(interpreter)
        return self._remote[interpreter].play(setup, run, record, video)
