"""Protocol cards: the named, hashed rules under which an episode is scored."""

import re
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self, get_type_hints

from harness.contracts.cards import described, fits, read_card
from harness.contracts.errors import UsageError, require_known
from harness.contracts.spec import digest

HASH_LENGTH = 10
CARD_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+_-]{0,63}")
_SET_WHEN_LOADED = ("name", "summary", "sources", "simulator", "note", "file")
"""Fields that are not written in a card as a value with its source."""
LABEL = re.compile(r"([^/@]+)/([^@]+)@([0-9a-f]+)")


@dataclass(frozen=True)
class ProtocolLabel:
    """A protocol's name and the hash of its rules, written ``family/card@hash``."""

    family: str
    card: str
    hash: str

    def __str__(self) -> str:
        """Return the label as records and tables carry it."""
        return f"{self.family}/{self.card}@{self.hash}"

    @property
    def name(self) -> str:
        """The label without its hash."""
        return f"{self.family}/{self.card}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a label that `str` wrote.

        Raises:
            ValueError: The text is not a label.
        """
        found = LABEL.fullmatch(text)
        if found is None:
            raise ValueError(f"{text!r} is not a protocol's label, family/card@hash")
        return cls(*found.groups())


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """Everything that changes a score. A benchmark adds its own fields in a subclass.

    Attributes:
        name: ``family/card``, e.g. ``libero/openpi``.
        summary: One sentence for ``run_eval.py list protocols``.
        sources: The source of each field's value.
        max_steps: The step limit by benchmark; a benchmark takes the longest prefix of its name.
        replan: Actions executed before the policy is asked again; None executes the whole chunk.
        episodes_per_task: The number of episodes that the protocol prescribes.
        simulator: The versions of the installed simulator, set when the card is loaded.
        file: The card's file, if a request named it; empty for a bundled card.
        note: Printed with every result, if the results compare with no published numbers. Tables
            then show no published numbers beside them.
    """

    name: str
    summary: str = field(default="", metadata={"scored": False})
    sources: Mapping[str, str] = field(default_factory=dict, metadata={"scored": False})
    max_steps: Mapping[str, int]
    replan: int | None = None
    episodes_per_task: int = field(default=50, metadata={"scored": False})
    simulator: str = ""
    note: str = field(default="", metadata={"scored": False})
    file: str = field(default="", metadata={"scored": False})

    @cached_property
    def label(self) -> str:
        """The name with a hash of every rule; records and tables carry it."""
        family, _, card = self.name.partition("/")
        return str(ProtocolLabel(family, card, digest(self.rules)[:HASH_LENGTH]))

    @property
    def rules(self) -> dict[str, Any]:
        """The fields that change a score, as plain JSON values."""
        scored = [f.name for f in fields(self) if f.metadata.get("scored", True)]
        return {name: plain(getattr(self, name)) for name in scored if name != "name"}

    def limit(self, benchmark: str) -> int:
        """Return the step limit of a benchmark.

        Raises:
            UsageError: The protocol says nothing about this benchmark.
        """
        known = [name for name in self.max_steps if benchmark.startswith(name)]
        if not known:
            raise UsageError(f"protocol {self.name} has no step limit for {benchmark}")
        return self.max_steps[max(known, key=len)]

    def shortened(self, benchmark: str, steps: int) -> Self:
        """Return the protocol with another step limit for a benchmark's tasks."""
        return replace(self, max_steps={benchmark: steps})

    @classmethod
    def load(cls, path: Path, family: str, **overrides: Any) -> Self:
        """Read a card: a YAML mapping of ``field: {value, source}``.

        Raises:
            UsageError: The file is no card, lacks a field, has an unknown one, gives no source for
                one, or has a value of another type than the field.
        """
        card = read_card(path)
        name, summary = _text(card, "name", path), _text(card, "summary", path)
        if not CARD_NAME.fullmatch(name):
            raise UsageError(
                f"{path}: name {name!r:.80} may hold letters, digits, dots and hyphens"
            )
        hints = get_type_hints(cls)
        known = {f.name: f for f in fields(cls) if f.name not in _SET_WHEN_LOADED}
        values, sources = {}, {}
        for key, entry in card.items():
            require_known(f"field in {path.name}", key, known)
            if not isinstance(entry, dict) or set(entry) != {"value", "source"}:
                raise UsageError(f"{path}: {key} needs a value and a source, and nothing else")
            values[key], sources[key] = frozen(entry["value"]), _text(entry, "source", path)
            if not fits(values[key], hints[key]):
                wanted = described(hints[key])
                raise UsageError(f"{path}: {key} must be {wanted}, got {entry['value']!r:.80}")
        required = [f.name for f in known.values() if f.default is f.default_factory is MISSING]
        if missing := [field_name for field_name in required if field_name not in values]:
            raise UsageError(f"{path} lacks the fields {', '.join(missing)}")
        made = cls(name=f"{family}/{name}", summary=summary, sources=sources, **values)
        made.check()
        return replace(made, **overrides)

    def check(self) -> None:
        """Refuse values that no episode can be played with; a family may refuse more.

        Raises:
            UsageError: A value is out of range, or nothing here implements it.
        """
        numbers = {"episodes_per_task": self.episodes_per_task, "replan": self.replan}
        for key, number in numbers.items():
            if number is not None and number < 1:
                raise UsageError(f"{key} of {self.name} must be at least 1, got {number}")
        if min(self.max_steps.values(), default=0) < 0:
            raise UsageError(f"max_steps of {self.name} must not be negative")


def _text(entry: dict[str, Any], key: str, path: Path) -> str:
    """Take a required text out of a mapping."""
    value = entry.pop(key, None)
    if not isinstance(value, str) or not value.strip():
        raise UsageError(f"{path}: a {key} is missing, or is not text")
    return value


def plain(value: Any) -> Any:
    """Turn tuples and mappings into the lists and dicts that JSON knows."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    return value


def frozen(value: Any) -> Any:
    """Turn lists into tuples, so that a card can be compared and never changed."""
    return tuple(frozen(item) for item in value) if isinstance(value, list) else value
