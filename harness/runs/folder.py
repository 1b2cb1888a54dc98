"""The folder of a run: its plan and an append-only log of episodes."""

import fcntl
import json
import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import numpy as np
from numpy.typing import NDArray

from harness import __version__
from harness.contracts.errors import StorageError, UsageError
from harness.contracts.extras import program_name
from harness.contracts.protocol import ProtocolLabel
from harness.contracts.record import Episode, EpisodeRecord
from harness.runs.plan import Work


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

    @classmethod
    def existing(cls, path: Path) -> "Run":
        """Open a run for reading.

        Raises:
            UsageError: There is no run in this folder.
        """
        if not (path / "run.json").is_file():
            raise UsageError(f"{path} holds no run (no run.json); see: {program_name()} run --help")
        return cls(path)

    @cached_property
    def facts(self) -> dict[str, Any]:
        """The content of run.json. It does not change while a run is open.

        Raises:
            UsageError: The file is missing or damaged.
        """
        try:
            facts = json.loads((self.path / "run.json").read_text())
        except (OSError, ValueError) as error:
            raise UsageError(f"cannot read {self.path / 'run.json'}: {error}") from error
        if not isinstance(facts, dict):
            raise UsageError(f"{self.path / 'run.json'} is not the run.json of a run")
        return facts

    def records(self) -> dict[str, EpisodeRecord]:
        """Return the last record of each episode, by key.

        Raises:
            UsageError: A line of the log is damaged.
        """
        return {record.spec.key: record for record in self.log()}

    def log(self) -> Iterator[EpisodeRecord]:
        """Yield the records in the order of the log; an incomplete last line is left out.

        Raises:
            UsageError: Another line is damaged.
        """
        if not self.log_path.exists():
            return
        with self.log_path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if not line.endswith(b"\n"):
                    return
                try:
                    yield EpisodeRecord.from_json(line)
                except ValueError as error:
                    raise UsageError(
                        f"{self.log_path}:{number} is damaged ({error}); delete that line to run "
                        f"its episode again"
                    ) from error

    def sessions(self) -> list[dict[str, Any]]:
        """Return the start time and the number of workers of every session."""
        path = self.path / "sessions.jsonl"
        if not path.exists():
            return []
        found: list[dict[str, Any]] = []
        for line in path.read_text(errors="replace").splitlines():
            with suppress(ValueError):  # An incomplete line loses only that session.
                found.append(json.loads(line))
        return found

    def actions(self, key: str) -> NDArray[np.float32]:
        """Return the executed actions of an episode.

        Raises:
            UsageError: The run has no actions for this key.
        """
        try:
            loaded: NDArray[np.float32] = np.load(self._action_path(key), allow_pickle=False)
        except (OSError, ValueError) as error:
            raise UsageError(f"cannot read the actions of {key} in {self.path}") from error
        return loaded

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

    def __init__(self, path: Path, work: Work) -> None:
        """Create the folder or continue the run in it.

        Raises:
            UsageError: The folder cannot be written, holds another plan, or is in use.
        """
        super().__init__(path)
        try:
            (path / "actions").mkdir(parents=True, exist_ok=True)
            # The log is opened first, so that its lock guards every other file.
            self._log: IO[bytes] = self.log_path.open("ab")
        except OSError as error:
            raise UsageError(f"cannot write to {path}: {error.strerror}; choose --out") from error
        try:
            fcntl.flock(self._log, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._log.close()
            raise UsageError(
                f"another process is writing to {path}; wait or choose --out"
            ) from error
        try:
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
        """Record the start of a session, for the cost tables."""
        line = {"started": round(time.time(), 3), "workers": workers, "cores": os.cpu_count()}
        with (self.path / "sessions.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")

    def append(self, episode: Episode) -> None:
        """Write an episode: its actions first, so that every line of the log has actions.

        Raises:
            StorageError: The disk is full or gone. The log holds complete lines only.
        """
        whole = os.fstat(self._log.fileno()).st_size
        try:
            self._write(episode)
        except OSError as error:
            with suppress(OSError):
                self._log.close()
            with suppress(OSError):
                os.truncate(self.log_path, whole)
            raise StorageError(f"cannot write to {self.path}: {error.strerror}") from error

    def _write(self, episode: Episode) -> None:
        key = episode.record.spec.key
        partial = self._action_path(key).with_suffix(".partial")
        with partial.open("wb") as file:
            np.save(file, episode.actions, allow_pickle=False)
        partial.replace(self._action_path(key))
        self._write_traceback(key, episode.traceback)
        self._log.write(episode.record.to_json().encode() + b"\n")
        self._log.flush()
        os.fsync(self._log.fileno())

    def _write_traceback(self, key: str, lines: str) -> None:
        """Keep the traceback of an error; remove that of an earlier one."""
        path = self.error_path(key)
        if lines:
            path.parent.mkdir(exist_ok=True)
            path.write_text(lines, encoding="utf-8")
        else:
            path.unlink(missing_ok=True)

    def _claim(self, work: Work) -> None:
        """Write run.json, or check that it describes the same plan; repair the log."""
        facts = describe(work)
        target = self.path / "run.json"
        if target.exists():
            differences = _differences(self.facts, facts)
            if differences:
                raise UsageError(
                    f"{self.path} holds a run of another plan ({'; '.join(differences[:5])}); "
                    f"choose another --out, or delete the folder"
                )
        elif self.log_path.stat().st_size:
            raise UsageError(f"{self.log_path} has no run.json beside it; choose another --out")
        else:
            partial = target.with_suffix(".partial")
            partial.write_text(json.dumps(facts, indent=2) + "\n")
            partial.replace(target)
        content = self.log_path.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            os.truncate(self.log_path, whole)
            self.notices.append("the log's last line was incomplete; its episode runs again")


def describe(work: Work) -> dict[str, Any]:
    """Return the content of run.json for a plan."""
    return {
        "plan": work.plan.to_json(),
        "policies": sorted(work.policies),
        "players": work.players,
        "task_order": {
            setup.benchmark: [task.name for task in setup.family.tasks(setup.benchmark)]
            for setup in work.setups
        },
        "protocols": {
            setup.protocol.label: {
                "rules": setup.protocol.rules,
                "sources": dict(setup.protocol.sources),
            }
            | ({"note": setup.protocol.note} if setup.protocol.note else {})
            for setup in work.setups
        },
        "versions": {"assay": __version__}
        | {name: v for setup in work.setups for name, v in setup.family.versions().items()},
        "git": git_state(),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def notes_of(facts: Mapping[str, Any]) -> dict[str, str]:
    """Return the notes of a run's protocols, by label."""
    cards = facts["protocols"]
    return {label: card["note"] for label, card in cards.items() if card.get("note")}


def git_state() -> str | None:
    """Return the commit of the running code, marked as dirty if files changed; None without git."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    here = Path(__file__).parents[2]
    if not (here / ".git").exists():  # An installed package, perhaps inside another repository.
        return None
    try:
        done = subprocess.run(command, cwd=here, capture_output=True, text=True, check=False)
    except OSError:  # There is no git program.
        return None
    return done.stdout.strip() or None


def _comparable(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parts of a plan that decide its episodes, in a form that ignores their order."""
    plan = facts.get("plan", {})
    flat: dict[str, Any] = {
        "policies": ", ".join(sorted(facts.get("policies", []))),
        "episodes": plan.get("episodes"),
        "first": plan.get("first", 0),
        "seed": plan.get("seed"),
        "stop_when_decided": plan.get("stop_when_decided", False),
        "ablations": ", ".join(sorted(plan.get("ablations", []))),
    }
    for request in plan.get("benchmarks", []):
        protocol = ProtocolLabel.parse(request["protocol"]).name
        name = f"{request['name']} under {protocol}"
        flat[f"tasks of {name}"] = ", ".join(sorted(request["tasks"]))
    return flat


def _rules(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return every rule of every protocol, by name."""
    return {
        f"{rule} of {ProtocolLabel.parse(label).name}": value
        for label, card in facts.get("protocols", {}).items()
        for rule, value in card["rules"].items()
    }


def _differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    """Return the differences between two plans as text."""
    old, new = _comparable(there), _comparable(here)
    names = [name for name in dict.fromkeys([*old, *new]) if old.get(name) != new.get(name)]
    old_rules, new_rules = _rules(there), _rules(here)
    # A protocol that only one run has is named already; its rules would hide that.
    names += [r for r in old_rules if r in new_rules and old_rules[r] != new_rules[r]]
    old, new = old | old_rules, new | new_rules
    return [
        f"{name}: {old.get(name, 'none')} there, {new.get(name, 'none')} here" for name in names
    ]
