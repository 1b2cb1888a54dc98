"""Writes the summary as GitHub Markdown: two tables and the notes beneath them."""

from collections.abc import Iterator

import pandas as pd
from tabulate import tabulate

from harness.report import chart_data
from harness.report.alerts import clipped_shares, fast_batches, find_alerts
from harness.report.summary import INTERVALS, Summary

_OVER_TASKS = ["policy", "benchmark", "protocol", "tasks"]
_BY_TASK = ["policy", "benchmark", "#", "task"]


def summary_markdown(summary: Summary) -> str:
    """Return the alerts, the table of means over tasks, the table by task, and the notes."""
    means = summary.level("suite", "benchmark", "overall")
    means = means.assign(
        benchmark=[chart_data.scope_label(row) for row in chart_data.iter_rows(means)]
    )
    parts = [
        "# Results",
        *alerts_markdown(summary),
        _table(means, _OVER_TASKS),
        "## By task",
        by_task(summary),
        "\n".join(f"- {line}" for line in footnote(summary)),
    ]
    return "\n\n".join(parts) + "\n"


def alerts_markdown(summary: Summary) -> list[str]:
    """Return what a reader must know before the numbers, a paragraph each."""
    return [
        f"> WARNING: {alert.text}" + (f" Traceback: `{alert.traceback}`" if alert.traceback else "")
        for alert in find_alerts(summary.episodes, summary.refused)
    ]


def by_task(summary: Summary) -> str:
    """Return the table with a row for each task."""
    tasks = summary.level("task").rename(columns={"suite": "benchmark", "position": "#"})
    return _table(tasks, _BY_TASK)


def footnote(summary: Summary) -> Iterator[str]:
    """Yield the notes: intervals, seeds, protocols, versions, and missing episodes."""
    seeds = ", ".join(map(str, summary.seeds))
    yield (
        f"Success in %; progress is the mean process score. {INTERVALS} "
        f"n is the number of scored episodes. Seed: {seeds}."
    )
    labels = sorted({label for facts in summary.facts for label in facts["protocols"]})
    yield f"Protocols: {', '.join(labels)}."
    yield from (f"{label}: {note}." for label, note in summary.notes.items())
    yield f"Versions: {', '.join(summary.versions)}."
    yield from fast_batches(summary.episodes)
    yield from clipped_shares(summary.episodes)
    tasks = summary.level("task")
    lacking = int((tasks["errors"] + tasks["missing"]).sum())
    wanted = lacking + int(tasks["n"].sum())
    for decision in summary.decisions:
        yield (
            f"This run stops early: {decision.sentence}. The intervals in the tables assume a "
            "number of episodes fixed in advance; after an early stop they are approximate."
        )
    if lacking and not summary.complete:
        yield (
            f"INCOMPLETE: {lacking} of {wanted} episodes have no score (errors are never "
            f"scored). Run the same command again to play them."
        )


def percent(rate: float, low: float, high: float) -> str:
    """Return a rate with its interval in percent; a dash for nan."""
    return "-" if pd.isna(rate) else f"{100 * rate:.1f} [{100 * low:.1f}, {100 * high:.1f}]"


def score(mean: float, low: float, high: float) -> str:
    """Return a score with its interval; a dash for nan."""
    return "-" if pd.isna(mean) else f"{mean:.3f} [{low:.3f}, {high:.3f}]"


def _table(rows: pd.DataFrame, names: list[str]) -> str:
    shown = rows[[*names, "n"]].copy()
    for column in ("errors", "missing"):
        if rows[column].any():
            shown[column] = rows[column]
    if chart_data.pools_seeds(rows):
        shown["seeds"] = rows["seeds"]
    for column, text in (("success", percent), ("progress", score)):
        limits = rows[[column, f"{column}_low", f"{column}_high"]].itertuples(index=False)
        shown[column] = [text(*values) for values in limits]
    shown["steps"] = ["-" if pd.isna(v) else f"{v:.0f}" for v in rows["steps"]]
    return tabulate(shown.to_dict("list"), headers="keys", tablefmt="github", disable_numparse=True)
