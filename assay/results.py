"""The results of a run: its episodes and its summary as tables."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.contracts.errors import UsageError, require_known
from harness.runs.folder import Run

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Results:
    """The episodes of some policies in a run's folder.

    Attributes:
        path: The folder.
        players: The policies, each with its ablation if it has one, as tables name them.
    """

    path: Path
    players: tuple[str, ...]

    def episodes(self) -> "pd.DataFrame":
        """Return a row for each episode: the scene, `success` as True or False, steps and more.

        `success` is missing for an error. See `harness.report.frame.episodes_frame`.
        """
        from harness.report.frame import episodes_frame

        return self._mine(episodes_frame([self._run]))

    def summary(self) -> "pd.DataFrame":
        """Return a row for each task and suite: n, the success rate, and its 95 % interval.

        Rates are from 0 to 1. See `harness.report.summary.summary_frame`.
        """
        from harness.report.summary import summary_frame

        return self._mine(summary_frame([self._run]))

    @property
    def complete(self) -> bool:
        """Whether every wanted episode of these policies has a score."""
        rows = self.summary()
        tasks = rows[rows["level"] == "task"]
        return not (tasks["errors"] + tasks["missing"]).any()

    def select(self, player: str) -> "Results":
        """Return the results of one policy; its name may lack the digest.

        Raises:
            UsageError: The name fits no policy, or several.
        """
        from harness.report.labels import without_digest

        fitting = [name for name in self.players if player in (name, without_digest(name))]
        if not fitting:
            require_known(f"policy of {self.path}", player, self.players)
        if len(fitting) > 1:
            raise UsageError(f"{player!r} fits several policies: {', '.join(fitting)}")
        return replace(self, players=tuple(fitting))

    @property
    def _run(self) -> Run:
        return Run.existing(self.path)

    def _mine(self, frame: "pd.DataFrame") -> "pd.DataFrame":
        from harness.contracts.spec import player_name

        names = zip(frame["policy"], frame["ablation"], strict=True)
        mine = [player_name(policy, ablation) in self.players for policy, ablation in names]
        return frame[mine].reset_index(drop=True)


def load(folder: str | Path) -> Results:
    """Return the results of all policies in a run's folder.

    Raises:
        UsageError: The folder holds no run.
    """
    run = Run.existing(Path(folder))
    players: Sequence[str] = run.facts["players"]
    return Results(run.path, tuple(players))
