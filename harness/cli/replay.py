"""The command `replay`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from harness.backends.replay import Replayers, cell_of
from harness.cli.codes import EXIT_DIFFERENT
from harness.contracts.errors import UsageError
from harness.runs.folder import Run


@dataclass
class ReplayCommand:
    """Play one recorded episode again, check it against its record, and film it if asked."""

    run: Annotated[Path, tyro.conf.Positional]
    """The run's folder."""
    key: Annotated[str, tyro.conf.Positional]
    """The episode's key, or its first characters."""
    video: Path | None = None
    """Where to write an mp4."""

    def __call__(self) -> int:
        """Replay and compare."""
        run = Run.existing(self.run)
        record = run.find(self.key)
        if record.outcome == "error":
            raise UsageError(f"episode {record.spec.key} ended in an error; there is no replay")
        replayers = Replayers()
        differences = replayers.play(cell_of(record), run, record, self.video)
        replayers.close()
        for line in differences:
            print(f"DIFFERENT {line}")
        if not differences:
            print(f"identical: {record.outcome} after {record.steps} steps, {record.reason}")
        return EXIT_DIFFERENT if differences else 0
