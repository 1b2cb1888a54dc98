"""Builds a model without weights, to read its shapes or to fill it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

_FILLING = frozenset({Tensor.mul_, Tensor.div_, Tensor.zero_, Tensor.fill_})


class _Unfilled(TorchFunctionMode):
    """Gives no values to a new weight.

    It has no memory for them, and to do nothing PyTorch would import its compiler and SymPy, which
    takes a second.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call a function of PyTorch, unless it fills a tensor."""
        del types
        given = kwargs or {}
        if func in _FILLING or getattr(func, "__module__", "") == nn.init.__name__:
            return args[0] if args else given["tensor"]
        return func(*args, **given)


@contextmanager
def unfilled() -> Iterator[None]:
    """Let new weights have a shape and no memory."""
    with torch.device("meta"), _Unfilled():
        yield
