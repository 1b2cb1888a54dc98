"""The command `replay`."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from harness.cli.codes import EXIT_DIFFERENT
from harness.contracts.errors import UsageError

if TYPE_CHECKING:
    from harness.contracts.record import EpisodeRecord
    from harness.runs.folder import Run


@dataclass
class ReplayCommand:
    """Replay a recorded episode and compare it with its record; write a video if asked."""

    run: Annotated[Path, tyro.conf.Positional]
    """The run's folder."""
    key: Annotated[str, tyro.conf.Positional] = ""
    """The episode's key, or its first characters. Or give --policy, --task and --episode."""
    policy: str = ""
    """The policy's name in tables, with or without its digest. Default: the only one."""
    benchmark: str = ""
    """The benchmark. Default: the only one."""
    task: str = ""
    """The task's name or number. Default: the only one."""
    episode: int | None = None
    """The episode's number in the task."""
    video: Path | None = None
    """The mp4 file to write."""

    def __call__(self) -> int:
        """Replay and compare."""
        from harness.backends.replay import recorded_setup
        from harness.backends.replayers import Replayers
        from harness.runs.folder import Run

        run = Run.existing(self.run)
        record = self._record(run)
        if record.outcome == "error":
            raise UsageError(f"episode {record.spec.key} ended in an error; there is no replay")
        with Replayers() as replayers:
            differences = replayers.play(recorded_setup(run, record), run, record, self.video)
        for line in differences:
            print(f"DIFFERENT {line}")
        if not differences:
            print(f"identical: {record.outcome} after {record.steps} steps, {record.reason}")
        return EXIT_DIFFERENT if differences else 0

    def _record(self, run: "Run") -> "EpisodeRecord":
        from harness.runs.find import find_episode

        named = self.policy or self.benchmark or self.task
        if self.key:
            if named or self.episode is not None:
                raise UsageError("give the key, or --policy, --task and --episode, not both")
            return run.find(self.key)
        if self.episode is None:
            raise UsageError("name the episode: by its key, or by --policy, --task and --episode")
        return find_episode(run, self.policy, self.task, self.episode, self.benchmark)
