"""The command `compare`."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from harness.cli.codes import EXIT_INCOMPLETE, EXIT_REGRESSION
from harness.cli.run_names import choose_policy, split_run
from harness.contracts.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

    from harness.report.compare import ComparedTasks
    from harness.runs.folder import Run

_PUBLISHED = "published:"
"""Prefix that marks a published method instead of a run."""


@dataclass
class CompareCommand:
    """Test whether one policy is better than another. Scenes that both played are paired."""

    a: Annotated[str, tyro.conf.Positional]
    """A run: FOLDER, or FOLDER:POLICY if the run has several policies. POLICY may lack the digest,
    or be the start of the name."""
    b: Annotated[str, tyro.conf.Positional]
    """Another run, or published:METHOD for a paper's numbers, e.g. "published:π0.5"."""
    metric: Literal["success", "progress"] = "success"
    """The score to compare."""
    force: bool = False
    """Compare even if the protocols differ."""
    fail_on_regression: bool = False
    """Exit with 5 if the first policy is significantly worse than the second, the baseline, and
    with 3 if planned episodes of either have no score."""
    per_task: bool = False
    """With --fail-on-regression: judge each task, Holm-corrected, instead of the mean over them."""

    def __call__(self) -> int:
        """Print the table and the verdict."""
        from harness.report.compare import against_published, compare_runs, comparison_table

        if self.per_task and not self.fail_on_regression:
            raise UsageError("--per-task needs --fail-on-regression")
        one = _Played.named(self.a)
        if self.b.startswith(_PUBLISHED):
            if self.fail_on_regression:
                raise UsageError("--fail-on-regression needs two runs, not published numbers")
            print("\n".join(against_published(one.episodes, self.b.removeprefix(_PUBLISHED))))
            return 0
        two = _Played.named(self.b)
        names = (one.name, two.name)
        if one.name == two.name:
            names = f"{one.name} in {self.a}", f"{two.name} in {self.b}"
        compared = compare_runs(one.episodes, two.episodes, self.metric, self.force)
        print(comparison_table(compared, names, self.metric))
        for note in dict.fromkeys(
            (*_omitted(one, two), *one.notes(names[0]), *two.notes(names[1]))
        ):
            print(f"- {note}")
        if not self.fail_on_regression:
            return 0
        if one.missing or two.missing:
            print("Regression check: refused, because planned episodes have no score.")
            return EXIT_INCOMPLETE
        return self._check(compared)

    def _check(self, compared: "list[ComparedTasks]") -> int:
        """Print the result of the regression check, and return the exit code."""
        from harness.report.regression import detectable_sentences, judged_rows, regressions

        rows = judged_rows(compared, self.per_task)
        worse = regressions(rows)
        result = f"worse in {', '.join(worse)}" if worse else "no regression found"
        print(f"Regression check: {result}.")
        for sentence in detectable_sentences(rows, self.metric):
            print(f"- {sentence}")
        return EXIT_REGRESSION if worse else 0


@dataclass(frozen=True)
class _Played:
    """The episodes of one policy in one run."""

    run: "Run"
    name: str
    episodes: "pd.DataFrame"
    wanted: int

    @classmethod
    def named(cls, text: str) -> "_Played":
        """Read FOLDER or FOLDER:POLICY."""
        from harness.report.frame import read_frame, wanted_cells
        from harness.runs.folder import Run

        folder, given = split_run(text)
        run = Run.existing(folder)
        episodes, wanted = read_frame([run]), wanted_cells([run])
        name = choose_policy(folder, given, sorted(episodes["policy"].unique()))
        mine = wanted.loc[wanted["policy"] == name, "wanted"]
        return cls(run, name, episodes[episodes["policy"] == name], int(mine.sum()))

    @property
    def missing(self) -> int:
        """Planned episodes without a score."""
        return max(0, self.wanted - int((self.episodes["outcome"] != "error").sum()))

    @property
    def tasks(self) -> set[tuple[str, str]]:
        """The tasks with episodes."""
        tasks = self.episodes[["benchmark", "task"]].astype(str)
        return set(tasks.itertuples(index=False, name=None))

    def notes(self, name: str) -> Iterator[str]:
        """Yield what a reader must know about these episodes."""
        from harness.report.alerts import fast_batches
        from harness.report.frame import refused_lines
        from harness.runs.folder import notes_of

        yield from (f"WARNING: {text}" for text in refused_lines([self.run]))
        if self.missing:
            yield f"{name}: {self.missing} of {self.wanted} planned episodes have no score."
        if any(plan.get("stop_when_decided") for plan in self.run.plans):
            yield (
                f"{self.run.path} stops as soon as a policy is significantly better. Intervals and "
                "tests above do not allow for that; its report has the sequential test."
            )
        for note in fast_batches(self.episodes):
            yield f"{name}: {note}"
        for label, note in sorted(notes_of(self.run.facts).items()):
            yield f"{label}: {note}."


def _omitted(one: _Played, two: _Played) -> Iterator[str]:
    """Yield how many tasks only one policy played."""
    apart = one.tasks ^ two.tasks
    if apart:
        first = " ".join(min(apart))
        yield f"Tasks that only one policy played are left out: {len(apart)}, e.g. {first}."
