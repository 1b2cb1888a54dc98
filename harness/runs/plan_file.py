"""Reads plans from a YAML file, or from the run.json of a run."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.contracts.bounded_files import read_bounded
from harness.contracts.errors import UsageError, require_known
from harness.contracts.foreign_text import error_line
from harness.contracts.yaml_files import read_yaml
from harness.runs.plan import BenchmarkRequest, Plan
from harness.runs.protocols import with_kept_card, with_replan_option

LARGEST_JSON = 2**24
"""Bytes of a run.json that is read as a plan, at most."""
_FIELDS = (
    "policies",
    "benchmarks",
    "episodes",
    "first",
    "seed",
    "stop_when_decided",
    "ablations",
    "replan",
)
_REQUEST_FIELDS = ("name", "tasks", "protocol")


def load_plans(path: Path) -> tuple[Plan, ...]:
    """Read a plan from a YAML file, or all plans of a run.json.

    Raises:
        UsageError: The file is missing or malformed, or a field is misspelt.
    """
    content = _parsed(path) if path.suffix == ".json" else read_yaml(path, "plan")
    if isinstance(content, dict) and "plans" in content:
        return tuple(_recorded(plan, content, path) for plan in _list(content, "plans", path))
    return (_written(content, str(path)),)


def _parsed(path: Path) -> Any:
    try:
        return json.loads(read_bounded(path, LARGEST_JSON))
    except OSError as error:
        raise UsageError(f"cannot read the plan {path}: {error}") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is not JSON: {error_line(str(error), 200)}") from error


def _written(content: Any, where: str) -> Plan:
    """Return the plan that a person wrote."""
    values = _known_fields(content, _FIELDS, where)
    if not values.get("policies") or not values.get("benchmarks"):
        raise UsageError(f"{where} must name at least one of policies and one of benchmarks")
    replan = None if "replan" not in values else _whole(values["replan"], "replan", where)
    return Plan(
        policies=_names(values["policies"], "policies", where),
        benchmarks=tuple(_request(each, replan, where) for each in _listed(values["benchmarks"])),
        episodes=_whole(values.get("episodes", 10), "episodes", where),
        first=_whole(values.get("first", 0), "first", where),
        seed=_whole(values.get("seed", 7), "seed", where),
        stop_when_decided=_truth(values.get("stop_when_decided", False), where),
        ablations=_names(values.get("ablations", []), "ablations", where),
    )


def _recorded(plan: Any, facts: dict[str, Any], path: Path) -> Plan:
    """Return a plan of a run.json, with the policies as they were given on the command line."""
    try:
        identities = tuple(plan["policies"])
        return Plan(
            policies=tuple(str(facts["policies"][name]["reference"]) for name in identities),
            benchmarks=tuple(
                BenchmarkRequest(
                    each["name"],
                    tuple(each["tasks"]),
                    with_kept_card(path.parent, each["protocol"]),
                )
                for each in plan["benchmarks"]
            ),
            episodes=_whole(plan["episodes"], "episodes", str(path)),
            first=_whole(plan["first"], "first", str(path)),
            seed=_whole(plan["seed"], "seed", str(path)),
            stop_when_decided=plan["stop_when_decided"] is True,
            ablations=tuple(plan["ablations"]),
            identities=identities,
        )
    except (KeyError, TypeError) as error:
        raise UsageError(f"{path} is damaged: a plan in it lacks {error}") from error


def _request(entry: Any, replan: int | None, where: str) -> BenchmarkRequest:
    values = _known_fields(
        {"name": entry} if isinstance(entry, str) else entry, _REQUEST_FIELDS, where
    )
    if "name" not in values:
        raise UsageError(f"a benchmark in {where} has no name")
    tasks = _names(values.get("tasks", []), "tasks", where)
    (protocol,) = _names([values.get("protocol", "")], "protocol", where)
    (name,) = _names([values["name"]], "the name of a benchmark", where)
    return BenchmarkRequest(name, tasks, with_replan_option(protocol, replan))


def _known_fields(content: Any, known: Sequence[str], where: str) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise UsageError(f"{where} must hold a mapping of fields, not {type(content).__name__}")
    for key in content:
        require_known(f"field in {where}", str(key), known)
    return content


def _list(content: dict[str, Any], name: str, path: Path) -> list[Any]:
    value = content[name]
    if not isinstance(value, list) or not value:
        raise UsageError(f"{path} is damaged: {name} must be a list")
    return value


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _names(value: Any, name: str, where: str) -> tuple[str, ...]:
    """Return names; YAML reads the index of a task as a number."""
    for each in _listed(value):
        if type(each) not in (str, int):
            raise UsageError(f"{name} in {where} must be text, got {each!r:.80}")
    return tuple(str(each) for each in _listed(value))


def _whole(value: Any, name: str, where: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise UsageError(f"{name} in {where} must be a whole number, got {value!r:.80}")
    return value


def _truth(value: Any, where: str) -> bool:
    if not isinstance(value, bool):
        raise UsageError(f"stop_when_decided in {where} must be true or false, got {value!r:.80}")
    return value
