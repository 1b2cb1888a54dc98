"""Stubs for modules that upstream code imports but never calls here."""

import sys
from importlib.util import find_spec
from types import ModuleType
from typing import Any


class _Stub:
    """Every attribute of a stub module; it can be called or subclassed, without effect."""

    def __init__(self, *values: object, **named: object) -> None:
        pass


class _StubModule(ModuleType):
    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith("__"):
            raise AttributeError(attribute)
        return _Stub


def stub_module(name: str) -> None:
    """Make a module importable that is not installed; an installed module stays as it is."""
    top, _, _ = name.partition(".")
    if top not in sys.modules and find_spec(top) is not None:
        return
    parts = name.split(".")
    for length in range(1, len(parts) + 1):
        module = _StubModule(".".join(parts[:length]))
        sys.modules.setdefault(module.__name__, module)
