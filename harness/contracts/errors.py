"""The errors that a user can fix, apart from those of a simulator."""

import difflib
from collections.abc import Iterable


class UsageError(Exception):
    """A mistake in the request. The message is one line that names the fix.

    The command line prints the message and exits with code 2.
    """


class StorageError(Exception):
    """A run's folder cannot be written any more. Its content is valid, so the run can continue."""


class PolicyError(Exception):
    """A policy broke its contract; its episode ends as a failure with `reason`."""

    def __init__(self, reason: str) -> None:
        """Keep the reason for the record."""
        super().__init__(reason)
        self.reason = reason


def require_known(kind: str, name: str, known: Iterable[str]) -> None:
    """Require a known name; the error suggests the nearest ones.

    Raises:
        UsageError: `name` is not among `known`.
    """
    known = list(known)
    if name in known:
        return
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(close)}?" if close else f"known: {', '.join(known[:12])}"
    raise UsageError(f"unknown {kind} {name!r}; {hint}")
