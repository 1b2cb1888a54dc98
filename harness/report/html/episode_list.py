"""What the page tells of single episodes: how they went, their films, how to replay them."""

import base64
import os
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd

from harness.report.frame import CELL, PARTS
from harness.runs.folder import Run

MOST_SHOWN = {"error": 150, "failure": 300, "success": 50}
"""Episodes of each outcome, so that a page of a million of them still opens on a phone."""

MOST_EMBEDDED = 25 * 2**20
"""Bytes of films inside a page; the others are linked."""

NAMES = {"error": "Errors", "failure": "Failures", "success": "Successes"}


def tell(
    runs: Sequence[Run], episodes: pd.DataFrame, folder: Path, embed: bool
) -> list[dict[str, Any]]:
    """Return the errors, failures and successes that are shown, as text.

    Args:
        runs: Where films may lie.
        episodes: Every episode.
        folder: Where the page will lie; links are relative to it.
        embed: Whether films go into the page.
    """
    films = _films(runs)
    filmed = episodes["key"].isin(films)
    room = MOST_EMBEDDED if embed else 0
    groups: list[dict[str, Any]] = []
    for outcome, name in NAMES.items():
        mine = episodes[episodes["outcome"] == outcome]
        chosen = _chosen(mine, filmed[mine.index], MOST_SHOWN[outcome])
        stories: list[dict[str, Any]] = []
        for row in chosen.to_dict("records"):
            film, used = _film(films.get(row["key"]), folder, room)
            room -= used
            stories.append(_story(row, len(groups), len(stories), film))
        if stories:
            group = {"name": name, "shown": len(stories), "total": len(mine)}
            groups.append(group | {"episodes": stories})
    return groups


def _films(runs: Sequence[Run]) -> dict[str, Path]:
    """Return the films there are, by key; a key is never made into a path."""
    return {path.stem: path for run in runs for path in sorted((run.path / "videos").glob("*.mp4"))}


def _chosen(episodes: pd.DataFrame, filmed: "pd.Series[bool]", most: int) -> pd.DataFrame:
    """Return at most so many: first those with a film, then evenly from every cell.

    Keys are hashes, so their order within a cell is a sample that is always the same.
    """
    rank = episodes.sort_values("key").groupby(CELL, observed=True).cumcount()
    order = pd.DataFrame({"late": ~filmed, "rank": rank.reindex(episodes.index)})
    first = order.sort_values(["late", "rank"], kind="stable").head(most).index
    return episodes.loc[first.sort_values()]


def _film(path: Path | None, folder: Path, room: int) -> tuple[dict[str, str] | None, int]:
    """Return where an episode's film is played from, and the bytes that puts into the page."""
    if path is None:
        return None, 0
    size = path.stat().st_size
    if size <= room:
        data = base64.b64encode(path.read_bytes()).decode()
        return {"source": f"data:video/mp4;base64,{data}", "link": ""}, size
    # Quoted whole, so that no folder's name can be taken for a scheme or a query.
    link = quote(os.path.relpath(path.resolve(), folder.resolve()))
    return {"source": link, "link": link}, 0


def _story(
    row: Mapping[Any, Any], group: int, index: int, film: dict[str, str] | None
) -> dict[str, Any]:
    key, plain = row["key"], re.fullmatch("[0-9a-f]+", row["key"])
    return {
        "id": key if plain else f"{group}-{index}",
        "outcome": row["outcome"],
        "policy": row["policy"],
        "benchmark": row["benchmark"],
        "task": row["task"],
        "number": row["episode"],
        "facts": _facts(row),
        "film": film,
        "replay": None if row["outcome"] == "error" else replay_command(row["run"], key),
    }


def replay_command(run: str, key: str) -> str:
    """Return the command that plays an episode again and films it, ready for a shell."""
    words = ["python", "run_eval.py", "replay", run, key, "--video", f"{key}.mp4"]
    return shlex.join(words)


def _facts(row: Mapping[Any, Any]) -> dict[str, str]:
    """Return what is known of an episode, by name."""
    progress = row["progress"]
    held = [f"{'reached' if held else 'not reached'}: {name}" for name, held in row["subgoals"]]
    parts = [f"{part} {row[f'wall_{part}']:.2f}" for part in PARTS if row[f"wall_{part}"]]
    facts = {
        "reason": row["reason"],
        "steps": f"{row['steps']:.0f}",
        "progress": f"{progress:.3f}" if progress == progress else "-",
        "sub-goals": "; ".join(held) or "-",
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
