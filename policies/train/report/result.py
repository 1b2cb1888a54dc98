"""Writes the results of runs into the pages of checkpoints."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from harness.contracts.atomic import atomic_file
from harness.contracts.errors import UsageError
from harness.report.markdown import by_task, footnote
from harness.report.summary import summarise
from harness.runs.folder import Run
from policies.learned import LearnedPolicy
from policies.train.report.page import PAGE

_HEADING = "\n## Result\n"


def write_result(folder: Path, runs: Sequence[Path]) -> str:
    """Replace the results on a checkpoint's page, and return their table.

    Args:
        folder: The checkpoint's folder.
        runs: Folders of runs; other policies in them are ignored.

    Raises:
        UsageError: There is no page, or no episode of this checkpoint.
        StorageError: The disk is full or gone.
    """
    summary = summarise([Run.existing(run) for run in runs])
    name = LearnedPolicy(str(folder)).spec.name
    # With other head options, the weights are still this checkpoint's.
    own = summary.rows[summary.rows["policy"].map(_identity) == _identity(name)]
    if own.empty or not (folder / PAGE).is_file():
        raise UsageError(f"{folder} has no {PAGE}, or the runs have no episode of {name}")
    table = by_task(replace(summary, rows=own))
    notes = "\n".join(f"- {line}" for line in footnote(summary))
    page = (folder / PAGE).read_text().partition(_HEADING)[0]
    with atomic_file(folder / PAGE) as file:
        file.write(f"{page}{_HEADING}\n{table}\n\n{notes}\n".encode())
    return table


def _identity(player: str) -> str:
    """Return the digest in a name such as ``flow,steps=3@1a2b (no-image)``."""
    return player.partition(" (")[0].rpartition("@")[2]
