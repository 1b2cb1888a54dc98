"""Finds benchmarks and policies by name, through entry points that any package can add."""

import re
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from harness.contracts.benchmark import Benchmark
from harness.contracts.errors import UsageError, require_known
from harness.contracts.policy import Policy

BENCHMARK_GROUP = "assay.benchmarks"
POLICY_GROUP = "assay.policies"
SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
"""Names reach file names and tables, so they hold nothing that a path or a page could misread."""


@cache
def _points(group: str) -> dict[str, EntryPoint]:
    points = {point.name: point for point in entry_points(group=group)}
    if not points:
        raise UsageError(f"no {group} are installed; run: pip install -e .")
    return {name: points[name] for name in sorted(points)}


@cache
def families() -> dict[str, Benchmark]:
    """Return every installed benchmark family by name; importing one is cheap by contract."""
    return {name: point.load()() for name, point in _points(BENCHMARK_GROUP).items()}


def find_benchmark(name: str) -> Benchmark:
    """Return the family that has the benchmark `name`.

    Raises:
        UsageError: No family has it.
    """
    owners = {suite: family for family in families().values() for suite in family.benchmarks()}
    if name not in owners:
        for family_name, family in families().items():
            problem = family.problem(images=False)
            if name.startswith(family_name) and problem:
                raise UsageError(problem)
    require_known("benchmark", name, owners)
    return owners[name]


def policy_names() -> list[str]:
    """Return the names of every installed policy."""
    return list(_points(POLICY_GROUP))


def policy_class(name: str) -> type[Policy]:
    """Return the class registered under `name`.

    Raises:
        UsageError: No policy has that name.
    """
    require_known("policy", name, policy_names())
    loaded: Any = _points(POLICY_GROUP)[name].load()
    if not (isinstance(loaded, type) and issubclass(loaded, Policy)):
        raise UsageError(f"the entry point of policy {name!r} is not a Policy: {loaded!r}")
    return loaded


def make_policy(reference: str) -> Policy:
    """Build a policy from ``name`` or ``name:source``, e.g. ``replay:results/my-run``.

    Raises:
        UsageError: The name is unknown, or the source is missing, unwanted or not there.
    """
    name, colon, source = reference.partition(":")
    made = policy_class(name)
    wants_source = getattr(made, "source", None)
    if wants_source and not source:
        raise UsageError(f"policy {name!r} needs {wants_source}: write {name}:{wants_source}")
    if colon and not wants_source:
        raise UsageError(f"policy {name!r} takes no source; write just {name}")
    return made(source) if wants_source else made()  # type: ignore[call-arg]
