"""The comparison of checkpoints: what each reached, in play and in training cost, as tables."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from tabulate import tabulate

from harness.errors import UsageError
from harness.report.figures import costs
from harness.report.markdown import percent, score
from harness.report.summary import summarise
from harness.run import Run
from policies.learned import LearnedPolicy
from policies.train.card import COST

HEADER = (
    *("benchmark", "policy", "control", "n", "success in %", "progress"),
    *("network runs", "ms a chunk", "training min"),
)


def comparison(checkpoints: Sequence[Path], runs: Sequence[Path]) -> pd.DataFrame:
    """Return a row for each checkpoint, arm and suite, as text.

    Args:
        checkpoints: Their folders, in the table's order; each is called as its folder.
        runs: Folders of runs.

    Raises:
        UsageError: Nothing was played by them, or a folder holds no checkpoint.
    """
    summary = summarise([Run.existing(run) for run in runs])
    suites = summary.level("suite").merge(
        costs(summary)[["policy", "suite", "protocol", "ms_chunk", "evaluations"]],
        on=["policy", "suite", "protocol"],
    )
    rows = [row for folder in checkpoints for row in _rows(folder, suites)]
    if not rows:
        raise UsageError("the runs have no episode of these checkpoints")
    frame = pd.DataFrame(rows, columns=HEADER)
    order = {name: place for place, name in enumerate(suites["suite"].unique())}
    return frame.sort_values("benchmark", key=lambda names: names.map(order), kind="stable")


def _rows(folder: Path, suites: pd.DataFrame) -> Iterator[tuple[str, ...]]:
    name = LearnedPolicy(str(folder)).spec.name
    minutes = f"{training_seconds(folder) / 60:.0f}"
    for row in suites[suites["policy"].str.partition("+")[0] == name].itertuples():
        told: Any = row
        yield (
            told.suite,
            folder.name,
            told.policy.partition("+")[2] or "-",
            f"{told.n}",
            percent(told.success, told.success_low, told.success_high),
            score(told.progress, told.progress_low, told.progress_high),
            f"{told.evaluations:.1f}",
            f"{told.ms_chunk:.0f}",
            minutes,
        )


def training_seconds(folder: Path) -> float:
    """Return how long a checkpoint was trained, that which it starts from left out.

    Raises:
        UsageError: It does not say.
    """
    try:
        cost: Mapping[str, Any] = json.loads((folder / COST).read_text())
        return float(cost["seconds"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{folder / COST} does not say what the training took") from error


def write_tables(frame: pd.DataFrame, out: Path) -> str:
    """Write the table as Markdown, CSV and LaTeX, and return the first."""
    out.mkdir(parents=True, exist_ok=True)
    rows = frame.to_numpy().tolist()
    shown = tabulate(rows, HEADER, tablefmt="github", disable_numparse=True) + "\n"
    tex = tabulate(rows, HEADER, tablefmt="latex_booktabs", disable_numparse=True) + "\n"
    (out / "heads.md").write_text(shown)
    (out / "heads.csv").write_text(frame.to_csv(index=False))
    (out / "heads.tex").write_text(tex)
    return shown
