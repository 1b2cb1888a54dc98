"""The form of run.json: a file of another version, or a damaged one, is refused in one line."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from harness.contracts.errors import UsageError
from harness.contracts.protocol import ProtocolLabel
from harness.runs.log_file import require_regular

LARGEST_FACTS = 2**26
"""Bytes of a run.json, at most."""
_MOST_EPISODES = 1_000_000
_LARGEST_NUMBER = 2**63 - 1

_Check = Callable[[Any], bool]


def read_facts(path: Path) -> dict[str, Any]:
    """Read a run.json.

    Raises:
        UsageError: It cannot be read, or does not have the form that this version writes.
    """
    try:
        require_regular(path)
        if path.stat().st_size > LARGEST_FACTS:
            raise UsageError(f"{path} has more than {LARGEST_FACTS} bytes")
        facts = json.loads(path.read_bytes())
    except RecursionError as error:
        raise UsageError(f"cannot read {path}: it is nested too deep") from error
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read {path}: {error}") from error
    if not isinstance(facts, dict) or not isinstance(facts.get("plans"), list):
        raise UsageError(f"{path} is not the run.json of a run: it has no list of plans")
    _require(path, "", facts, _FACTS)
    for number, plan in enumerate(facts["plans"]):
        _require(path, f"plans[{number}].", plan, _PLAN)
        for place, request in enumerate(plan["benchmarks"]):
            where = f"plans[{number}].benchmarks[{place}]."
            _require(path, where, request, _REQUEST)
            order = facts["task_order"].get(request["name"], [])
            if unknown := set(request["tasks"]) - set(order):
                raise _wrong(path, f"{where}tasks", f"{min(unknown)!r} is not in task_order")
    return facts


def _require(path: Path, where: str, values: Any, fields: Mapping[str, _Check]) -> None:
    """Require these fields and no others."""
    if not isinstance(values, dict):
        raise _wrong(path, where.rstrip(".") or "it", "no mapping")
    if missing := [name for name in fields if name not in values]:
        raise _wrong(path, f"{where}{missing[0]}", "missing")
    if unknown := [name for name in values if name not in fields]:
        raise _wrong(path, f"{where}{unknown[0][:100]}", "unknown here")
    for name, check in fields.items():
        if not check(values[name]):
            raise _wrong(path, f"{where}{name}", "of another form")


def _wrong(path: Path, name: str, what: str) -> UsageError:
    return UsageError(
        f"{path} is of another version of Assay, or damaged: {name} is {what}; read it with the "
        f"version that wrote it"
    )


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_number(value: Any, least: int = 0, most: int = _LARGEST_NUMBER) -> bool:
    return type(value) is int and least <= value <= most


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _is_map_of(check: _Check) -> _Check:
    return lambda value: isinstance(value, dict) and all(map(check, value.values()))


def _is_filled_list(value: Any) -> bool:
    return isinstance(value, list) and bool(value)


def _is_card(value: Any) -> bool:
    """Return whether this is a protocol's rules and their sources, perhaps with a note."""
    return (
        isinstance(value, dict)
        and set(value) - {"note"} == {"rules", "sources"}
        and isinstance(value["rules"], dict)
        and _is_map_of(_is_text)(value["sources"])
        and _is_text(value.get("note", ""))
    )


def _is_origin(value: Any) -> bool:
    """Return whether this says where a policy comes from."""
    return (
        isinstance(value, dict)
        and set(value) == {"reference", "files", "code"}
        and _is_text(value["reference"])
        and _is_map_of(_is_text)(value["files"])
        and _is_texts(value["code"])
    )


def _is_label(value: Any) -> bool:
    try:
        return _is_text(value) and bool(ProtocolLabel.parse(value).name)
    except (UsageError, ValueError):
        return False


_FACTS: Mapping[str, _Check] = {
    "plans": _is_filled_list,
    "policies": _is_map_of(_is_origin),
    "players": _is_texts,
    "task_order": _is_map_of(_is_texts),
    "protocols": lambda value: _is_map_of(_is_card)(value) and all(map(_is_label, value)),
    "versions": _is_map_of(_is_text),
    "git": lambda value: value is None or _is_text(value),
    "command": _is_text,
    "created": _is_text,
}
_PLAN: Mapping[str, _Check] = {
    "policies": _is_texts,
    "benchmarks": lambda value: isinstance(value, list),
    # A recording wants an open number of episodes, and writes 0.
    "episodes": lambda value: _is_number(value, 0, _MOST_EPISODES),
    "first": _is_number,
    "seed": _is_number,
    "stop_when_decided": lambda value: isinstance(value, bool),
    "ablations": _is_texts,
}
_REQUEST: Mapping[str, _Check] = {"name": _is_text, "tasks": _is_texts, "protocol": _is_label}
