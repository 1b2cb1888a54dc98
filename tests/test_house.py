"""The rules of the house: which room imports which, and how long a file may be."""

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("assay", "harness", "benchmarks", "policies")
FORBIDDEN = {
    "assay": {"benchmarks"},
    "harness": {"assay", "benchmarks", "policies"},
    "benchmarks": {"assay", "policies"},
    "policies": {"assay", "benchmarks"},
}
ROOMS = (
    "contracts",
    "statistics",
    "published",
    "venvs",
    "play",
    "inference",
    "serving",
    "runs",
    "backends",
    "preflight",
    "conformance",
    "report",
    "demonstrations",
    "cli",
)
"""The rooms of harness. A room imports only rooms that stand before it."""
ENGINE = ("contracts", "statistics", "play", "inference", "serving", "runs", "backends", "report")
FILES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in FILES
}


@cache
def imports(path: Path) -> frozenset[str]:
    """Return the modules that a file imports anywhere, functions and annotations included."""
    return frozenset(_imports(path))


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in MODULES else node.module


def room_of(module: str) -> str:
    return module.split(".")[1] if module.startswith("harness.") else ""


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_packages_import_one_way(path: Path) -> None:
    package = path.relative_to(ROOT).parts[0]
    assert FORBIDDEN[package].isdisjoint(name.split(".")[0] for name in imports(path))


def test_harness_has_these_rooms() -> None:
    found = {p.name for p in (ROOT / "harness").iterdir() if p.name != "__pycache__"}
    assert found == {*ROOMS, "__init__.py"} | ({"py.typed"} & found)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_rooms_before_it(room: str) -> None:
    allowed = {*ROOMS[: ROOMS.index(room) + 1], ""}
    for module, path in MODULES.items():
        if room_of(module) == room:
            assert {room_of(name) for name in imports(path)} <= allowed, module


def test_the_engine_knows_no_demonstrations() -> None:
    for module, path in MODULES.items():
        if room_of(module) in ENGINE:
            assert "demonstrations" not in {room_of(name) for name in imports(path)}, module


def test_no_imports_form_a_circle() -> None:
    graph = {name: imports(path) & set(MODULES) - {name} for name, path in MODULES.items()}
    # A package's __init__ may import its own modules, which import the package by their name.
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_public_names_of_harness_have_one_meaning() -> None:
    owners: dict[str, str] = {}
    for module, path in MODULES.items():
        if module.startswith("harness"):
            for name in public_names(path):
                assert owners.setdefault(name, module) == module, name


def public_names(path: Path) -> set[str]:
    """Return the public classes, functions and constants that a file defines."""
    found: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.add(node.target.id)
    return {name for name in found if not name.startswith("_")}


def test_tests_mirror_the_packages() -> None:
    for package in PACKAGES:
        for folder in (ROOT / "tests" / package).rglob("*"):
            if folder.is_dir() and any(folder.glob("test_*.py")):
                assert (ROOT / folder.relative_to(ROOT / "tests")).is_dir(), folder


def test_no_benchmark_family_knows_another() -> None:
    families = [p for p in (ROOT / "benchmarks").iterdir() if (p / "__init__.py").is_file()]
    assert families
    for family in families:
        others = {p.name for p in families if p != family}
        used = {name for path in family.rglob("*.py") for name in imports(path)}
        assert not [n for n in used if n.startswith("benchmarks.") and n.split(".")[1] in others]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_unpickles(path: Path) -> None:
    # Ray pickles its own messages between processes of one user; no file of ours does.
    assert {"pickle", "cloudpickle", "dill", "shelve"}.isdisjoint(imports(path))
    assert "torch.load" not in path.read_text()


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_stay_small(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert (node.end_lineno or 0) - node.lineno < 60, node.name
