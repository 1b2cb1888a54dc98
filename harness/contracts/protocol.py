"""Protocol cards: the named, hashed rules under which an episode is scored."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import yaml

from harness.contracts.errors import UsageError
from harness.contracts.spec import digest

HASH_LENGTH = 10
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
            UsageError: The card lacks a field, has an unknown one, or gives no source.
        """
        card = yaml.safe_load(path.read_text())
        name, summary = card.pop("name"), card.pop("summary")
        known = {f.name for f in fields(cls)}
        for key, entry in card.items():
            if key not in known:
                raise UsageError(f"{path.name}: unknown field {key!r}")
            if set(entry) != {"value", "source"} or not entry["source"]:
                raise UsageError(f"{path.name}: {key} needs a value and a source")
        values = {key: frozen(entry["value"]) for key, entry in card.items()}
        sources = {key: entry["source"] for key, entry in card.items()}
        made = cls(name=f"{family}/{name}", summary=summary, sources=sources, **values)
        return replace(made, **overrides)


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
