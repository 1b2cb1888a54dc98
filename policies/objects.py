"""A policy that exists as an object of this Python program."""

import hashlib
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.contracts.errors import UsageError
from harness.contracts.policy import ActionChunk, Policy, Query
from harness.contracts.registry import SAFE_NAME
from policies.imported import Imported, named_files, required_positional, spec_of
from policies.python import PythonPolicy
from policies.state_digest import CannotHashError, is_library, state_digest
from policies.weight_files import hash_files


@dataclass(frozen=True)
class _Existing(Imported):
    """A class, a function, or an object that is the policy itself."""

    @property
    def is_factory(self) -> bool:
        """Whether a call without arguments creates the policy."""
        function = inspect.isfunction(self.target) and not required_positional(self.target)
        return isinstance(self.target, type) or function


class ObjectPolicy(PythonPolicy):
    """Calls an object of the program that evaluates it, as ``python:`` calls one of a file.

    Attributes:
        raised: The last exception of the policy's code.
    """

    def __init__(self, target: Any, name: str | None = None) -> None:
        """Take the policy: a callable, or a class or function that creates one.

        Its identity has a digest of its code and state. If the object cannot be hashed, the given
        name alone is the identity.

        Raises:
            UsageError: It is not callable, an attribute is wrong, or it needs a name.
        """
        if not callable(target):
            raise UsageError(
                f"{type(target).__name__} is no policy: give it __call__(observation), or pass a "
                "reference such as 'vla:FOLDER'"
            )
        known = target if isinstance(target, type) or inspect.isroutine(target) else type(target)
        shown = name or _own_name(target, known)
        if not SAFE_NAME.fullmatch(shown):
            raise UsageError(
                f"the name {shown!r} may only have letters, digits and ._+-; pass another name="
            )
        code = _source(known)
        files = hash_files(named_files(target, {}, code, shown))
        spec = spec_of(target, shown, shown, {}, "")
        spec = replace(spec, name=_identity(target, shown, bool(name), files))
        self._source = shown
        self.raised: BaseException | None = None
        self._imported = _Existing(target, {}, spec, files, code)
        self._describe()

    def infer(self, queries: Sequence[Query]) -> Sequence[ActionChunk]:
        """Call the policy; keep its exception."""
        try:
            return super().infer(queries)
        except (Exception, SystemExit) as error:
            self.raised = error
            raise


def _own_name(target: Any, known: Any) -> str:
    own = getattr(target, "name", None)
    return own if isinstance(own, str) else str(getattr(known, "__name__", "policy"))


def _identity(target: Any, name: str, given: bool, files: Mapping[str, str]) -> str:
    try:
        found = state_digest(target, name)
    except CannotHashError as error:
        if given:
            return name
        raise UsageError(
            f"{error}, so {name} cannot be told from another policy. Pass name='...', and another "
            "name when the policy changes: a run continues what has the same name"
        ) from error
    if files:
        found = hashlib.sha256(repr((found, sorted(files.values()))).encode()).hexdigest()
    return f"{name}@{found[:10]}"


def _source(known: Any) -> tuple[Path, ...]:
    """Return the source file of a class or function of the user, if there is one."""
    try:
        file = Path(inspect.getsourcefile(known) or "")
    except (TypeError, OSError):  # It was typed into an interpreter.
        return ()
    return (file,) if file.is_file() and not is_library(known) else ()


def as_policy(policy: Any, name: str | None = None) -> Policy:
    """Return a policy for an object, or a `Policy` as it is.

    Raises:
        UsageError: It cannot be evaluated, or needs a name.
    """
    if isinstance(policy, type) and issubclass(policy, Policy):
        policy = policy()
    if not isinstance(policy, Policy):
        return ObjectPolicy(policy, name)
    if name is not None:
        raise UsageError(f"{policy.spec.name} has a name of its own; leave out name=")
    return policy
