"""The errors that a user can fix, apart from those of a simulator."""

import difflib
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import Self

LONGEST_MESSAGE = 300
"""Characters of an exception's message that a record keeps."""
LONGEST_NAME_SHOWN = 100
"""Characters of an unknown name that an error shows."""
LONGEST_TRACEBACK = 20_000
"""Characters of a traceback that a run keeps."""


class UsageError(Exception):
    """A mistake in the request. The message is one line that names the fix.

    The command line prints the message and exits with code 2.
    """


class RunStopped(Exception):  # noqa: N818 - an event, as a message says it
    """What a run needs is gone. Its folder's content is valid, so the run can continue.

    The command line prints the message and exits with code 3.
    """


class StorageError(RunStopped):
    """A run's folder cannot be written any more."""


class RayLost(RunStopped):
    """A process of Ray that no run can do without has died."""


class PolicyError(Exception):
    """A policy broke its contract; its episode ends as a failure with `reason`."""

    def __init__(self, reason: str) -> None:
        """Keep the reason for the record."""
        super().__init__(reason)
        self.reason = reason


class PolicyCrashed(Exception):  # noqa: N818 - an event, as the log says it
    """The policy's own code raised an exception. The episode is an error and is not repeated."""

    def __init__(self, summary: str, traceback: str) -> None:
        """Keep the exception in one line, and its traceback."""
        super().__init__(summary, traceback)
        self.summary, self.traceback = summary, traceback

    def __str__(self) -> str:
        """Return the exception in one line."""
        return self.summary

    @classmethod
    def of(cls, error: BaseException) -> Self:
        """Return the crash for an exception that the policy raised."""
        frames = traceback.extract_tb(error.__traceback__)
        theirs = [frame for frame in frames if not _is_ours(frame.filename)] or frames
        where = "".join(f" ({Path(f.filename).name}:{f.lineno})" for f in theirs[-1:])
        text = " ".join(str(error).split())[:LONGEST_MESSAGE]
        if isinstance(error, ValueError) and "read-only" in text:
            text += "; the observation's arrays cannot be changed, copy them first"
        lines = "".join(traceback.format_exception(error))
        return cls(f"{type(error).__name__}: {text}{where}", lines[-LONGEST_TRACEBACK:])


def _is_ours(filename: str) -> bool:
    """Return whether a file belongs to the engine or to its policies, not to the user."""
    home = Path(__file__).parents[2]
    return any((home / package) in Path(filename).parents for package in ("harness", "policies"))


class MemoryLost(Exception):  # noqa: N818 - the engine handles it
    """The process that held a policy's memory of an episode died; the episode starts again."""


def require_known(kind: str, name: str, known: Iterable[str]) -> None:
    """Require a known name; the error suggests the nearest ones.

    Raises:
        UsageError: `name` is not among `known`.
    """
    known = list(known)
    if name in known:
        return
    known = [each[:LONGEST_NAME_SHOWN] for each in known]
    short = name[:LONGEST_NAME_SHOWN]  # A name may come from a file of anyone.
    close = difflib.get_close_matches(short, known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(close)}?" if close else f"known: {', '.join(known[:12])}"
    raise UsageError(f"unknown {kind} {short!r}; {hint}")
