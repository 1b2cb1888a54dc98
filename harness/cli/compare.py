"""The command `compare`."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from harness.contracts.errors import UsageError, require_known

if TYPE_CHECKING:
    import pandas as pd

_PUBLISHED = "published:"
"""Prefix that marks a published method instead of a run."""


@dataclass
class CompareCommand:
    """Test whether one policy is better than another. Scenes that both played are paired."""

    a: Annotated[str, tyro.conf.Positional]
    """A run: FOLDER, or FOLDER:POLICY if the run has several policies."""
    b: Annotated[str, tyro.conf.Positional]
    """Another run, or published:METHOD for a paper's numbers, e.g. "published:π0.5"."""
    metric: Literal["success", "progress"] = "success"
    """The score to compare."""
    force: bool = False
    """Compare even if the protocols differ."""

    def __call__(self) -> int:
        """Print the table and the verdict."""
        from harness.report.compare import against_published, compare_runs, comparison_table

        name, episodes = _episodes_of(self.a)
        if self.b.startswith(_PUBLISHED):
            print("\n".join(against_published(episodes, self.b.removeprefix(_PUBLISHED))))
            return 0
        other, others = _episodes_of(self.b)
        names = (name, other) if name != other else (f"{name} in {self.a}", f"{other} in {self.b}")
        compared = compare_runs(episodes, others, self.metric, self.force)
        print(comparison_table(compared, names, self.metric))
        for label, note in sorted(_protocol_notes(self.a) | _protocol_notes(self.b)):
            print(f"- {label}: {note}.")
        return 0


def _split_run(run: str) -> tuple[Path, str]:
    """Split FOLDER:POLICY; the policy is empty if only FOLDER is given."""
    folder, colon, name = run.rpartition(":")
    return (Path(folder), name) if colon and not Path(run).exists() else (Path(run), "")


def _protocol_notes(run: str) -> set[tuple[str, str]]:
    """Return the notes of a run's protocols, as pairs of label and note."""
    from harness.runs.folder import Run, notes_of

    path, _ = _split_run(run)
    return set(notes_of(Run.existing(path).facts).items())


def _episodes_of(run: str) -> tuple[str, "pd.DataFrame"]:
    """Return the policy's name and its episodes."""
    from harness.report.frame import read_frame
    from harness.runs.folder import Run

    path, name = _split_run(run)
    episodes = read_frame([Run.existing(path)])
    policies = sorted(episodes["policy"].unique())
    if not policies:
        raise UsageError(f"{path} has no episodes yet")
    if path == Path(run):
        if len(policies) != 1:
            raise UsageError(
                f"{run} holds {len(policies)} policies: choose one with {run}:POLICY, one of "
                f"{', '.join(policies)}"
            )
        name = policies[0]
    require_known(f"policy of {path}", name, policies)
    return name, episodes[episodes["policy"] == name]
