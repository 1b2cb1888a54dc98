"""The summary as GitHub's Markdown: two tables, and the sentences beneath them."""

from collections.abc import Iterator

import pandas as pd
from tabulate import tabulate

from harness.report import figures
from harness.report.summary import FEWEST_TASKS, Summary

PLACE = ["policy", "benchmark", "protocol", "tasks"]


def markdown(summary: Summary) -> str:
    """Return the table over tasks, the one by task, and the footnote."""
    over = summary.level("suite", "benchmark", "overall")
    over = over.assign(benchmark=[figures.place(row) for row in figures.lines(over)])
    parts = [
        "# Results",
        _table(over, PLACE),
        "## By task",
        by_task(summary),
        "\n".join(f"- {line}" for line in footnote(summary)),
    ]
    return "\n\n".join(parts) + "\n"


def by_task(summary: Summary) -> str:
    """Return the table with a row for each task."""
    tasks = summary.level("task").rename(columns={"suite": "benchmark", "position": "#"})
    return _table(tasks, ["policy", "benchmark", "#", "task"])


def footnote(summary: Summary) -> Iterator[str]:
    """Say what the numbers are: intervals, seeds, protocols, versions, and what is missing."""
    yield (
        "Success in % and progress, the mean process score, with 95 % intervals: Wilson's for one "
        "task; over several tasks the mean of their means, with an interval for tasks like these "
        f"(clustered by task), or for these tasks alone if they are fewer than {FEWEST_TASKS}. "
        f"n episodes were scored; seed {', '.join(map(str, summary.seeds))}."
    )
    labels = sorted({label for facts in summary.facts for label in facts["protocols"]})
    yield f"Protocols: {', '.join(labels)}."
    yield from (f"{label}: {note}." for label, note in summary.notes.items())
    yield f"Versions: {', '.join(summary.versions)}."
    tasks = summary.level("task")
    lacking = int((tasks["errors"] + tasks["missing"]).sum())
    wanted = lacking + int(tasks["n"].sum())
    for decision in summary.decisions:
        yield (
            f"A run that stops when it is decided: {decision.sentence}. The intervals in the "
            f"tables are for a number of episodes that was fixed before, so read them with care."
        )
    if lacking and not summary.complete:
        yield (
            f"INCOMPLETE: {lacking} of {wanted} episodes have no score (errors are never "
            f"scored); run the same command again to fill them in."
        )


def percent(rate: float, low: float, high: float) -> str:
    """Return a rate with its interval in percent; a dash where there is none."""
    return f"{100 * rate:.1f} [{100 * low:.1f}, {100 * high:.1f}]" if rate == rate else "-"


def score(mean: float, low: float, high: float) -> str:
    """Return a score with its interval; a dash where there is none."""
    return f"{mean:.3f} [{low:.3f}, {high:.3f}]" if mean == mean else "-"


def _table(rows: pd.DataFrame, place: list[str]) -> str:
    shown = rows[[*place, "n"]].copy()
    for column in ("errors", "missing"):
        if rows[column].any():
            shown[column] = rows[column]
    for column, text in (("success", percent), ("progress", score)):
        limits = rows[[column, f"{column}_low", f"{column}_high"]].itertuples(index=False)
        shown[column] = [text(*values) for values in limits]
    shown["steps"] = [f"{v:.0f}" if v == v else "-" for v in rows["steps"]]
    return tabulate(shown.to_dict("list"), headers="keys", tablefmt="github", disable_numparse=True)
