"""Finds what a researcher wrote: a class or a function in a Python file or module."""

import hashlib
import importlib
import importlib.util
import inspect
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from harness.contracts.errors import UsageError, require_known
from harness.contracts.policy import PolicySpec
from harness.contracts.registry import SAFE_NAME


@dataclass(frozen=True)
class Imported:
    """Something by its name, with what it says of itself.

    Attributes:
        named: The class or function.
        spec: From its attributes ``name``, ``cameras``, ``state_layout``, ``action_layout``,
            ``image_size`` and ``chunk_length``, each of which may be left out.
    """

    named: Any
    spec: PolicySpec

    @property
    def is_maker(self) -> bool:
        """Whether it makes the policy, so that it is called once, without arguments."""
        return isinstance(self.named, type) or positional(self.named) == 0

    def make(self) -> Any:
        """Return the policy."""
        return self.named() if self.is_maker else self.named


def find_imported(source: str) -> Imported:
    """Import ``FILE.py:NAME`` or ``MODULE:NAME``.

    The identity has a digest of the file, so that a policy that was edited is another one.

    Raises:
        UsageError: There is no such file, module or name, or an attribute is not what it must be.
    """
    place, colon, name = source.rpartition(":")
    if not colon or not place or not name:
        raise UsageError(f"{source!r} is not FILE.py:NAME, e.g. my_policy.py:MyPolicy")
    module = _module(place)
    require_known(f"name in {place}", name, [n for n in vars(module) if not n.startswith("__")])
    named = getattr(module, name)
    if not callable(named):
        raise UsageError(f"{name} in {place} is neither a class nor a function")
    label = getattr(named, "name", name)
    if not isinstance(label, str) or not SAFE_NAME.fullmatch(label):
        raise UsageError(f"the name {label!r} of {source} may hold letters, digits and ._+- only")
    code = Path(module.__file__).read_bytes() if module.__file__ else place.encode()
    cameras = getattr(named, "cameras", ())
    if isinstance(cameras, str):
        raise UsageError(f"cameras of {source} must be a tuple; write cameras = ({cameras!r},)")
    spec = PolicySpec(
        f"{label}@{hashlib.sha256(code).hexdigest()[:10]}",
        tuple(cameras),
        getattr(named, "state_layout", None),
        getattr(named, "action_layout", None),
        getattr(named, "image_size", None),
        getattr(named, "chunk_length", None),
    )
    return Imported(named, spec)


def positional(function: Any) -> int:
    """Return how many arguments a call must have, by position."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError) as error:
        raise UsageError(f"cannot tell what arguments {function!r} takes: {error}") from error
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(p.kind in kinds and p.default is p.empty for p in parameters)


def _module(place: str) -> ModuleType:
    try:
        return _from_file(Path(place)) if place.endswith(".py") else importlib.import_module(place)
    except UsageError:
        raise
    except Exception as error:
        raise UsageError(f"cannot import {place}: {type(error).__name__}: {error}") from error


def _from_file(path: Path) -> ModuleType:
    path = path.absolute()
    if not path.is_file():
        raise UsageError(f"there is no file {path}")
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))  # So that it may import the files beside it.
    # A name of its own, so that no file can take an installed module's place.
    name = f"assay_imported_{hashlib.sha256(str(path).encode()).hexdigest()[:10]}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
