"""One line of the report on a policy."""

from dataclasses import dataclass
from typing import Literal

Severity = Literal["ok", "warning", "problem"]


@dataclass(frozen=True)
class Remark:
    """What was found about one topic.

    Attributes:
        level: `ok`, `warning` (look at it) or `problem` (the score would be wrong).
        topic: What was checked, e.g. ``pictures``.
        text: What was found, with the number of scenes or states behind it.
        fix: What to change; empty if there is nothing to change.
    """

    level: Severity
    topic: str
    text: str
    fix: str = ""
