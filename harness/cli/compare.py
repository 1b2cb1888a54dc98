"""The command `compare`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import pandas as pd
import tyro

from harness.contracts.errors import UsageError, require_known
from harness.report.compare import against_published, compare, markdown
from harness.report.frame import read_frame
from harness.runs.folder import Run, notes_of

PUBLISHED = "published:"
"""What starts the name of a paper's method where a run could stand."""


@dataclass
class CompareCommand:
    """Say whether one policy is better than another, on the same scenes where there are."""

    a: Annotated[str, tyro.conf.Positional]
    """A run's folder, or FOLDER:POLICY if it holds several."""
    b: Annotated[str, tyro.conf.Positional]
    """The same, or published:METHOD for what a paper prints, e.g. "published:π0.5"."""
    metric: Literal["success", "progress"] = "success"
    """What to compare."""
    force: bool = False
    """Compare across protocols too."""

    def __call__(self) -> int:
        """Print the comparison."""
        name, episodes = one_policy(self.a)
        if self.b.startswith(PUBLISHED):
            print("\n".join(against_published(episodes, self.b.removeprefix(PUBLISHED))))
            return 0
        other, others = one_policy(self.b)
        names = (name, other) if name != other else (f"{name} in {self.a}", f"{other} in {self.b}")
        places = compare(episodes, others, self.metric, self.force)
        print(markdown(places, names, self.metric))
        for label, note in sorted(notes_at(self.a) | notes_at(self.b)):
            print(f"- {label}: {note}.")
        return 0


def split(place: str) -> tuple[Path, str]:
    """Return the folder and the policy of FOLDER or FOLDER:POLICY; no policy is empty."""
    folder, colon, name = place.rpartition(":")
    return (Path(folder), name) if colon and not Path(place).exists() else (Path(place), "")


def notes_at(place: str) -> set[tuple[str, str]]:
    """Return what has to be said with the numbers of a run, and of which protocol."""
    path, _ = split(place)
    return set(notes_of(Run.existing(path).facts).items())


def one_policy(place: str) -> tuple[str, pd.DataFrame]:
    """Return the episodes of the one policy that FOLDER or FOLDER:POLICY names."""
    path, name = split(place)
    episodes = read_frame([Run.existing(path)])
    policies = sorted(episodes["policy"].unique())
    if path == Path(place):
        if len(policies) != 1:
            raise UsageError(f"{place} holds {len(policies)} policies: write {place}:POLICY")
        name = policies[0]
    require_known(f"policy of {path}", name, policies)
    return name, episodes[episodes["policy"] == name]
