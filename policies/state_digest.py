"""A digest of a Python object: its code and its state.

The digest depends on what runs, so it reads compiled code, not source files, which may have been
edited since. It is the same in another process with the same Python version.
"""

import dis
import enum
import functools
import hashlib
import inspect
import sys
import sysconfig
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path, PurePath
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

MOST_OBJECTS = 200_000
"""Objects that a digest covers, at most; an array or tensor counts as one."""
_ATOMS = (type(None), bool, int, float, complex, str, bytes, type(...), range, np.dtype)
_OURS = ("assay", "benchmarks", "harness", "policies")
_LIBRARIES = tuple({str(Path(sysconfig.get_path(n))) for n in ("stdlib", "purelib", "platlib")})
_SKIPPED = (
    *("__dict__", "__weakref__", "__doc__", "__module__", "__qualname__", "__annotations__"),
    *("__firstlineno__", "__static_attributes__", "__abstractmethods__", "_abc_impl"),
)
"""Members of a class that do not decide how it acts."""


class CannotHashError(Exception):
    """An object holds something that has no digest, such as an open file."""


def state_digest(value: Any, where: str) -> str:
    """Return the digest of an object, in hexadecimal digits; `where` names it in errors.

    Raises:
        CannotHashError: It holds something without a digest; the message says where.
    """
    hasher = _Hasher({}, [])
    try:
        hasher.add(value, where)
    except RecursionError as error:
        raise CannotHashError(f"{where} is nested too deeply") from error
    return hasher.hexdigest()


class _Hasher:
    """Adds objects to a digest; an object that occurs again is added by its number."""

    def __init__(self, seen: dict[int, int], kept: list[Any]) -> None:
        self._sha, self._seen = hashlib.sha256(), seen
        self._kept = kept
        """Every object that was seen, so that no other one gets its id."""

    def hexdigest(self) -> str:
        return self._sha.hexdigest()

    def add(self, value: Any, where: str) -> None:
        """Add an object; `where` names it in errors."""
        if isinstance(value, _ATOMS) and not isinstance(value, enum.Enum):
            self._feed(type(value).__name__, repr(value).encode())
            return
        if id(value) in self._seen:
            self._feed("again", str(self._seen[id(value)]).encode())
            return
        if len(self._seen) >= MOST_OBJECTS:
            raise CannotHashError(f"it holds more than {MOST_OBJECTS} objects")
        self._seen[id(value)] = len(self._seen)
        self._kept.append(value)
        if not (self._add_array(value, where) or self._add_code(value, where)):
            self._add_value(value, where)

    def _feed(self, kind: str, data: Any) -> None:
        # The length keeps two neighbours from being read as one.
        self._sha.update(f"{kind}:{memoryview(data).nbytes}:".encode())
        self._sha.update(data)

    def _add_array(self, value: Any, where: str) -> bool:
        """Add an array or tensor by type, shape and bytes; return whether it is one."""
        torch = sys.modules.get("torch")
        if torch is not None and isinstance(value, torch.Tensor):
            name, shape = str(value.dtype), tuple(value.shape)
            try:
                flat = value.detach().cpu().contiguous().reshape(-1)
                data = flat.view(torch.uint8).numpy().tobytes()
            except (RuntimeError, TypeError, NotImplementedError) as error:
                raise CannotHashError(f"{where} is a tensor without plain bytes") from error
        elif isinstance(value, torch.dtype | torch.device) if torch is not None else False:
            name, shape, data = "torch", (), str(value).encode()
        elif isinstance(value, np.ndarray | np.generic) and not value.dtype.hasobject:
            name, shape, data = value.dtype.str, value.shape, value.tobytes()
        else:
            return False
        self._feed(f"array {name} {shape}", data)
        return True

    def _add_code(self, value: Any, where: str) -> bool:
        """Add a function, class or module; return whether it is one."""
        if isinstance(value, ModuleType):
            self._feed("module", value.__name__.encode())
        elif isinstance(value, type | FunctionType) and is_library(value):
            self._feed("library", f"{value.__module__}.{value.__qualname__}".encode())
        elif isinstance(value, BuiltinFunctionType):
            self._feed("builtin", f"{value.__module__}.{value.__qualname__}".encode())
            if not isinstance(value.__self__, ModuleType | None):
                self.add(value.__self__, f"the object of {where}")
        elif isinstance(value, MethodType):
            self._feed("method", value.__func__.__qualname__.encode())
            self.add(value.__func__, where)
            self.add(value.__self__, f"the object of {where}")
        elif isinstance(value, FunctionType):
            self._add_function(value, where)
        elif isinstance(value, type):
            self._add_class(value)
        else:
            return False
        return True

    def _add_function(self, function: FunctionType, where: str) -> None:
        self._feed("function", function.__qualname__.encode())
        self._add_compiled(function.__code__)
        self._add_parts((function.__defaults__, function.__kwdefaults__), where)
        closure = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
        for name, cell in closure:
            with suppress(ValueError):  # The variable has no value yet.
                self.add(cell.cell_contents, f"{name} in {function.__qualname__}")
        for name in _globals_of(function.__code__):
            if name in function.__globals__:
                self._feed("global", name.encode())
                self.add(function.__globals__[name], f"the global {name}")

    def _add_compiled(self, code: CodeType) -> None:
        self._feed("code", code.co_code)
        self._feed("names", repr((code.co_names, code.co_varnames, code.co_freevars)).encode())
        for constant in code.co_consts:
            if isinstance(constant, CodeType):
                self._add_compiled(constant)
            elif isinstance(constant, frozenset):
                self._feed("constants", repr(sorted(map(repr, constant))).encode())
            else:
                self._feed("constant", repr(constant).encode())

    def _add_class(self, made: type) -> None:
        self._feed("class", made.__qualname__.encode())
        for base in made.__bases__:
            self.add(base, f"the base {base.__name__}")
        for name, member in sorted(vars(made).items()):
            if name in _SKIPPED:
                continue
            self._feed("member", name.encode())
            for part in _parts_of(member):
                self.add(part, f"{made.__name__}.{name}")

    def _add_value(self, value: Any, where: str) -> None:
        """Add a container, or any other object as a copy in another process would be made."""
        if isinstance(value, enum.Enum | PurePath | np.ufunc):
            self._feed("named", repr((type(value), str(value))).encode())
        elif type(value) in (list, tuple):
            self._feed("sequence", f"{type(value).__name__} {len(value)}".encode())
            self._add_parts(value, where)
        elif isinstance(value, set | frozenset):
            # A set has no order: each item is added by itself.
            single = [_Hasher(dict(self._seen), self._kept) for _ in value]
            for hasher, item in zip(single, value, strict=True):
                hasher.add(item, f"an item of {where}")
            self._feed("set", "".join(sorted(each.hexdigest() for each in single)).encode())
        elif type(value) is dict or isinstance(value, type(type.__dict__)):
            self._add_mapping(value, where)
        elif isinstance(value, functools.partial):
            self._feed("partial", b"")
            self._add_parts((value.func, value.args, value.keywords), where)
        elif isinstance(value, np.random.Generator):
            self.add(value.bit_generator.state, where)
        else:
            self._add_reduced(value, where)

    def _add_parts(self, parts: Any, where: str) -> None:
        for index, part in enumerate(parts):
            self.add(part, f"{where}[{index}]")

    def _add_mapping(self, value: Mapping[Any, Any], where: str) -> None:
        self._feed("mapping", str(len(value)).encode())
        keys = list(value)
        for key in sorted(keys) if all(isinstance(key, str) for key in keys) else keys:
            self.add(key, f"a key of {where}")
            self.add(value[key], f"{where}.{key}" if isinstance(key, str) else where)

    def _add_reduced(self, value: Any, where: str) -> None:
        kind = type(value).__qualname__
        try:
            made = value.__reduce_ex__(4)
        except Exception as error:  # A type says in its own way that it cannot be copied.
            raise CannotHashError(f"{where} is a {kind}, which has no digest") from error
        if isinstance(made, str):
            self._feed("named", f"{type(value).__module__}.{made}".encode())
            return
        function, arguments, *rest = made
        self._feed("object", kind.encode())
        self.add(function, f"the constructor of {where}")
        self._add_parts(arguments, where)
        state, items, pairs = (*rest, None, None, None)[:3]
        self.add(state, where)
        self._add_parts(items or (), where)
        self._add_parts(pairs or (), where)


def _parts_of(member: Any) -> tuple[Any, ...]:
    """Return what decides how a member of a class acts."""
    if isinstance(member, staticmethod | classmethod):
        return (member.__func__,)
    if isinstance(member, property):
        return (member.fget, member.fset, member.fdel)
    if isinstance(member, functools.cached_property):
        return (member.func,)
    if inspect.ismemberdescriptor(member) or inspect.isgetsetdescriptor(member):
        return ()
    return (member,)


def _globals_of(code: CodeType) -> list[str]:
    """Return the global names that a function and those inside it read."""
    names = {i.argval for i in dis.get_instructions(code) if i.opname == "LOAD_GLOBAL"}
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            names.update(_globals_of(constant))
    return sorted(names)


def is_library(value: Any) -> bool:
    """Return whether an installed package, Python or Assay itself defines a class or function."""
    module = sys.modules.get(value.__module__ or "")
    if value.__module__ == "__main__" or module is None:
        return False
    if value.__module__.partition(".")[0] in _OURS:
        return True
    file = getattr(module, "__file__", None)
    return file is None or file.startswith(_LIBRARIES)
