"""Imports a class or function from the user's own Python file or module."""

import hashlib
import importlib
import importlib.util
import inspect
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from types import ModuleType
from typing import Any

from harness.contracts.errors import PolicyCrashed, UsageError, require_known
from harness.contracts.policy import PolicySpec
from harness.contracts.registry import SAFE_NAME
from harness.contracts.vectors import Layout, Part
from harness.contracts.yaml_files import parse_yaml
from policies.weight_files import hash_files

SOURCE = re.compile(r"(?P<location>[^,]+):(?P<name>\w+)(?P<arguments>(,.*)?)", re.DOTALL)
SYNTAX = "FILE.py:NAME[,ARGUMENT=VALUE,...]"


@dataclass(frozen=True)
class Imported:
    """A class or function of the user, and the spec in its attributes.

    Attributes:
        target: The class or function.
        arguments: The arguments with which it creates the policy.
        spec: From the optional attributes ``name``, ``cameras``, ``state_layout``,
            ``action_layout``, ``image_size`` and ``chunk_length``.
        files: The SHA-256 of the files that the attribute ``files`` and the arguments name.
        code: The source file.
    """

    target: Any
    arguments: Mapping[str, Any]
    spec: PolicySpec
    files: Mapping[str, str]
    code: tuple[Path, ...]

    @property
    def is_factory(self) -> bool:
        """Whether a call creates the policy."""
        return (
            isinstance(self.target, type)
            or bool(self.arguments)
            or not required_positional(self.target)
        )

    def make(self) -> Any:
        """Return the policy: a new object from a factory, otherwise the function itself."""
        return self.target(**self.arguments) if self.is_factory else self.target


def find_imported(source: str, kind: str) -> Imported:
    """Import ``FILE.py:NAME`` or ``MODULE:NAME``, with arguments behind it.

    The policy's identity contains a digest of the kind, the source file, the arguments and the
    named files. If one of them changes, it is another policy.

    Args:
        source: The command line's text after the kind and a colon.
        kind: How the policy is called, e.g. ``python``.

    Raises:
        UsageError: The file, module or name does not exist, or an attribute is wrong.
        PolicyCrashed: The file raises an exception.
    """
    location, name, arguments = parse_source(source)
    module = _module(location)
    own = [n for n, value in vars(module).items() if _is_own(n, value, module)]
    if name not in vars(module):
        require_known(f"class or function in {location}", name, own)
    target = getattr(module, name)
    if not callable(target):
        raise UsageError(f"{name} in {location} must be a class or a function")
    _check_arguments(target, arguments, source)
    code = (Path(module.__file__),) if module.__file__ else ()
    return imported_as(target, kind, source, code)


def parse_source(source: str) -> tuple[str, str, dict[str, Any]]:
    """Split ``FILE.py:NAME,ARGUMENT=VALUE,...`` into file, name and arguments.

    Raises:
        UsageError: It has another form.
    """
    match = SOURCE.fullmatch(source)
    if match is None:
        raise UsageError(f"{source!r} is not FILE.py:NAME, e.g. my_policy.py:MyPolicy")
    return match["location"], match["name"], read_arguments(match["arguments"], source)


def imported_as(target: Any, kind: str, source: str, code: tuple[Path, ...]) -> Imported:
    """Return a class or function, or what is known of it, with its spec and identity.

    Raises:
        UsageError: An attribute is wrong, or a named file does not exist.
    """
    location, name, arguments = parse_source(source)
    files = hash_files(named_files(target, arguments, code, source))
    identity = _identity(kind, code, arguments, files, location)
    spec = spec_of(target, getattr(target, "name", None) or name, source, arguments, identity)
    return Imported(target, arguments, spec, files, code)


def read_arguments(text: str, source: str) -> dict[str, Any]:
    """Read ``,ARGUMENT=VALUE,...``; a value is read as YAML, so 3 is a number.

    Raises:
        UsageError: A part has another form, or an argument is given twice.
    """
    arguments: dict[str, Any] = {}
    for part in filter(None, text.split(",")):
        argument, equals, value = part.partition("=")
        if not equals or not argument.isidentifier():
            raise UsageError(f"{part!r} in {source} is not ARGUMENT=VALUE")
        if argument in arguments:
            raise UsageError(f"{source} gives {argument} twice")
        try:
            read = parse_yaml(value)
        except ValueError:
            read = value
        arguments[argument] = read if isinstance(read, int | float | bool) else value
    return arguments


def required_positional(function: Any) -> list[str]:
    """Return the positional parameters of a callable that have no default.

    Raises:
        UsageError: Python cannot determine the signature.
    """
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = _parameters(function).items()
    return [name for name, p in parameters if p.kind in kinds and p.default is p.empty]


def has_parameter(function: Any, name: str) -> bool:
    """Return whether a callable has a parameter of this name."""
    return name in _parameters(function)


def _parameters(function: Any) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(function).parameters
    except (TypeError, ValueError) as error:
        raise UsageError(f"cannot read the signature of {function!r}: {error}") from error


def _check_arguments(target: Any, arguments: Mapping[str, Any], source: str) -> None:
    if isinstance(target, type) or arguments:
        missing = [name for name in required_positional(target) if name not in arguments]
        if missing:
            raise UsageError(
                f"{source} needs {', '.join(missing)}; write "
                f"{source}{''.join(f',{name}=VALUE' for name in missing)}"
            )
    parameters = _parameters(target)
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return
    for argument in arguments:
        require_known(f"argument of {source}", argument, parameters)


def named_files(
    target: Any, arguments: Mapping[str, Any], code: tuple[Path, ...], source: str
) -> list[Path]:
    """Return the files and folders that the policy or its arguments name.

    Raises:
        UsageError: A file does not exist, or the attribute is wrong.
    """
    stated = getattr(target, "files", ())
    if isinstance(stated, str | Path):
        raise UsageError(f"files of {source} must be a list; write files = [{str(stated)!r}]")
    beside = code[0].parent if code else Path()
    paths = [beside / path for path in stated]
    for path in paths:
        if not path.exists():
            raise UsageError(f"{source} names {path} in files, and it does not exist")
    given = [Path(value) for value in arguments.values() if isinstance(value, str)]
    return paths + [path for path in given if path.exists()]


def _identity(
    kind: str,
    code: tuple[Path, ...],
    arguments: Mapping[str, Any],
    files: Mapping[str, str],
    location: str,
) -> str:
    found = hashlib.sha256(code[0].read_bytes() if code else location.encode())
    if kind != "python" or arguments or files:
        found.update(repr((kind, sorted(arguments.items()), sorted(files.values()))).encode())
    return found.hexdigest()[:10]


def spec_of(
    target: Any, label: Any, source: str, arguments: Mapping[str, Any], identity: str
) -> PolicySpec:
    """Return the spec in the attributes of a class, function or object.

    Args:
        target: The class, function or object.
        label: Its name.
        source: How messages name it.
        arguments: What its identity shows between name and digest.
        identity: The digest.

    Raises:
        UsageError: An attribute is wrong.
    """
    if not isinstance(label, str) or not SAFE_NAME.fullmatch(label):
        raise UsageError(f"the name {label!r} of {source} may only have letters, digits and ._+-")
    cameras = getattr(target, "cameras", ())
    if isinstance(cameras, str):
        raise UsageError(f"cameras of {source} must be a tuple; write cameras = ({cameras!r},)")
    if not isinstance(cameras, Sequence) or not all(isinstance(role, str) for role in cameras):
        raise UsageError(f"cameras of {source} must be a tuple of names, got {cameras!r:.80}")
    size, length = getattr(target, "image_size", None), getattr(target, "chunk_length", None)
    if size is not None and not (isinstance(size, Sequence) and list(map(_count, size)) == [1, 1]):
        raise UsageError(f"image_size of {source} must be (height, width), got {size!r:.80}")
    if length is not None and not _count(length):
        raise UsageError(f"chunk_length of {source} must be a whole number, got {length!r:.80}")
    shown = "".join(f",{argument}={_short(value)}" for argument, value in arguments.items())
    return PolicySpec(
        f"{label}{shown}@{identity}",
        tuple(cameras),
        _layout(getattr(target, "state_layout", None), source),
        _layout(getattr(target, "action_layout", None), source),
        None if size is None else (size[0], size[1]),
        length,
    )


def _count(value: Any) -> bool:
    """Return whether a value is a whole number from 1."""
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) > 0


def _layout(stated: Any, source: str) -> Layout | None:
    """Return a layout, also from a list of (name, size, meaning)."""
    if stated is None or isinstance(stated, Layout):
        return stated
    try:
        return Layout(tuple(Part(str(name), int(size), str(why)) for name, size, why in stated))
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"a layout of {source} must be a list of (name, size, meaning), e.g. "
            f"[('joint_position', 7, 'rad'), ('gripper', 1, '-1 opens, +1 closes')]"
        ) from error


def _short(value: Any) -> str:
    """Return an argument's value as a policy's name shows it: a path's last part."""
    last = Path(value).name if isinstance(value, str) else str(value)
    return re.sub(r"[^A-Za-z0-9._+-]", "_", last)[:40]


def _is_own(name: str, value: Any, module: ModuleType) -> bool:
    """Return whether a module defines a class or function, and does not only import it."""
    return callable(value) and getattr(value, "__module__", "") == module.__name__


def _module(location: str) -> ModuleType:
    try:
        if location.endswith(".py"):
            return _from_file(Path(location))
        return importlib.import_module(location)
    except UsageError:
        raise
    except ModuleNotFoundError as error:
        raise UsageError(
            f"cannot import {location}: {error}; if another environment has it, name that "
            f"environment: --policy-python FOLDER"
        ) from error
    except (Exception, SystemExit) as error:
        raise PolicyCrashed.of(error) from error


def _from_file(path: Path) -> ModuleType:
    path = path.absolute()
    if not os.path.isfile(path):  # `Path` raises if the name is too long.
        raise UsageError(f"there is no file {path!s:.300}")
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
