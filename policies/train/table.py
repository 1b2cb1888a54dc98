"""What runs found of checkpoints: on their pages, and side by side with what they cost."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
from tabulate import tabulate

from harness.contracts.ablation import arm_of
from harness.contracts.errors import UsageError
from harness.demonstrations.parts import whole_file
from harness.report.figures import costs
from harness.report.markdown import by_task, footnote, percent, score
from harness.report.summary import summarise
from harness.runs.folder import Run
from policies.learned import LearnedPolicy, named
from policies.train.card import CARD, COST

RESULT = "\n## Result\n"

HEADER = (
    *("benchmark", "policy", "control", "n", "success in %", "progress"),
    *("network runs", "ms a chunk", "training min"),
)


def tell_result(folder: Path, runs: Sequence[Path]) -> str:
    """Write on a checkpoint's page what runs found of it, in place of what was there; return it.

    Args:
        folder: The checkpoint's.
        runs: Folders of runs; those of other policies are passed over.

    Raises:
        UsageError: There is no page, or no episode of this checkpoint.
        StorageError: The disk is full or gone.
    """
    summary = summarise([Run.existing(run) for run in runs])
    name = LearnedPolicy(str(folder)).spec.name
    identity = name.rpartition("@")[2]
    # Under other options, too: its weights are what the page is about.
    whose = summary.rows["policy"].map(lambda each: without_arm(each).rpartition("@")[2])
    mine = summary.rows[whose == identity]
    if mine.empty or not (folder / CARD).is_file():
        raise UsageError(f"{folder} has no {CARD}, or the runs have no episode of {name}")
    found = by_task(replace(summary, rows=mine))
    said = "\n".join(f"- {line}" for line in footnote(summary))
    page = (folder / CARD).read_text().partition(RESULT)[0]
    with whole_file(folder / CARD) as file:
        file.write(f"{page}{RESULT}\n{found}\n\n{said}\n".encode())
    return found


def without_arm(policy: str) -> str:
    """Return whose arm a policy's name is of; its own where it is none."""
    return policy.removesuffix(f"+{arm_of(policy)}")


def comparison(checkpoints: Sequence[str], runs: Sequence[Path]) -> pd.DataFrame:
    """Return a row for each checkpoint, arm and suite, as text.

    Args:
        checkpoints: Their folders, in the table's order, with the options that were changed behind
            a comma, as for `--policy`; each is called as its folder.
        runs: Folders of runs.

    Raises:
        UsageError: Nothing was played by them, or a folder holds no checkpoint.
    """
    summary = summarise([Run.existing(run) for run in runs])
    suites = summary.level("suite").merge(
        costs(summary)[["policy", "suite", "protocol", "ms_chunk", "evaluations"]],
        on=["policy", "suite", "protocol"],
    )
    rows = [row for checkpoint in checkpoints for row in _rows(checkpoint, suites)]
    if not rows:
        raise UsageError("the runs have no episode of these checkpoints")
    frame = pd.DataFrame(rows, columns=HEADER)
    order = {name: place for place, name in enumerate(suites["suite"].unique())}
    return frame.sort_values("benchmark", key=lambda names: names.map(order), kind="stable")


def _rows(checkpoint: str, suites: pd.DataFrame) -> Iterator[tuple[str, ...]]:
    minutes = f"{training_seconds(named(checkpoint)[0]) / 60:.0f}"
    name = LearnedPolicy(checkpoint).spec.name
    for row in suites[suites["policy"].map(without_arm) == name].itertuples():
        told: Any = row
        yield (
            told.suite,
            Path(checkpoint).name,
            arm_of(told.policy) or "-",
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
