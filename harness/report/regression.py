"""Judges a comparison as a check for regressions: what got worse, and what it could have found."""

import math
from collections.abc import Sequence

from harness.report.compare import ComparedTasks, top_rows
from harness.statistics.interval import ALPHA
from harness.statistics.power import POWER, detectable_drop, detectable_score_drop
from harness.statistics.verdict import verdict


def judged_rows(compared: Sequence[ComparedTasks], per_task: bool) -> list[ComparedTasks]:
    """Return the rows that decide: the tasks, or the mean of each benchmark."""
    if per_task:
        return [each for each in compared if each.level == "task"]
    return top_rows(compared)


def regressions(rows: Sequence[ComparedTasks]) -> list[str]:
    """Return the names of the rows in which the first policy is significantly worse."""
    return [each.name for each in rows if verdict(each.comparison).outcome == "worse"]


def detectable_sentences(rows: Sequence[ComparedTasks], metric: str) -> list[str]:
    """Return how small a drop the rows could have found, with Holm's correction at its strictest.

    Args:
        rows: The rows that decide.
        metric: ``success`` or ``progress``.
    """
    alpha = ALPHA / len(rows)
    drops = {each.name: _detectable(each, metric, alpha) for each in rows}
    known = [drop for drop in drops.values() if not math.isnan(drop)]
    zero = [each.name for each in rows if each.means[1] == 0]
    unseen = [name for name, drop in drops.items() if math.isnan(drop) and name not in zero]
    sentences = []
    if known:
        size = f"{100 * max(known):.1f} points" if metric == "success" else f"{max(known):.3f}"
        n = f"these {rows[0].comparison.episodes}" if len(rows) == 1 else "these"
        rest = "other" if len(known) < len(rows) else "single"
        where = rows[0].name if len(rows) == 1 else f"any {rest} {rows[0].level}"
        sentences.append(
            f"With {n} episodes per policy, a drop of {size} in {where} would be "
            f"found with {POWER:.0%} power."
        )
    if unseen:
        sentences.append(
            f"{', '.join(unseen)}: even a drop to zero would be found with less than {POWER:.0%} "
            "power. Play more episodes."
        )
    if zero:
        sentences.append(f"{', '.join(zero)}: the baseline is at zero, so nothing can be worse.")
    return sentences


def _detectable(row: ComparedTasks, metric: str, alpha: float) -> float:
    """Return the smallest drop from the second policy's mean that a row's test would find."""
    found, baseline = row.comparison, row.means[1]
    episodes = math.floor(row.compared.effective + 1e-9)
    share = row.compared.effective / found.episodes
    if metric != "success":
        spread = found.spread * math.sqrt(share)
        return detectable_score_drop(baseline, episodes, spread, row.compared.paired, POWER, alpha)
    if not row.compared.paired:
        return detectable_drop(baseline, episodes, None, POWER, alpha)
    # Scenes on which only one succeeds, without those that make the observed difference.
    discordant = share * found.spread_null**2 - abs(found.difference.estimate)
    return detectable_drop(baseline, episodes, max(0.0, discordant), POWER, alpha)
