"""Imports a class or function from the user's own Python file or module."""

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
    """A class or function of the user, and the spec in its attributes.

    Attributes:
        target: The class or function.
        spec: From the optional attributes ``name``, ``cameras``, ``state_layout``,
            ``action_layout``, ``image_size`` and ``chunk_length``.
    """

    target: Any
    spec: PolicySpec

    @property
    def is_factory(self) -> bool:
        """Whether a call without arguments creates the policy."""
        return isinstance(self.target, type) or required_positional(self.target) == 0

    def make(self) -> Any:
        """Return the policy: a new object from a factory, otherwise the function itself."""
        return self.target() if self.is_factory else self.target


def find_imported(source: str) -> Imported:
    """Import ``FILE.py:NAME`` or ``MODULE:NAME``.

    The policy's identity contains a digest of the file. So an edited file is another policy.

    Raises:
        UsageError: The file, module or name does not exist, or an attribute is wrong.
    """
    location, colon, name = source.rpartition(":")
    if not colon or not location or not name:
        raise UsageError(f"{source!r} is not FILE.py:NAME, e.g. my_policy.py:MyPolicy")
    module = _module(location)
    require_known(f"name in {location}", name, [n for n in vars(module) if not n.startswith("__")])
    target = getattr(module, name)
    if not callable(target):
        raise UsageError(f"{name} in {location} must be a class or a function")
    label = getattr(target, "name", name)
    if not isinstance(label, str) or not SAFE_NAME.fullmatch(label):
        raise UsageError(f"the name {label!r} of {source} may only have letters, digits and ._+-")
    code = Path(module.__file__).read_bytes() if module.__file__ else location.encode()
    cameras = getattr(target, "cameras", ())
    if isinstance(cameras, str):
        raise UsageError(f"cameras of {source} must be a tuple; write cameras = ({cameras!r},)")
    spec = PolicySpec(
        f"{label}@{hashlib.sha256(code).hexdigest()[:10]}",
        tuple(cameras),
        getattr(target, "state_layout", None),
        getattr(target, "action_layout", None),
        getattr(target, "image_size", None),
        getattr(target, "chunk_length", None),
    )
    return Imported(target, spec)


def required_positional(function: Any) -> int:
    """Return how many positional arguments without a default a callable has.

    Raises:
        UsageError: Python cannot determine the signature.
    """
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError) as error:
        raise UsageError(f"cannot read the signature of {function!r}: {error}") from error
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(p.kind in kinds and p.default is p.empty for p in parameters)


def _module(location: str) -> ModuleType:
    try:
        if location.endswith(".py"):
            return _from_file(Path(location))
        return importlib.import_module(location)
    except UsageError:
        raise
    except Exception as error:
        raise UsageError(f"cannot import {location}: {type(error).__name__}: {error}") from error


def _from_file(path: Path) -> ModuleType:
    path = path.absolute()
    if not path.is_file():
        raise UsageError(f"there is no file {path}")
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))  # The file may import its neighbors.
    # The digest keeps the file from replacing an installed module of the same name.
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
