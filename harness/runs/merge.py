"""Joins the folders of several runs into a new one."""

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from harness.contracts.atomic import os_reason, write_whole
from harness.contracts.errors import StorageError, UsageError
from harness.contracts.record import EpisodeRecord
from harness.runs.folder import Run
from harness.runs.growth import Facts, grow, with_session


def merge(out: Path, runs: Sequence[Run]) -> Run:
    """Write a new folder with the plans, episodes, videos and sessions of several runs.

    An episode that several runs hold counts once; a score counts before an error.

    Raises:
        UsageError: The folder exists, the runs have different seeds or rules, or they disagree
            about an episode.
        StorageError: The disk is full.
    """
    if out.exists():
        raise UsageError(f"{out} exists already; name a new folder")
    facts = _joined_facts(runs)
    chosen = _chosen(runs)
    partial = out.with_name(f"{out.name}.partial")
    if partial.exists():
        raise UsageError(f"{partial} is left of an interrupted merge; delete it")
    with _storing(out):
        try:
            (partial / "actions").mkdir(parents=True)
            _write(partial, facts, runs, chosen)
            partial.replace(out)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
    return Run(out)


def _joined_facts(runs: Sequence[Run]) -> Facts:
    facts = runs[0].facts
    for run in runs[1:]:
        try:
            facts = with_session(grow(facts, run.facts), run.facts)
        except UsageError as error:
            raise UsageError(
                f"{runs[0].path} (there) and {run.path} (here) are not one run ({error}); report "
                f"them together instead"
            ) from error
    return facts | {"created": min(run.facts["created"] for run in runs)}


def _chosen(runs: Sequence[Run]) -> dict[str, int]:
    """Return which run gives each episode, by key.

    Raises:
        UsageError: Two runs have another result for one episode.
    """
    chosen: dict[str, int] = {}
    kept: dict[str, EpisodeRecord] = {}
    for number, run in enumerate(runs):
        for key, record in run.records().items():
            known = kept.get(key)
            if known is not None and record.outcome == "error":
                continue
            if known is not None and known.outcome != "error":
                _require_equal(known, record, runs[chosen[key]], run)
                continue
            chosen[key], kept[key] = number, record
    return chosen


def _require_equal(one: EpisodeRecord, other: EpisodeRecord, there: Run, here: Run) -> None:
    before, after = one.deterministic(), other.deterministic()
    different = [name for name in before if before[name] != after[name]]
    if different:
        spec = one.spec
        raise UsageError(
            f"{there.path} and {here.path} disagree about {spec.player} on {spec.benchmark} "
            f"{spec.task} episode {spec.episode} ({spec.key}): {', '.join(different)}; they ran "
            f"different code"
        )


def _write(out: Path, facts: Facts, runs: Sequence[Run], chosen: dict[str, int]) -> None:
    write_whole(out / "run.json", json.dumps(facts, indent=2) + "\n")
    with (out / "episodes.jsonl").open("wb") as log:
        for number, run in enumerate(runs):
            _copy_episodes(out, log, run, {key for key, mine in chosen.items() if mine == number})
        log.flush()
        os.fsync(log.fileno())
    sessions = sorted(
        (session for run in runs for session in run.sessions()),
        key=_start,
    )
    lines = dict.fromkeys(json.dumps(session) + "\n" for session in sessions)
    write_whole(out / "sessions.jsonl", "".join(lines))
    for run in runs:
        for name in ("code", "protocols"):
            if (run.path / name).is_dir():
                # A link is copied as a link: it may lead to a device.
                shutil.copytree(run.path / name, out / name, symlinks=True, dirs_exist_ok=True)


def _start(session: Mapping[str, Any]) -> float:
    started: Any = session.get("started")
    return float(started) if type(started) in (int, float) else 0.0


def _copy_episodes(out: Path, log: IO[bytes], run: Run, keys: set[str]) -> None:
    for key, record in run.records().items():
        if key not in keys:
            continue
        log.write(record.to_json().encode() + b"\n")
        for name in (f"actions/{key}.npy", f"errors/{key}.txt", f"videos/{key}.mp4"):
            if (run.path / name).is_file():
                (out / name).parent.mkdir(exist_ok=True)
                shutil.copyfile(run.path / name, out / name)


@contextmanager
def _storing(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(f"cannot write {out}: {os_reason(error)}") from error
