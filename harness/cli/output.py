"""Where messages go, and what was typed."""

from contextvars import ContextVar
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

TYPED: ContextVar[str] = ContextVar("TYPED", default="")
"""The command line as it was typed."""


@cache
def notes() -> "Console":
    """Return the console on stderr, for progress and messages. Results go to stdout."""
    from rich.console import Console

    return Console(stderr=True, emoji=False)  # "gym:package:id" is no emoji.
