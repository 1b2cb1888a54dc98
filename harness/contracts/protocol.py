"""Protocol cards: the named, hashed rules under which an episode is scored."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import yaml

from harness.contracts.errors import UsageError
from harness.contracts.spec import digest

HASH_LENGTH = 10


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """Everything that changes a score. A benchmark adds its own fields in a subclass.

    Attributes:
        name: ``family/card``, e.g. ``libero/openpi``.
        summary: One sentence for ``run_eval.py list protocols``.
        sources: For each field, where its value was read.
        max_steps: The step limit of each benchmark; a longer name takes its longest prefix's.
        replan: Actions executed before the policy is asked again; None executes the whole chunk.
        batch: Environments that one simulator steps together, where each may depend on its
            neighbours; 1 is the ordinary simulator.
        episodes_per_task: How many episodes the protocol prescribes.
        simulator: The installed simulator's versions, filled in when the card is loaded.
        note: What has to be said wherever its numbers stand, if they are comparable with no
            published ones; it keeps published numbers out of their places.
    """

    name: str
    summary: str = field(default="", metadata={"scored": False})
    sources: Mapping[str, str] = field(default_factory=dict, metadata={"scored": False})
    max_steps: Mapping[str, int]
    replan: int | None = None
    batch: int = field(default=1, metadata={"younger": True})
    episodes_per_task: int = field(default=50, metadata={"scored": False})
    simulator: str = ""
    note: str = field(default="", metadata={"scored": False})

    @cached_property
    def label(self) -> str:
        """The name with the hash of all that changes a score: what a record and a table carry."""
        return f"{self.name}@{digest(self.rules)[:HASH_LENGTH]}"

    @property
    def rules(self) -> dict[str, Any]:
        """The fields that change a score, as plain JSON values.

        What is younger than labels of published results is left out where it has its default.
        """
        rules = {}
        for known in fields(self):
            value = getattr(self, known.name)
            unchanged = known.metadata.get("younger", False) and value == known.default
            if known.metadata.get("scored", True) and known.name != "name" and not unchanged:
                rules[known.name] = plain(value)
        return rules

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
