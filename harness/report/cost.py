"""What a run cost: seconds by what they were spent on, how busy it was, and who held it up."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pandas as pd
from tabulate import tabulate

from harness.report.frame import PARTS
from harness.runs.folder import Run

ARENA = ["policy", "benchmark"]
STRAGGLER = 2.0
"""How many times its task's median an episode takes to be named."""
LEAST_SECONDS = 1.0
MOST_NAMED = 3


@dataclass(frozen=True)
class Cost:
    """What a run cost; it differs from run to run, as the results do not.

    Attributes:
        parts: Wall and CPU seconds of the workers by policy, benchmark and part, and GPU seconds.
        lines: How busy everybody was and what held the run up, in sentences.
    """

    parts: pd.DataFrame
    lines: tuple[str, ...]

    def markdown(self) -> str:
        """Return both as GitHub's Markdown."""
        rows = []
        for (policy, benchmark), group in self.parts.groupby(ARENA, sort=False):
            wall = group.set_index("part")["wall_s"]
            row = {"policy": policy, "benchmark": benchmark, "wall s": f"{wall.sum():.1f}"}
            row |= {"CPU s": f"{group['cpu_s'].sum():.1f}", "GPU s": f"{group['gpu_s'].sum():.1f}"}
            share = 100 * wall / (wall.sum() or 1)
            rows.append(row | {f"{part} %": f"{value:.0f}" for part, value in share.items()})
        table = tabulate(rows, headers="keys", tablefmt="github", disable_numparse=True)
        return "\n\n".join(["# Cost", table, "\n".join(f"- {line}" for line in self.lines)]) + "\n"


def make_cost(runs: Sequence[Run], episodes: pd.DataFrame) -> Cost | None:
    """Add up what the episodes say; None if there are none."""
    if episodes.empty:
        return None
    frame = episodes.copy(deep=False)
    for kind in ("wall", "cpu"):
        parts = frame[[f"{kind}_{part}" for part in PARTS]].sum(axis=1)
        frame[f"{kind}_other"] = frame[f"{kind}_total"] - parts
    lines: list[str] = []
    for run in runs:
        lines += _sessions(run.sessions(), frame[frame["run"] == str(run.path)])
    lines += [*_replicas(frame), *_stragglers(frame)]
    retried = int((frame["retries"] > 0).sum())
    if retried:
        lines.append(f"{retried} episodes were started again after an error of a simulator.")
    return Cost(_parts(frame), tuple(lines))


def _parts(frame: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for (policy, benchmark), group in frame.groupby(
        ["policy", "benchmark"], sort=False, observed=True
    ):
        for part in (*PARTS, "other"):
            wall, cpu = float(group[f"wall_{part}"].sum()), float(group[f"cpu_{part}"].sum())
            gpu = float(group["gpu"].sum()) if part == "policy" else 0.0
            rows.append((policy, benchmark, part, wall, cpu, gpu))
    return pd.DataFrame(rows, columns=[*ARENA, "part", "wall_s", "cpu_s", "gpu_s"])


def _sessions(sessions: Sequence[Mapping[str, Any]], frame: pd.DataFrame) -> Iterator[str]:
    """Say for every start of the run how long it took and how busy its workers were."""
    starts = [float(session["started"]) for session in sessions]
    for session, start, end in zip(sessions, starts, [*starts, float("inf")][1:], strict=True):
        mine = frame[(frame["started"] >= start) & (frame["started"] < end)]
        if mine.empty:
            continue
        workers = int(session["workers"])
        ends = mine["started"] + mine["wall_total"]
        wall = float(ends.max()) - start
        busy = float(mine["wall_total"].sum()) / (workers * wall)
        when = datetime.fromtimestamp(start, UTC).strftime("%Y-%m-%d %H:%M UTC")
        yield (
            f"{when}: {len(mine)} episodes in {wall:.0f} s on {workers} "
            f"worker{'s'[: workers > 1]}, {60 * len(mine) / wall:.1f} a minute; workers "
            f"{busy:.0%} busy; not all of them had work in the last "
            f"{float(ends.max()) - _last_full(mine['started'], ends, workers):.1f} s."
        )


def _last_full(starts: "pd.Series[float]", ends: "pd.Series[float]", workers: int) -> float:
    """Return when for the last time as many episodes ran as there are workers."""
    moves = sorted([(t, 1) for t in starts] + [(t, -1) for t in ends])
    running, last = 0, float(starts.min())
    for moment, change in moves:
        if running >= workers and change < 0:
            last = moment
        running += change
    return last


def _replicas(frame: pd.DataFrame) -> Iterator[str]:
    """Say how busy the policy actors were and how large their batches."""
    remote = frame[frame["replica"] != ""]
    for policy, group in remote.groupby("policy", sort=False, observed=True):
        there = 0.0
        for _, mine in group.groupby("replica"):
            there += float((mine["started"] + mine["wall_total"]).max() - mine["started"].min())
        busy = float(group["wall_policy"].sum()) / there
        asked: Counter[int] = Counter()
        for sizes in group["batches"]:
            asked.update({int(size): count for size, count in sizes})
        batches = sum(count / size for size, count in asked.items())
        yield (
            f"{policy}: {group['replica'].nunique()} policy actors, {busy:.0%} busy; batches of "
            f"{min(asked)} to {max(asked)}, {sum(asked.values()) / batches:.1f} on average."
        )


def _stragglers(frame: pd.DataFrame) -> Iterator[str]:
    """Name the episodes that took far longer than others of their task."""
    usual = frame.groupby(["policy", "benchmark", "task"], observed=True)["wall_total"].transform(
        "median"
    )
    slow = frame.assign(ratio=frame["wall_total"] / usual.where(usual > 0))
    slow = slow[(slow["ratio"] > STRAGGLER) & (slow["wall_total"] > LEAST_SECONDS)]
    for row in slow.nlargest(MOST_NAMED, "wall_total").itertuples():
        yield (
            f"straggler: {row.policy} on {row.benchmark} {row.task} episode {row.episode} "
            f"({row.key}) took {row.wall_total:.1f} s, {row.ratio:.1f} times its task's median."
        )
