"""Selects the episodes that the page lists, with their videos and replay commands."""

import base64
import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd

from harness.contracts.extras import program_words
from harness.report.alerts import traceback_file
from harness.report.frame import CELL, PARTS
from harness.runs.folder import Run

MOST_SHOWN = {"error": 150, "failure": 300, "success": 50}
"""Episodes listed for each outcome, so that the page of a large run opens on a phone."""

MOST_EMBEDDED = 25 * 2**20
"""Bytes of videos inside a page; further videos are linked."""

_NAMES = {"error": "Errors", "failure": "Failures", "success": "Successes"}


def list_episodes(
    runs: Sequence[Run], episodes: pd.DataFrame, folder: Path, embed: bool
) -> list[dict[str, Any]]:
    """Return the listed errors, failures and successes as text.

    Args:
        runs: The runs, whose folders may hold videos.
        episodes: Every episode.
        folder: The page's folder; links are relative to it.
        embed: Whether to put videos into the page.
    """
    videos = _videos(runs)
    filmed = episodes["key"].isin(videos)
    room = MOST_EMBEDDED if embed else 0
    groups: list[dict[str, Any]] = []
    for outcome, name in _NAMES.items():
        mine = episodes[episodes["outcome"] == outcome]
        chosen = _chosen(mine, filmed[mine.index], MOST_SHOWN[outcome])
        listed: list[dict[str, Any]] = []
        for row in chosen.to_dict("records"):
            video, used = _video(videos.get(row["key"]), folder, room)
            room -= used
            listed.append(_entry(row, video, folder))
        if listed:
            group = {"name": name, "shown": len(listed), "total": len(mine), "episodes": listed}
            groups.append(group)
    return groups


def _videos(runs: Sequence[Run]) -> dict[str, Path]:
    """Return the existing videos by key."""
    return {path.stem: path for run in runs for path in sorted((run.path / "videos").glob("*.mp4"))}


def _chosen(episodes: pd.DataFrame, filmed: "pd.Series[bool]", most: int) -> pd.DataFrame:
    """Return at most `most` episodes: first those with a video, then evenly from every task.

    Keys are hashes, so sorting by key gives a random sample that is always the same.
    """
    rank = episodes.sort_values("key").groupby(CELL, observed=True).cumcount()
    order = pd.DataFrame({"late": ~filmed, "rank": rank.reindex(episodes.index)})
    first = order.sort_values(["late", "rank"], kind="stable").head(most).index
    return episodes.loc[first.sort_values()]


def _video(path: Path | None, folder: Path, room: int) -> tuple[dict[str, str] | None, int]:
    """Return the source of an episode's video, and the bytes it adds to the page."""
    if path is None:
        return None, 0
    size = path.stat().st_size
    if size <= room:
        data = base64.b64encode(path.read_bytes()).decode()
        return {"source": f"data:video/mp4;base64,{data}", "link": ""}, size
    link = relative_link(path, folder)
    return {"source": link, "link": link}, 0


def relative_link(path: Path, folder: Path) -> str:
    """Return the link from a page in a folder to a file."""
    # Quoted, so that a folder's name cannot be read as a scheme or a query.
    return quote(os.path.relpath(path.resolve(), folder.resolve()))


def _entry(row: Mapping[Any, Any], video: dict[str, str] | None, folder: Path) -> dict[str, Any]:
    key = row["key"]
    return {
        "id": key,
        "outcome": row["outcome"],
        "policy": row["policy"],
        "benchmark": row["benchmark"],
        "task": row["task"],
        "number": row["episode"],
        "facts": _facts(row),
        "video": video,
        "traceback": _traceback(row, folder),
        "replay": None if row["outcome"] == "error" else replay_command(row["run"], key),
    }


def _traceback(row: Mapping[Any, Any], folder: Path) -> str:
    """Return the link to the traceback of an error; empty if there is none."""
    path = traceback_file(row["run"], row["key"])
    return "" if path is None or row["outcome"] != "error" else relative_link(path, folder)


def replay_command(run: str, key: str) -> str:
    """Return the shell command that replays an episode and records a video of it."""
    words = [*program_words(), "replay", run, key, "--video", f"{key}.mp4"]
    return shlex.join(words)


def _facts(row: Mapping[Any, Any]) -> dict[str, str]:
    """Return the facts of an episode by name."""
    progress = row["progress"]
    subgoals = [f"{'reached' if held else 'not reached'}: {name}" for name, held in row["subgoals"]]
    parts = [f"{part} {row[f'wall_{part}']:.2f}" for part in PARTS if row[f"wall_{part}"]]
    facts = {
        "reason": row["reason"],
        "steps": f"{row['steps']:.0f}",
        "progress": "-" if pd.isna(progress) else f"{progress:.3f}",
        "sub-goals": "; ".join(subgoals) or "-",
        "wall seconds": f"{row['wall_total']:.2f}" + (f" ({', '.join(parts)})" if parts else ""),
        "seed": str(row["seed"]),
        "protocol": row["protocol"],
        "key": row["key"],
        "run": row["run"],
    }
    if row["cpu_total"]:
        facts["CPU seconds"] = f"{row['cpu_total']:.2f}"
    if row["retries"]:
        facts["retries"] = str(row["retries"])
    return facts
