"""The errors that are the user's to mend, told apart from those of a simulator."""

import difflib
from collections.abc import Iterable


class UsageError(Exception):
    """A request that cannot be carried out as given; its message is one line that names the fix.

    The command line prints the message and exits with code 2, before any simulator starts.
    """


class StorageError(Exception):
    """A run's folder can no longer be written; what it holds is whole, so the run can continue."""


class PolicyError(Exception):
    """A policy broke its contract, so its episode ends as a failure with `reason`."""

    def __init__(self, reason: str) -> None:
        """Keep the reason that the record will carry."""
        super().__init__(reason)
        self.reason = reason


def require_known(kind: str, name: str, known: Iterable[str]) -> None:
    """Refuse an unknown name, with the nearest known ones.

    Raises:
        UsageError: `name` is not among `known`.
    """
    known = list(known)
    if name in known:
        return
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(close)}?" if close else f"known: {', '.join(known[:12])}"
    raise UsageError(f"unknown {kind} {name!r}; {hint}")
