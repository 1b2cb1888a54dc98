"""What a run cost: seconds by part, the pace of the workers, and the slowest episodes."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd
from tabulate import tabulate

from harness.report.frame import PARTS

SLOW = 2.0
"""An episode is slow above this multiple of its task's median."""
SLOW_SECONDS = 1.0
MOST_SLOW = 3

_GROUP = ["policy", "benchmark"]


@dataclass(frozen=True)
class Cost:
    """What runs cost. Unlike results, costs differ when a run is repeated.

    Attributes:
        parts: Wall, CPU and GPU seconds of the workers by policy, benchmark and part.
        lines: Sentences on workers, policy actors, slow episodes and retries.
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


def make_cost(episodes: pd.DataFrame) -> Cost | None:
    """Add up the costs of all episodes; None if there are none."""
    if episodes.empty:
        return None
    frame = episodes.copy(deep=False)
    for kind in ("wall", "cpu"):
        parts = frame[[f"{kind}_{part}" for part in PARTS]].sum(axis=1)
        frame[f"{kind}_other"] = frame[f"{kind}_total"] - parts
    lines = [_workers(frame), *_policy_actors(frame), *_slow_episodes(frame)]
    # A crash of the policy is never retried, but it may follow an error that was.
    if retried := int((frame["retries"] > 0).sum()):
        verb = "were" if retried > 1 else "was"
        lines.append(
            f"{_counted(retried, 'episode')} {verb} played again after an error of the simulator "
            "or of a worker."
        )
    return Cost(_parts(frame), tuple(lines))


def _parts(frame: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for (policy, benchmark), group in frame.groupby(_GROUP, sort=False, observed=True):
        for part in (*PARTS, "other"):
            wall, cpu = float(group[f"wall_{part}"].sum()), float(group[f"cpu_{part}"].sum())
            gpu = float(group["gpu"].sum()) if part == "policy" else 0.0
            rows.append((policy, benchmark, part, wall, cpu, gpu))
    return pd.DataFrame(rows, columns=[*_GROUP, "part", "wall_s", "cpu_s", "gpu_s"])


def _workers(frame: pd.DataFrame) -> str:
    """Say how fast the workers were.

    It adds up durations only, since the clocks of two machines may differ.
    """
    seconds = float(frame["wall_total"].sum())
    workers = frame.loc[frame["worker"] != "", "worker"].nunique()
    rate = f", {60 * len(frame) / seconds:.1f} a minute on each worker" if seconds else ""
    return (
        f"{_counted(len(frame), 'episode')} took {seconds:.1f} s of worker time on "
        f"{_counted(max(1, workers), 'worker process', 'es')}{rate}."
    )


def _policy_actors(frame: pd.DataFrame) -> Iterator[str]:
    """Yield how busy the policy actors were and how large their batches."""
    remote = frame[frame["replica"] != ""]
    for policy, group in remote.groupby("policy", sort=False, observed=True):
        alive = 0.0
        for _, mine in group.groupby("replica"):
            alive += float((mine["started"] + mine["wall_total"]).max() - mine["started"].min())
        work = float(group["wall_policy"].sum())
        # A clock that was set back makes the span too short.
        busy = work / max(alive, work) if work else 0.0
        requests: Counter[int] = Counter()
        for sizes in group["batches"]:
            requests.update({int(size): count for size, count in sizes})
        batches = sum(count / size for size, count in requests.items())
        if not batches:
            continue
        actors = group["replica"].nunique()
        yield (
            f"{policy}: {_counted(actors, 'policy actor')}, busy {busy:.0%} of the time; "
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


def _counted(count: int, noun: str, plural: str = "s") -> str:
    """Return a number with its noun, e.g. ``3 episodes``."""
    return f"{count} {noun}{plural if count != 1 else ''}"
