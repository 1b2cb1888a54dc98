"""Tables that compare checkpoints: success, time per chunk, and time of training."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from tabulate import tabulate

from harness.contracts.ablation import ABLATIONS
from harness.contracts.errors import UsageError
from harness.contracts.spec import player_name
from harness.report.chart_data import policy_costs
from harness.report.markdown import percent, score
from harness.report.summary import summarise
from harness.runs.folder import Run
from policies.learned import LearnedPolicy, split_options
from policies.train.report.page import COST_FILE

_HEADER = (
    *("benchmark", "policy", "ablation", "n", "success in %", "progress"),
    *("network runs", "ms a chunk", "training min"),
)


def comparison(checkpoints: Sequence[str], runs: Sequence[Path]) -> pd.DataFrame:
    """Return a row, as text, for each checkpoint, ablation and suite.

    Args:
        checkpoints: Their folders, in the table's order, each with changed options after a comma,
            as for `--policy`. The folder's name is the policy's name in the table.
        runs: Folders of runs.

    Raises:
        UsageError: The runs have no episode of these policies, or a folder has no checkpoint.
    """
    summary = summarise([Run.existing(run) for run in runs])
    suites = summary.level("suite").merge(
        policy_costs(summary)[["policy", "suite", "protocol", "ms_chunk", "evaluations"]],
        on=["policy", "suite", "protocol"],
    )
    rows = [row for checkpoint in checkpoints for row in _rows(checkpoint, suites)]
    if not rows:
        raise UsageError("the runs have no episode of these checkpoints")
    frame = pd.DataFrame(rows, columns=_HEADER)
    order = {name: place for place, name in enumerate(suites["suite"].unique())}
    return frame.sort_values("benchmark", key=lambda names: names.map(order), kind="stable")


def _rows(checkpoint: str, suites: pd.DataFrame) -> Iterator[tuple[str, ...]]:
    minutes = f"{_training_seconds(split_options(checkpoint)[0]) / 60:.0f}"
    policy = LearnedPolicy(checkpoint).spec.name
    ablations = {player_name(policy, ablation): ablation for ablation in ("", *ABLATIONS)}
    for result in suites[suites["policy"].isin(ablations)].itertuples():
        row: Any = result
        yield (
            row.suite,
            Path(checkpoint).name,
            ablations[row.policy] or "-",
            f"{row.n}",
            percent(row.success, row.success_low, row.success_high),
            score(row.progress, row.progress_low, row.progress_high),
            f"{row.evaluations:.1f}",
            f"{row.ms_chunk:.0f}",
            minutes,
        )


def _training_seconds(folder: Path) -> float:
    """Return the time of a checkpoint's training, without that of the one it started from.

    Raises:
        UsageError: `cost.json` cannot be read.
    """
    try:
        cost: Mapping[str, Any] = json.loads((folder / COST_FILE).read_text())
        return float(cost["seconds"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"cannot read the time of the training from {folder / COST_FILE}"
        ) from error


def write_tables(frame: pd.DataFrame, out: Path) -> str:
    """Write the table as Markdown, CSV and LaTeX, and return the Markdown."""
    out.mkdir(parents=True, exist_ok=True)
    rows = frame.to_numpy().tolist()
    markdown = tabulate(rows, _HEADER, tablefmt="github", disable_numparse=True) + "\n"
    latex = tabulate(rows, _HEADER, tablefmt="latex_booktabs", disable_numparse=True) + "\n"
    (out / "heads.md").write_text(markdown)
    (out / "heads.csv").write_text(frame.to_csv(index=False))
    (out / "heads.tex").write_text(latex)
    return markdown
