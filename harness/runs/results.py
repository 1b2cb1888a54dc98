"""Finds episodes to which a log gives two results. No run writes that: neither can be trusted."""

from dataclasses import fields
from operator import attrgetter

from harness.contracts.record import MEASURED, EpisodeRecord

_result = attrgetter(*(f.name for f in fields(EpisodeRecord) if f.name not in ("spec", *MEASURED)))
"""Returns what follows from an episode's spec alone."""


class Results:
    """The results that a log has given so far. A line that repeats a result is harmless."""

    def __init__(self) -> None:
        """Know no result yet."""
        # A number in place of the result: a log may have a million lines.
        self._first: dict[str, tuple[int, int]] = {}

    def contradicted(self, number: int, record: EpisodeRecord) -> int | None:
        """Return the line that gave this episode another result, if there is one.

        Args:
            number: The number of the record's line.
            record: The record. An error is no result: a run plays the episode again.
        """
        if record.outcome == "error":
            return None
        values = (tuple(v.items()) if isinstance(v, dict) else v for v in _result(record))
        result = hash(tuple(values))
        line, known = self._first.setdefault(record.spec.key, (number, result))
        return None if known == result else line
