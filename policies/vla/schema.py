"""Checks JSON against a dataclass: every field's name, type and range.

An error names the field by its path, as `contract.network.expert.width must be a whole number from
1 to 65536, not '128'`.
"""

from collections.abc import Mapping
from dataclasses import MISSING, fields
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from harness.contracts.errors import UsageError, require_known
from policies.vla.config import ConvConfig, SiglipConfig

_LARGEST = 65_536
"""The largest whole number, unless a range says otherwise."""
_LARGEST_FLOAT = 1e12
_RANGES: Mapping[str, tuple[int, int]] = {
    "cameras": (0, 64),
    "state_size": (0, 10_000),
    "text_length": (2, 10_000),
    "vocabulary": (1, 10_000_000),
    "depth": (1, 200),
    "pixels": (4, 4096),
    "replan": (1, 10_000),
    "relative": (0, 10_000),
    "angles": (0, 10_000),
    "state_angles": (0, 10_000),
    "mlp": (1, 1_000_000),
}
"""By field; others are from 1 on."""


def require_fields(kind: type, written: object, path: str) -> None:
    """Check JSON that `asdict` of a dataclass gave; fields with a default may be missing.

    Raises:
        UsageError: A field is missing, unknown, or has a value of the wrong type or range.
    """
    if not isinstance(written, Mapping):
        raise UsageError(f"{path} must be an object with fields, not {_short(written)}")
    hints = get_type_hints(kind)
    for name in written:
        require_known(f"field of {path}", name, hints)
    for field in fields(kind):
        place = f"{path}.{field.name}"
        if field.name in written:
            _require(hints[field.name], written[field.name], place)
        elif field.default is MISSING:
            raise UsageError(f"{place} is missing")


def _require(hint: Any, value: Any, path: str) -> None:
    """Require a value of a type."""
    origin, parts = get_origin(hint), get_args(hint)
    if hint is Any or (NoneType in parts and value is None):
        return
    if set(parts) == {ConvConfig, SiglipConfig}:
        vision = isinstance(value, Mapping) and "patch" in value
        require_fields(SiglipConfig if vision else ConvConfig, value, path)
    elif NoneType in parts:
        _require(next(part for part in parts if part is not NoneType), value, path)
    elif origin is Literal:
        wanted = " or ".join(map(repr, parts))
        _check(isinstance(value, str) and value in parts, path, wanted, value)
    elif origin is tuple:
        _check(isinstance(value, list), path, "a list", value)
        for place, each in enumerate(value):
            _require(parts[0], each, f"{path}[{place}]")
    elif origin is not None:  # The head's options; the head checks them.
        _check(isinstance(value, Mapping), path, "an object with fields", value)
    elif hint in (int, float, bool, str):
        _require_plain(hint, value, path)
    else:
        require_fields(hint, value, path)


def _require_plain(hint: type, value: Any, path: str) -> None:
    """Require a number, a truth value or a text."""
    if hint is int:
        name = path.rpartition(".")[2].partition("[")[0]
        low, high = _RANGES.get(name, (1, _LARGEST))
        fits = type(value) is int and low <= value <= high
        _check(fits, path, f"a whole number from {low} to {high}", value)
    elif hint is float:
        fits = type(value) in (int, float) and abs(value) <= _LARGEST_FLOAT
        _check(fits, path, "a finite number", value)
    else:
        _check(type(value) is hint, path, "true or false" if hint is bool else "a text", value)


def _check(fits: bool, path: str, wanted: str, value: object) -> None:
    if not fits:
        raise UsageError(f"{path} must be {wanted}, not {_short(value)}")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
