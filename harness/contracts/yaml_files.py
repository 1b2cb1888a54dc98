"""The one reader of YAML from outside: strict, and bounded in bytes, values and depth.

It takes texts, numbers, true and false, null, lists and mappings. It refuses what makes a small
file huge or a mistake silent: anchors and references, tags, a key that stands twice, a date.
"""

from pathlib import Path
from typing import Any

import yaml

from harness.contracts.bounded_files import read_bounded
from harness.contracts.errors import UsageError
from harness.contracts.foreign_text import error_line

LARGEST_YAML = 2**18
"""Bytes of a file, at most; the largest bundled one has 4% of them."""
MOST_VALUES = 10_000
"""Values in a file, at most, so that no file takes more than about a second."""
DEEPEST_YAML = 32
"""Lists and mappings within each other, at most."""
LONGEST_NUMBER = 100
"""Characters of a number, at most."""
_LONGEST_SHOWN = 100
_TAG = "tag:yaml.org,2002:"
_NUMBERS = (f"{_TAG}int", f"{_TAG}float")


class _Refused(yaml.YAMLError):
    """Says what is wrong in a sentence, with its line."""

    def __init__(self, problem: str, mark: yaml.Mark | None) -> None:
        super().__init__(problem)
        self.problem, self.problem_mark = problem, mark


class _StrictLoader(yaml.SafeLoader):
    """Builds plain values alone, and stops at the first thing that it does not allow."""

    _values = 0
    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Refuse references, and too many or too deep values, before they are built."""
        event = self.peek_event()  # type: ignore[no-untyped-call]
        mark = event.start_mark
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            raise _Refused("a reference (&name or *name); write the value out", mark)
        self._values += 1
        self._depth += 1
        if self._values > MOST_VALUES:
            raise _Refused(f"more than {MOST_VALUES} values", mark)
        if self._depth > DEEPEST_YAML:
            raise _Refused("it is nested too deeply", mark)
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Build a plain value; lists and mappings with all that is in them."""
        kind = node.tag.removeprefix(_TAG)
        if isinstance(node, yaml.MappingNode) and kind == "map":
            return self._mapping(node)
        if isinstance(node, yaml.SequenceNode) and kind == "seq":
            return [self.construct_object(item) for item in node.value]
        if kind == "timestamp":
            raise _Refused("a date; put it in quotes", node.start_mark)
        plain = ("null", "bool", "int", "float", "str")
        if not isinstance(node, yaml.ScalarNode) or kind not in plain:
            raise _Refused(f"the tag {node.tag} is not YAML of plain values", node.start_mark)
        if node.tag in _NUMBERS and len(node.value) > LONGEST_NUMBER:
            raise _Refused(f"a number of {len(node.value)} characters", node.start_mark)
        if node.tag in _NUMBERS and ":" in node.value:  # YAML 1.1 would read 25:50 as 1550.
            raise _Refused(f"{node.value} is no number; put it in quotes", node.start_mark)
        try:
            return super().construct_object(node, deep=True)
        except (ValueError, LookupError, OverflowError) as error:  # E.g. `!!int x`.
            raise _Refused(f"{node.value[:20]!r} is no {kind}", node.start_mark) from error

    def _mapping(self, node: yaml.MappingNode) -> dict[str, Any]:
        built: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if isinstance(key_node, yaml.ScalarNode) and key_node.tag == f"{_TAG}merge":
                raise _Refused("<< is not allowed; write the values out", key_node.start_mark)
            key = self.construct_object(key_node)
            if not isinstance(key, str):
                shown = key_node.value[:20] if isinstance(key_node, yaml.ScalarNode) else "a list"
                raise _Refused(f"the key {shown} must be text", key_node.start_mark)
            if key in built:
                raise _Refused(
                    f"the key {error_line(key, 60)} stands twice; keep one", key_node.start_mark
                )
            built[key] = self.construct_object(value_node)
        return built


def parse_yaml(text: str) -> Any:
    """Return the content of a YAML text.

    Raises:
        ValueError: It is not YAML, or holds something that is not allowed; the message names the
            line.
    """
    if len(text) > LARGEST_YAML:
        raise ValueError(f"it has more than {LARGEST_YAML} characters")
    try:
        return yaml.load(text, _StrictLoader)  # noqa: S506 - stricter than the safe one
    except _Refused as error:
        raise ValueError(_sentence(error.problem, error)) from error
    except yaml.MarkedYAMLError as error:
        problem = error.problem or error.context or ""
        raise ValueError(f"it is not YAML: {_sentence(problem, error)}") from error
    except (yaml.YAMLError, ValueError) as error:  # A ValueError is a character above U+10FFFF.
        raise ValueError(f"it is not YAML: {error_line(str(error), _LONGEST_SHOWN)}") from error


def read_yaml(path: Path, kind: str) -> Any:
    """Return the content of a YAML file; `kind` is what it is, for the error.

    Raises:
        UsageError: It cannot be read, is no regular file, is too large, or is not YAML.
    """
    try:
        text = read_bounded(path, LARGEST_YAML).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the {kind} {path}: {error_line(str(error))}") from error
    try:
        return parse_yaml(text)
    except ValueError as error:
        raise UsageError(f"cannot read the {kind} {path}: {error}") from error


def _sentence(problem: str, error: Any) -> str:
    mark = error.problem_mark
    where = "" if mark is None else f"line {mark.line + 1}: "
    return where + error_line(problem, _LONGEST_SHOWN)
