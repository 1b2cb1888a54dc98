"""The command `replay`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from harness.cli.codes import EXIT_DIFFERENT
from harness.contracts.errors import UsageError


@dataclass
class ReplayCommand:
    """Replay a recorded episode and compare it with its record; write a video if asked."""

    run: Annotated[Path, tyro.conf.Positional]
    """The run's folder."""
    key: Annotated[str, tyro.conf.Positional]
    """The episode's key, or its first characters."""
    video: Path | None = None
    """The mp4 file to write."""

    def __call__(self) -> int:
        """Replay and compare."""
        from harness.backends.replay import recorded_setup
        from harness.backends.replayers import Replayers
        from harness.runs.folder import Run

        run = Run.existing(self.run)
        record = run.find(self.key)
        if record.outcome == "error":
            raise UsageError(f"episode {record.spec.key} ended in an error; there is no replay")
        with Replayers() as replayers:
            differences = replayers.play(recorded_setup(record), run, record, self.video)
        for line in differences:
            print(f"DIFFERENT {line}")
        if not differences:
            print(f"identical: {record.outcome} after {record.steps} steps, {record.reason}")
        return EXIT_DIFFERENT if differences else 0
