"""The command `merge`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from harness.contracts.errors import UsageError


@dataclass
class MergeCommand:
    """Join the folders of runs into a new one, for example after several machines ran parts."""

    out: Annotated[Path, tyro.conf.Positional]
    """The new folder."""
    runs: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """The runs' folders."""

    def __call__(self) -> int:
        """Merge the runs."""
        from harness.runs.folder import Run
        from harness.runs.merge import merge

        if len(self.runs) < 2:
            raise UsageError("name the new folder, and at least two folders of runs")
        merged = merge(self.out, [Run.existing(path) for path in self.runs])
        print(f"{len(merged.records())} episodes are in {merged.path}")
        return 0
