"""What a run cost: seconds by part, how busy the workers were, and the slowest episodes."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pandas as pd
from tabulate import tabulate

from harness.report.frame import PARTS
from harness.runs.folder import Run

SLOW = 2.0
"""An episode is slow above this multiple of its task's median."""
SLOW_SECONDS = 1.0
MOST_SLOW = 3
IDLE_SECONDS = 0.05
"""A shorter time with idle workers is not reported."""

_GROUP = ["policy", "benchmark"]


@dataclass(frozen=True)
class Cost:
    """What runs cost. Unlike results, costs differ when a run is repeated.

    Attributes:
        parts: Wall, CPU and GPU seconds of the workers by policy, benchmark and part.
        lines: Sentences on sessions, policy actors, slow episodes and retries.
    """

    parts: pd.DataFrame
    lines: tuple[str, ...]

    def markdown(self) -> str:
        """Return both as GitHub Markdown."""
        rows = []
        for (policy, benchmark), group in self.parts.groupby(_GROUP, sort=False):
            wall = group.set_index("part")["wall_s"]
            share = 100 * wall / (wall.sum() or 1)
            rows.append(
                {
                    "policy": policy,
                    "benchmark": benchmark,
                    "wall s": f"{wall.sum():.1f}",
                    "CPU s": f"{group['cpu_s'].sum():.1f}",
                    "GPU s": f"{group['gpu_s'].sum():.1f}",
                    **{f"{part} %": f"{value:.0f}" for part, value in share.items()},
                }
            )
        table = tabulate(rows, headers="keys", tablefmt="github", disable_numparse=True)
        return "\n\n".join(["# Cost", table, "\n".join(f"- {line}" for line in self.lines)]) + "\n"


def make_cost(runs: Sequence[Run], episodes: pd.DataFrame) -> Cost | None:
    """Add up the costs of all episodes; None if there are none."""
    if episodes.empty:
        return None
    frame = episodes.copy(deep=False)
    for kind in ("wall", "cpu"):
        parts = frame[[f"{kind}_{part}" for part in PARTS]].sum(axis=1)
        frame[f"{kind}_other"] = frame[f"{kind}_total"] - parts
    lines: list[str] = []
    for run in runs:
        lines += _sessions(run.sessions(), frame[frame["run"] == str(run.path)])
    lines += [*_policy_actors(frame), *_slow_episodes(frame)]
    retried = int((frame["retries"] > 0).sum())
    if retried:
        lines.append(f"{retried} episodes were retried after an error.")
    return Cost(_parts(frame), tuple(lines))


def _parts(frame: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for (policy, benchmark), group in frame.groupby(_GROUP, sort=False, observed=True):
        for part in (*PARTS, "other"):
            wall, cpu = float(group[f"wall_{part}"].sum()), float(group[f"cpu_{part}"].sum())
            gpu = float(group["gpu"].sum()) if part == "policy" else 0.0
            rows.append((policy, benchmark, part, wall, cpu, gpu))
    return pd.DataFrame(rows, columns=[*_GROUP, "part", "wall_s", "cpu_s", "gpu_s"])


def _sessions(sessions: Sequence[Mapping[str, Any]], frame: pd.DataFrame) -> Iterator[str]:
    """Yield for each session how long it took and how busy its workers were."""
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
        idle = float(ends.max()) - _last_full(mine["started"], ends, workers)
        tail = f" In the last {idle:.1f} s some workers were idle." if idle > IDLE_SECONDS else ""
        yield (
            f"{when}: {len(mine)} episodes in {wall:.0f} s with {workers} "
            f"worker{'s'[: workers > 1]}, {60 * len(mine) / wall:.1f} per minute. Workers were "
            f"busy {busy:.0%} of the time.{tail}"
        )


def _last_full(starts: "pd.Series[float]", ends: "pd.Series[float]", workers: int) -> float:
    """Return the last moment at which every worker had an episode."""
    moves = sorted([(t, 1) for t in starts] + [(t, -1) for t in ends])
    running, last = 0, float(starts.min())
    for moment, change in moves:
        if running >= workers and change < 0:
            last = moment
        running += change
    return last


def _policy_actors(frame: pd.DataFrame) -> Iterator[str]:
    """Yield how busy the policy actors were and how large their batches."""
    remote = frame[frame["replica"] != ""]
    for policy, group in remote.groupby("policy", sort=False, observed=True):
        alive = 0.0
        for _, mine in group.groupby("replica"):
            alive += float((mine["started"] + mine["wall_total"]).max() - mine["started"].min())
        busy = float(group["wall_policy"].sum()) / alive
        requests: Counter[int] = Counter()
        for sizes in group["batches"]:
            requests.update({int(size): count for size, count in sizes})
        batches = sum(count / size for size, count in requests.items())
        actors = group["replica"].nunique()
        yield (
            f"{policy}: {actors} policy actor{'s'[: actors > 1]}, busy {busy:.0%} of the time; "
            f"batch sizes {min(requests)} to {max(requests)}, mean "
            f"{sum(requests.values()) / batches:.1f}."
        )


def _slow_episodes(frame: pd.DataFrame) -> Iterator[str]:
    """Yield the episodes that took far longer than others of their task."""
    median = frame.groupby(["policy", "benchmark", "task"], observed=True)["wall_total"].transform(
        "median"
    )
    slow = frame.assign(ratio=frame["wall_total"] / median.where(median > 0))
    slow = slow[(slow["ratio"] > SLOW) & (slow["wall_total"] > SLOW_SECONDS)]
    for row in slow.nlargest(MOST_SLOW, "wall_total").itertuples():
        yield (
            f"Slow: {row.policy} on {row.benchmark} {row.task} episode {row.episode} "
            f"({row.key}) took {row.wall_total:.1f} s, {row.ratio:.1f} times its task's median."
        )
