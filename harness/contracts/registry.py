"""Finds benchmarks and policies by name, through entry points that any package can add."""

import re
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from harness.contracts.benchmark import Benchmark
from harness.contracts.errors import PolicyCrashed, UsageError, require_known
from harness.contracts.extras import install_hint, is_checkout
from harness.contracts.policy import Policy

BENCHMARK_GROUP = "assay.benchmarks"
POLICY_GROUP = "assay.policies"
OBJECT = "object:"
"""Begins the reference of a policy that was an object in a Python program, not a name."""
SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
"""Names of policies reach file names and tables, so they hold only these characters."""


@cache
def _points(group: str) -> dict[str, EntryPoint]:
    points = {point.name: point for point in entry_points(group=group)}
    if not points:
        fix = "-e ." if is_checkout() else "--force-reinstall assay"
        raise UsageError(f"no {group} are installed; run: pip install {fix}")
    return {name: points[name] for name in sorted(points)}


@cache
def _loaded_families() -> tuple[dict[str, Benchmark], dict[str, str]]:
    loaded, broken = {}, {}
    for name, point in _points(BENCHMARK_GROUP).items():
        try:
            loaded[name] = point.load()()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - one broken package must not break the others
            broken[name] = _import_problem("benchmark family", point, error)
    return loaded, broken


def families() -> dict[str, Benchmark]:
    """Return the installed benchmark families by name; importing one must be cheap."""
    return _loaded_families()[0]


def broken_families() -> dict[str, str]:
    """Return why an installed family cannot be imported, by name."""
    return _loaded_families()[1]


def find_benchmark(name: str) -> Benchmark:
    """Return the family that has the benchmark `name`.

    Raises:
        UsageError: No family has it, or its family cannot run here.
    """
    owners = {suite: family for family in families().values() for suite in family.benchmarks()}
    for family in families().values():
        if family.accepts(name):
            return family
    if name not in owners:
        problems = broken_families() | {
            family_name: family.problem(images=False) for family_name, family in families().items()
        }
        for family_name, problem in problems.items():
            if name.startswith(family_name) and problem:
                raise UsageError(problem)
    require_known("benchmark", name, owners)
    return owners[name]


def policy_names() -> list[str]:
    """Return the names of all installed policies."""
    return list(_points(POLICY_GROUP))


def policy_summary(name: str) -> str:
    """Return the first line of a policy's docstring, or why it cannot be imported."""
    try:
        doc = policy_class(name).__doc__ or ""
    except UsageError as error:
        return f"cannot be used here: {error}"
    return doc.strip().partition("\n")[0]


def policy_class(name: str) -> type[Policy]:
    """Return the class registered under `name`.

    Raises:
        UsageError: No policy has that name, or it cannot be imported.
    """
    require_known("policy", name, policy_names())
    point = _points(POLICY_GROUP)[name]
    try:
        loaded: Any = point.load()
    except (Exception, SystemExit) as error:
        raise UsageError(_import_problem("policy", point, error)) from error
    if not (isinstance(loaded, type) and issubclass(loaded, Policy)):
        raise UsageError(f"the entry point of policy {name!r} is not a Policy: {loaded!r}")
    return loaded


def make_policy(reference: str) -> Policy:
    """Build a policy from ``name`` or ``name:source``, e.g. ``replay:results/my-run``.

    Raises:
        UsageError: The name is unknown, or the source is missing, unwanted or does not exist.
        PolicyCrashed: The policy's code ends the program.
    """
    if reference.startswith(OBJECT):
        raise UsageError(
            f"{reference.removeprefix(OBJECT)} was an object in Python; evaluate it there again"
        )
    name, colon, source = reference.partition(":")
    if name.endswith(".py"):
        whole = f"python:{reference}" if source else f"python:{name}:NAME"
        raise UsageError(f"{name} is a file, not the name of a policy; did you mean {whole}?")
    made = policy_class(name)
    wants_source = getattr(made, "source", None)
    if wants_source and not source:
        raise UsageError(f"policy {name!r} needs {wants_source}: write {name}:{wants_source}")
    if colon and not wants_source:
        raise UsageError(f"policy {name!r} takes no source; write just {name}")
    try:
        return made(source) if wants_source else made()  # type: ignore[call-arg]
    except SystemExit as error:
        raise PolicyCrashed.of(error) from error


def _import_problem(kind: str, point: EntryPoint, error: BaseException) -> str:
    """Say why an entry point cannot be imported and which package may be missing."""
    problem = f"{kind} {point.name!r} cannot be imported ({type(error).__name__}: {error})"
    hint = install_hint(error) if isinstance(error, ModuleNotFoundError) else None
    return f"{problem}; run: {hint}" if hint else problem
