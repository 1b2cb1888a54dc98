"""Turns a run's log into tables: one row a task, one a benchmark, each with its interval."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from statsmodels.stats.proportion import proportion_confint
from tabulate import tabulate

from harness.record import EpisodeRecord
from harness.run import Run

CONFIDENCE = 0.95
GROUP = ["policy", "benchmark", "protocol"]
ALL_TASKS = "all"


@dataclass(frozen=True)
class Report:
    """A run's tables.

    Attributes:
        summary: A row for each policy, benchmark and task, and one for all tasks of a benchmark.
        footnote: Protocols, seeds, versions and what is missing, in sentences.
        complete: Whether every wanted episode has a score.
    """

    summary: pd.DataFrame
    footnote: tuple[str, ...]
    complete: bool

    def overall(self) -> pd.DataFrame:
        """Return the rows that cover all tasks of a benchmark."""
        return self.summary[self.summary["task"] == ALL_TASKS]

    def markdown(self) -> str:
        """Return both tables as GitHub's Markdown."""
        parts = [
            "# Results",
            _as_markdown(self.overall().drop(columns=["index", "task"])),
            "## By task",
            _as_markdown(self.summary[self.summary["task"] != ALL_TASKS].drop(columns="protocol")),
            "\n".join(f"- {line}" for line in self.footnote),
        ]
        return "\n\n".join(parts) + "\n"

    def write(self, folder: Path) -> None:
        """Write `summary.csv` and `summary.md`."""
        folder.mkdir(parents=True, exist_ok=True)
        self.summary.to_csv(folder / "summary.csv", index=False, float_format="%.6g")
        (folder / "summary.md").write_text(self.markdown())


def make_report(run: Run) -> Report:
    """Build the report of a run, complete or not."""
    facts, records = run.facts, run.records()
    wanted = _wanted(facts)
    scores = _scores(records)
    joined = wanted.merge(scores, how="left", on=[*GROUP, "task", "episode"])
    rows = []
    for keys, group in joined.groupby([*GROUP, "index", "task"], sort=False):
        rows.append(dict(zip([*GROUP, "index", "task"], keys, strict=True)) | _cell(group))
    for keys, group in joined.groupby(GROUP, sort=False):
        name = dict(zip(GROUP, keys, strict=True))
        rows.append(name | {"index": -1, "task": ALL_TASKS} | _cell(group))
    summary = pd.DataFrame(rows).sort_values([*GROUP, "index"], ignore_index=True)
    scored = int(summary.loc[summary["task"] == ALL_TASKS, "n"].sum())
    return Report(summary, tuple(_footnote(facts, len(wanted), scored)), scored == len(wanted))


def _wanted(facts: Mapping[str, Any]) -> pd.DataFrame:
    """Return a row for every episode of the plan."""
    order = facts["task_order"]
    labels = {label.partition("@")[0]: label for label in facts["protocols"]}
    rows = []
    for request in facts["plan"]["benchmarks"]:
        label = next(
            full for name, full in labels.items() if name.partition("/")[2] == request["protocol"]
        )
        for policy in facts["policies"]:
            for task in request["tasks"]:
                index = order[request["name"]].index(task)
                for episode in range(facts["plan"]["episodes"]):
                    rows.append((policy, request["name"], label, index, task, episode))
    return pd.DataFrame(rows, columns=[*GROUP, "index", "task", "episode"])


def _scores(records: Mapping[str, EpisodeRecord]) -> pd.DataFrame:
    """Return a row for every record."""
    columns = [*GROUP, "task", "episode", "outcome", "progress", "steps"]
    rows = [
        [
            *(getattr(record.spec, name) for name in (*GROUP, "task", "episode")),
            record.outcome,
            record.progress,
            record.steps,
        ]
        for record in records.values()
    ]
    return pd.DataFrame(rows, columns=columns)


def _cell(group: pd.DataFrame) -> dict[str, Any]:
    """Return n, errors, success with its Wilson interval, process score and steps of a cell."""
    scored = group[group["outcome"].isin(["success", "failure"])]
    n = len(scored)
    successes = int((scored["outcome"] == "success").sum())
    low, high = (
        proportion_confint(successes, n, alpha=1 - CONFIDENCE, method="wilson")
        if n
        else (float("nan"), float("nan"))
    )
    return {
        "n": n,
        "errors": int((group["outcome"] == "error").sum()),
        "missing": int(group["outcome"].isna().sum()),
        "successes": successes,
        "success": successes / n if n else float("nan"),
        "low": low,
        "high": high,
        "progress": scored["progress"].astype(float).mean(),
        "steps": scored["steps"].astype(float).mean(),
    }


def _footnote(facts: Mapping[str, Any], wanted: int, scored: int) -> list[str]:
    plan, versions = facts["plan"], facts["versions"]
    lines = [
        f"Success in %, with its 95 % Wilson interval over the n scored episodes; "
        f"progress is the mean process score; seed {plan['seed']}.",
        f"Protocols: {', '.join(facts['protocols'])}.",
        f"Versions: {', '.join(f'{name} {version}' for name, version in versions.items())}.",
    ]
    if scored < wanted:
        lines.append(
            f"INCOMPLETE: {wanted - scored} of {wanted} episodes have no score (errors are never "
            f"scored); run the same command again to fill them in."
        )
    return lines


def _as_markdown(table: pd.DataFrame) -> str:
    """Format a summary for reading: percentages, and a dash where there is nothing."""
    shown = table.drop(columns=["successes", "low", "high"])
    shown["success"] = [
        f"{100 * s:.1f} [{100 * low:.1f}, {100 * high:.1f}]" if n else "-"
        for s, low, high, n in zip(
            table["success"], table["low"], table["high"], table["n"], strict=True
        )
    ]
    for column, decimals in (("progress", 3), ("steps", 0)):
        shown[column] = [f"{v:.{decimals}f}" if v == v else "-" for v in table[column]]
    for column in ("errors", "missing"):
        if not table[column].any():
            shown = shown.drop(columns=column)
    shown = shown.rename(columns={"index": "#"})
    return tabulate(shown.to_dict("list"), headers="keys", tablefmt="github", disable_numparse=True)
