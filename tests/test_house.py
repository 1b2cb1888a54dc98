"""The house's rules: who may import whom, and how long a file may be."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("harness", "benchmarks", "policies")
FORBIDDEN = {
    "harness": {"benchmarks", "policies"},
    "benchmarks": {"policies"},
    "policies": {"benchmarks"},
}
FILES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_one_way(path: Path) -> None:
    package = path.relative_to(ROOT).parts[0]
    assert FORBIDDEN[package].isdisjoint(name.split(".")[0] for name in imports(path))


def test_no_benchmark_family_knows_another() -> None:
    families = [p for p in (ROOT / "benchmarks").iterdir() if (p / "__init__.py").is_file()]
    assert families
    for family in families:
        others = {p.name for p in families if p != family}
        used = {name for path in family.rglob("*.py") for name in imports(path)}
        assert not [n for n in used if n.startswith("benchmarks.") and n.split(".")[1] in others]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_unpickles(path: Path) -> None:
    assert {"pickle", "cloudpickle", "dill", "shelve"}.isdisjoint(imports(path))
    assert "torch.load" not in path.read_text()


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_stay_small(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert (node.end_lineno or 0) - node.lineno < 60, node.name
