"""Reads protocol cards, which may come from anyone: a bounded file, plain values, typed fields."""

import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from harness.contracts.errors import UsageError
from harness.contracts.yaml_files import read_yaml

CARD_SUFFIXES = (".yaml", ".yml")


def read_card(path: Path) -> dict[str, Any]:
    """Return the content of a card, a mapping by field.

    Raises:
        UsageError: The file cannot be read, is too large, or is no such mapping.
    """
    content: Any = read_yaml(path, "protocol card")
    if not isinstance(content, dict):
        raise UsageError(f"{path} is no protocol card: it must hold a mapping of fields")
    return content


def fits(value: Any, hint: Any) -> bool:
    """Return whether a card's value has the type that a protocol's field declares."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if origin in (Union, types.UnionType):
        return any(fits(value, each) for each in arguments)
    if origin is Literal:
        return any(value == each and type(value) is type(each) for each in arguments)
    if origin is tuple:
        return isinstance(value, tuple) and _items_fit(value, arguments)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        key, item = arguments
        return isinstance(value, dict) and all(
            fits(name, key) and fits(each, item) for name, each in value.items()
        )
    if hint is float:
        return type(value) in (int, float) and value == value
    return type(value) is (type(None) if hint is None else hint)


def described(hint: Any) -> str:
    """Return in words what a field's values are."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return " or ".join(described(each) for each in arguments)
    if origin is Literal:
        return " or ".join(str(each) for each in arguments)
    if origin is tuple:
        kinds = described(arguments[0])
        return f"a list of {kinds}" if ... in arguments else f"a list of {len(arguments)}: {kinds}"
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return f"a mapping from {described(arguments[0])} to {described(arguments[1])}"
    names = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
    return "null" if hint in (None, type(None)) else names.get(hint, "any value")


def _items_fit(value: tuple[Any, ...], arguments: Sequence[Any]) -> bool:
    if len(arguments) == 2 and arguments[1] is ...:
        return all(fits(item, arguments[0]) for item in value)
    return len(value) == len(arguments) and all(map(fits, value, arguments))
