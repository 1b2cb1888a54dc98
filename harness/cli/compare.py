"""The command `compare`."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from harness.contracts.errors import UsageError, require_known

if TYPE_CHECKING:
    import pandas as pd

PUBLISHED_PREFIX = "published:"
"""The prefix of a paper's method in the place of a run."""


@dataclass
class CompareCommand:
    """Say whether one policy is better than another; scenes that both played are paired."""

    a: Annotated[str, tyro.conf.Positional]
    """A run's folder, or FOLDER:POLICY if the run has several policies."""
    b: Annotated[str, tyro.conf.Positional]
    """The same, or published:METHOD for a paper's numbers, e.g. "published:π0.5"."""
    metric: Literal["success", "progress"] = "success"
    """The score to compare."""
    force: bool = False
    """Compare results of different protocols too."""

    def __call__(self) -> int:
        """Print the comparison."""
        from harness.report.compare import against_published, compare_runs, comparison_table

        name, episodes = one_policy(self.a)
        if self.b.startswith(PUBLISHED_PREFIX):
            print("\n".join(against_published(episodes, self.b.removeprefix(PUBLISHED_PREFIX))))
            return 0
        other, others = one_policy(self.b)
        names = (name, other) if name != other else (f"{name} in {self.a}", f"{other} in {self.b}")
        compared = compare_runs(episodes, others, self.metric, self.force)
        print(comparison_table(compared, names, self.metric))
        for label, note in sorted(notes_at(self.a) | notes_at(self.b)):
            print(f"- {label}: {note}.")
        return 0


def split_place(place: str) -> tuple[Path, str]:
    """Return the folder and the policy of FOLDER or FOLDER:POLICY; no policy is empty."""
    folder, colon, name = place.rpartition(":")
    return (Path(folder), name) if colon and not Path(place).exists() else (Path(place), "")


def notes_at(place: str) -> set[tuple[str, str]]:
    """Return the notes of a run's protocols, as pairs of label and note."""
    from harness.runs.folder import Run, notes_of

    path, _ = split_place(place)
    return set(notes_of(Run.existing(path).facts).items())


def one_policy(place: str) -> tuple[str, "pd.DataFrame"]:
    """Return the name and the episodes of the policy that FOLDER or FOLDER:POLICY names."""
    from harness.report.frame import read_frame
    from harness.runs.folder import Run

    path, name = split_place(place)
    episodes = read_frame([Run.existing(path)])
    policies = sorted(episodes["policy"].unique())
    if path == Path(place):
        if len(policies) != 1:
            raise UsageError(f"{place} holds {len(policies)} policies: write {place}:POLICY")
        name = policies[0]
    require_known(f"policy of {path}", name, policies)
    return name, episodes[episodes["policy"] == name]
