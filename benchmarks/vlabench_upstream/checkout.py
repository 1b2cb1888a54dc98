"""The user's VLABench checkout: its folder, its problems and its digest."""

import ast
import hashlib
import os
from functools import cache
from pathlib import Path

from benchmarks.vlabench_upstream.catalog import TRACKS

_VARIABLE = "VLABENCH_ROOT"
_PAGE = "https://github.com/OpenMOSS/VLABench"
EVALUATOR = Path("evaluation", "evaluator", "base.py")
TRACK_FILES = Path("configs", "evaluation", "tracks")
_ASSETS = (Path("assets", "obj", "meshes"), Path("assets", "scenes"))
"""The folders that upstream's script downloads. The robots are part of the repository."""


def find() -> Path | None:
    """Return the package's folder in the checkout of VLABENCH_ROOT, or None if it is not set.

    Upstream's code expects the package's folder in this variable. Here the repository's folder
    works, too.
    """
    given = os.environ.get(_VARIABLE)
    if not given:
        return None
    root = Path(given).absolute()
    return root / "VLABench" if (root / "VLABench" / "__init__.py").is_file() else root


def problem() -> str | None:
    """Return why the checkout cannot run, with the command that fixes it, or None."""
    root = find()
    if root is None:
        return (
            f"VLABench's tracks need a checkout; run: git clone {_PAGE} and set {_VARIABLE} to "
            f"its folder (see docs/vlabench-upstream.md)"
        )
    if not (root / "envs" / "__init__.py").is_file():
        return (
            f"{_VARIABLE}={root} holds no VLABench; run: git clone {_PAGE} and set {_VARIABLE} to "
            f"its folder"
        )
    if counts_plans_as_success(root / EVALUATOR):
        return (
            f"{root} counts a solved inverse kinematics as a solved task in {EVALUATOR}; upstream "
            f"fixed this (#57); run: git -C {root.parent} pull"
        )
    for track in TRACKS.values():
        if not (root / TRACK_FILES / f"{track.file}.json").is_file():
            return f"{root / TRACK_FILES} lacks {track.file}.json; run: git -C {root} checkout ."
    for folder in _ASSETS:
        if not (root / folder).is_dir():
            return (
                f"{root / folder} is missing: VLABench's assets need a download; run in "
                f"{root.parent}: python scripts/download_assets.py (see {_PAGE})"
            )
    return None


def counts_plans_as_success(evaluator: Path) -> bool:
    """Return whether an evaluator reports the success of its inverse kinematics as the task's.

    The result is also True for an evaluator that cannot be parsed or reports no success.
    """
    try:
        tree = ast.parse(evaluator.read_text())
    except (OSError, SyntaxError, UnicodeDecodeError):
        return True
    reported, planned = set[str](), set[str]()
    for node in ast.walk(tree):
        if not isinstance(node, ast.Assign):
            continue
        for target in node.targets:
            if _is_item(target, "success") and isinstance(node.value, ast.Name):
                reported.add(node.value.id)
            if isinstance(target, ast.Tuple) and _calls(node.value, "get_qpos_from_ee_pos"):
                planned |= {name.id for name in target.elts if isinstance(name, ast.Name)}
    return not reported or not reported.isdisjoint(planned)


def _is_item(node: ast.expr, key: str) -> bool:
    """Return whether an expression is `something["key"]`."""
    return (
        isinstance(node, ast.Subscript)
        and isinstance(node.slice, ast.Constant)
        and node.slice.value == key
    )


def _calls(node: ast.expr, method: str) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == method
    )


@cache
def sources_digest(root: Path) -> str:
    """Return a hash of the checkout's code, settings and episodes, and of its assets' names."""
    hashed = hashlib.sha256()
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root)
        if "__pycache__" in name.parts or not path.is_file():
            continue
        hashed.update(f"{name}\0".encode())
        if path.suffix in (".py", ".json", ".xml"):
            hashed.update(path.read_bytes())
    return hashed.hexdigest()[:10]
