"""The folder of a run: its plan and an append-only log of episodes."""

import io
import json
import os
import time
from collections.abc import Iterator, Mapping, Set
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from harness.contracts.atomic import PARTIAL, is_full, os_reason, write_whole
from harness.contracts.bounded_files import read_bounded
from harness.contracts.errors import StorageError, UsageError
from harness.contracts.extras import program_name
from harness.contracts.record import Episode, EpisodeRecord
from harness.runs.facts import describe, keep_sources
from harness.runs.facts_form import read_facts
from harness.runs.growth import (
    Cell,
    Facts,
    grow,
    want_the_same,
    wanted_episodes,
    with_session,
    without_policies,
)
from harness.runs.log_file import LogWriter, Refusals, log_lines
from harness.runs.plan import Work
from harness.runs.results import Results

_LARGEST_FILE = 2**28
"""Bytes of an episode's actions, or of the list of sessions, at most."""


class Run:
    """A folder with `run.json`, `episodes.jsonl`, `actions/`, `tables/` and `videos/`.

    Every line is flushed before the next episode starts. The wanted episodes that are not in the
    log are the ones left to play.
    """

    def __init__(self, path: Path) -> None:
        """Set the folder; nothing is read or written yet."""
        self.path = path
        self.log_path = path / "episodes.jsonl"
        self.notices: list[str] = []
        self.refusals = Refusals()

    @classmethod
    def existing(cls, path: Path) -> "Run":
        """Open a run for reading.

        Raises:
            UsageError: There is no run in this folder.
        """
        _require_utf8(path)
        if not os.path.isfile(path / "run.json"):
            raise UsageError(f"{path} holds no run (no run.json); see: {program_name()} run --help")
        return cls(path)

    @cached_property
    def facts(self) -> Facts:
        """The content of run.json.

        Raises:
            UsageError: The file is missing, damaged or of another version.
        """
        return read_facts(self.path / "run.json")

    @property
    def plans(self) -> list[dict[str, Any]]:
        """The plans in run.json: the first one, and those that other commands added.

        A plan names policies by identity, tasks by name and protocols by label.
        """
        plans: list[dict[str, Any]] = self.facts["plans"]
        return plans

    def wanted(self) -> dict[Cell, list[int]]:
        """Return the indices of the wanted episodes of each player, benchmark, protocol and task.

        They are the union of all plans. A player is a policy, perhaps under an ablation.
        """
        return wanted_episodes(self.plans)

    def records(self) -> dict[str, EpisodeRecord]:
        """Return the last record of each episode, by key.

        Raises:
            UsageError: A line of the log is damaged, or two lines contradict each other.
        """
        return {record.spec.key: record for record in self.log()}

    def log(self) -> Iterator[EpisodeRecord]:
        """Yield the records in the order of the log; an incomplete last line is left out.

        Raises:
            UsageError: Another line is damaged, or two lines give one episode two results.
        """
        results = Results()
        for number, line in log_lines(self.log_path):
            try:
                record = EpisodeRecord.from_json(line)
            except ValueError as error:
                raise UsageError(
                    f"{self.log_path}:{number} is damaged ({error}); delete that line to run "
                    f"its episode again"
                ) from error
            first = results.contradicted(number, record)
            if first is not None:
                raise UsageError(
                    f"{self.log_path}: lines {first} and {number} give episode {record.spec.key} "
                    f"two results; delete the wrong one, or both to run it again"
                )
            yield record

    def counted(self) -> Iterator[EpisodeRecord]:
        """Yield the records that count: those of wanted episodes, without damaged lines.

        Afterwards `refusals` has what was left out, and the episodes of which no line counts,
        since two lines give them two results.
        """
        self.refusals, results = Refusals(), Results()
        wanted = {cell: set(episodes) for cell, episodes in self.wanted().items()}
        seeds = {plan["seed"] for plan in self.plans}
        for number, line in log_lines(self.log_path):
            where = f"{self.log_path}:{number}"
            try:
                record = EpisodeRecord.from_json(line)
            except ValueError as error:
                self.refusals.add(f"{where}: {error}")
                continue
            spec = record.spec
            cell = (spec.player, spec.benchmark, spec.protocol, spec.task)
            if spec.episode in wanted.get(cell, ()) and spec.seed in seeds:
                first = results.contradicted(number, record)
                if first is None:
                    yield record
                else:
                    self.refusals.contradict(spec.key, f"{where}: line {first} has another result")
            elif record.outcome != "error":  # A policy that never scored may be in no plan.
                self.refusals.add(f"{where}: no plan wants this episode")

    def sessions(self) -> list[dict[str, Any]]:
        """Return the start time and the number of workers of every session."""
        found: list[dict[str, Any]] = []
        for line in self._session_lines().splitlines():
            with suppress(ValueError, RecursionError):  # A damaged line loses only that session.
                session = json.loads(line)
                if isinstance(session, dict):
                    found.append(session)
        return found

    def _session_lines(self) -> bytes:
        """Return sessions.jsonl without an incomplete last line."""
        path = self.path / "sessions.jsonl"
        if not path.exists():
            return b""
        try:
            content = read_bounded(path, _LARGEST_FILE)
        except OSError as error:
            raise UsageError(f"cannot read {path}: {os_reason(error)}; delete it") from error
        return content[: content.rfind(b"\n") + 1]

    def actions(self, key: str) -> NDArray[np.float32]:
        """Return the executed actions of an episode.

        Raises:
            UsageError: The run has no actions for this key.
        """
        try:
            content = io.BytesIO(read_bounded(self._action_path(key), _LARGEST_FILE))
            loaded: NDArray[np.float32] = np.load(content, allow_pickle=False)
        except (OSError, ValueError, EOFError, MemoryError) as error:
            raise UsageError(f"cannot read the actions of {key} in {self.path}") from error
        return loaded

    def lost_actions(self, keys: Set[str]) -> int:
        """Return how many of these episodes have no actions any more."""
        return len(keys - {path.stem for path in (self.path / "actions").glob("*.npy")})

    def find(self, key: str) -> EpisodeRecord:
        """Return the record whose key starts with `key`.

        Raises:
            UsageError: No record or several records do.
        """
        found = [r for full, r in self.records().items() if full.startswith(key)]
        if len(found) != 1:
            raise UsageError(f"{len(found)} episodes in {self.path} have a key like {key!r}")
        return found[0]

    def error_path(self, key: str) -> Path:
        """Return the file of an episode's traceback, if it ended in an error."""
        return self.path / "errors" / f"{key}.txt"

    def _action_path(self, key: str) -> Path:
        return self.path / "actions" / f"{key}.npy"


class RunWriter(Run):
    """A run that is being written; a lock allows one writer."""

    def __init__(self, path: Path, work: Work, command: str = "", grows: bool = True) -> None:
        """Create the folder or continue the run in it.

        Args:
            path: The folder.
            work: The plans of this session.
            command: The command as it was typed; empty if there was none.
            grows: Whether the folder may hold other plans, which these then continue.

        Raises:
            UsageError: The folder cannot be written, holds a run that these plans cannot
                continue, or is in use.
            StorageError: The disk is full.
        """
        super().__init__(path)
        self._session, self._grows = describe(work, command), grows
        _require_utf8(path)
        if os.path.islink(path) and not os.path.exists(path):
            raise UsageError(f"{path} is a link to nothing ({os.readlink(path)}); choose --out")
        try:
            (path / "actions").mkdir(parents=True, exist_ok=True)
            _probe(path)
            # The log is opened first, so that its lock guards every other file.
            self._log = LogWriter(self.log_path)
        except OSError as error:
            text = f"cannot write to {path}: {os_reason(error)}"
            if is_full(error):
                raise StorageError(text) from error
            raise UsageError(f"{text}; choose --out") from error
        if not self._log.locked:
            self.notices.append(
                f"the file system of {path} has no locks; let no other process write to it"
            )
        try:
            with self._storing():
                self._claim(work)
        except BaseException:
            self._log.close()
            raise

    def __enter__(self) -> Self:
        """Return the writer."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the log and release the lock."""
        self._log.close()

    def open_session(self, workers: int) -> None:
        """Record the start of a session: when, with how many workers, by which code.

        Raises:
            StorageError: The disk is full or gone.
        """
        line = {"started": round(time.time(), 3), "workers": workers, "cores": os.cpu_count()}
        line |= {name: self._session[name] for name in ("command", "versions", "git")}
        with self._storing():
            lines = self._session_lines() + json.dumps(line).encode() + b"\n"
            write_whole(self.path / "sessions.jsonl", lines)
            self._save(with_session(self.facts, self._session))

    @contextmanager
    def _storing(self) -> Iterator[None]:
        """Turn a failure to write into one line.

        Raises:
            StorageError: The disk is full or gone.
        """
        try:
            yield
        except OSError as error:
            raise StorageError(f"cannot write to {self.path}: {os_reason(error)}") from error

    def append(self, episode: Episode) -> None:
        """Write an episode: its actions first, so that every line of the log has actions.

        Raises:
            StorageError: The disk is full or gone, or somebody changed the log. It holds
                complete lines only.
        """
        with self._storing():
            self._write(episode)

    def require_unchanged(self) -> None:
        """Check that the log on the disk is the one that was written.

        Raises:
            StorageError: Somebody deleted, replaced or changed it.
        """
        self._log.require_unchanged()

    def _write(self, episode: Episode) -> None:
        key = episode.record.spec.key
        # In memory first: NumPy hides the error of a full disk.
        actions = io.BytesIO()
        np.save(actions, episode.actions, allow_pickle=False)
        write_whole(self._action_path(key), actions.getvalue())
        self._write_traceback(key, episode.traceback)
        self._log.append(episode.record.to_json().encode() + b"\n")

    def _write_traceback(self, key: str, lines: str) -> None:
        """Keep the traceback of an error; remove that of an earlier one."""
        path = self.error_path(key)
        if lines:
            path.parent.mkdir(exist_ok=True)
            write_whole(path, lines)
        else:
            path.unlink(missing_ok=True)

    def _claim(self, work: Work) -> None:
        """Write run.json, or add the plans to it; repair what a kill left."""
        for folder in (self.path, self.path / "actions", self.path / "errors"):
            for partial in folder.glob(f".*{PARTIAL}"):
                partial.unlink()
        if (self.path / "run.json").exists():
            self._save(self._grown())
        elif self._log.size:
            raise UsageError(f"{self.log_path} has no run.json beside it; choose another --out")
        else:
            self._save(self._session)
        self.notices += keep_sources(self.path, work)
        if self._log.repair():
            self.notices.append("the log's last line was incomplete; its episode runs again")

    def _grown(self) -> Facts:
        """Return run.json with the plans of this session."""
        there = self.facts
        if not self._grows and not want_the_same(there, self._session):
            raise UsageError(f"{self.path} holds other tasks or policies; choose another --out")
        absent = set(there["policies"]) - set(self._session["policies"])
        if absent:
            scored = {r.spec.policy for r in self.records().values() if r.outcome != "error"}
            dropped = sorted(absent - scored)
            there = without_policies(there, dropped)
            self.notices += [
                f"{name} is no longer part of the run: it has no scored episode" for name in dropped
            ]
        try:
            if not there["plans"]:
                return self._session | {"created": there["created"]}
            return grow(there, self._session)
        except UsageError as error:
            raise UsageError(
                f"{self.path} holds a run of another plan ({error}); choose another --out, or "
                f"delete the folder"
            ) from error

    def _save(self, facts: Facts) -> None:
        """Write run.json, unless it has this content."""
        target = self.path / "run.json"
        if target.exists() and facts == self.facts:
            return
        write_whole(target, json.dumps(facts, indent=2) + "\n")
        self.facts = facts


def _require_utf8(path: Path) -> None:
    """Refuse a name that no table and no page can hold.

    Raises:
        UsageError: It has bytes that are no UTF-8.
    """
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise UsageError(f"{str(path)!a} is no UTF-8; choose another folder") from error


def _probe(path: Path) -> None:
    """Write and remove a file in each folder that a run writes to.

    Raises:
        OSError: One of them cannot be written.
    """
    for folder in (path, path / "actions"):
        write_whole(folder / ".probe", b"0")
        (folder / ".probe").unlink()


def notes_of(facts: Mapping[str, Any]) -> dict[str, str]:
    """Return the notes of a run's protocols, by label."""
    cards = facts["protocols"]
    return {label: card["note"] for label, card in cards.items() if card.get("note")}
