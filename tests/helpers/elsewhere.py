"""A second device without a GPU: its tensors have numbers, and never mix with those of the CPU.

Code believes that they are on PyTorch's device `meta`. Every operation is checked as CUDA checks
it, and then computed on the CPU. So all the code runs that would run on a GPU, and its results must
have the bits of the CPU.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

ELSEWHERE = torch.device("meta")
_COPIES = ("aten::_to_copy", "aten::copy_", "aten::to")
"""Operations between devices."""
_CPU_INDICES = ("aten::index", "aten::index_put_", "aten::index_put")
"""Operations whose indices may be on the CPU."""
_INDEXING = (Tensor.__getitem__, Tensor.__setitem__)
_MAY_DROP = ("aten::scaled_dot_product_attention",)
"""Operations that would draw if they had a dropout."""
_READS = ("aten::_local_scalar_dense", "aten::is_nonzero")


class MisplacedError(RuntimeError):
    """An operation that fails on a GPU."""


class _Tensor(Tensor):
    """A tensor on the second device."""

    numbers: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @staticmethod
    def __new__(cls, numbers: Tensor) -> "_Tensor":
        made: _Tensor = torch.Tensor._make_wrapper_subclass(
            cls,
            numbers.shape,
            strides=numbers.stride(),
            storage_offset=numbers.storage_offset(),
            dtype=numbers.dtype,
            device=ELSEWHERE,
        )
        made.numbers = numbers
        return made

    def __repr__(self, **_: Any) -> str:
        return f"elsewhere({self.numbers})"

    def tolist(self) -> Any:
        return self.numbers.tolist()

    @classmethod
    def __torch_dispatch__(cls, *_: Any) -> Any:
        raise MisplacedError("a tensor of the second device is used outside of `Elsewhere`")


class _FromNumbers(TorchFunctionMode):
    """Makes tensors of Python numbers on the CPU and moves them; PyTorch would lose the numbers."""

    def __torch_function__(
        self, function: Any, types: Any, arguments: Any = (), options: Any = None
    ) -> Any:
        given = dict(options or {})
        if function is torch.tensor and given.get("device") is not None:
            device = given.pop("device")
            return torch.tensor(*arguments, **given).to(device)
        if function in _INDEXING and isinstance(arguments[1], list):
            arguments = (arguments[0], torch.tensor(arguments[1]), *arguments[2:])
        return function(*arguments, **given)


class Elsewhere(TorchDispatchMode):
    """Inside this context the device ELSEWHERE computes.

    Attributes:
        computed: How many operations ran there.
        drawn: The random operations that ran there; on a GPU they would draw other numbers.
    """

    def __init__(self) -> None:
        super().__init__()
        self.computed, self.drawn = 0, list[str]()

    def __enter__(self) -> "Elsewhere":
        self._numbers = _FromNumbers()
        self._numbers.__enter__()
        return super().__enter__()  # type: ignore[no-any-return]

    def __exit__(self, *exception: Any) -> None:
        super().__exit__(*exception)
        self._numbers.__exit__(*exception)

    def __torch_dispatch__(
        self,
        operation: Any,
        types: Any,
        arguments: tuple[Any, ...] = (),
        options: Mapping[str, Any] | None = None,
    ) -> Any:
        given = dict(options or {})
        name: str = operation._schema.name
        leaves = tree_leaves((arguments, given))
        tensors = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
        if name not in _COPIES:
            _check(operation, arguments, given)
        wanted = [leaf for leaf in leaves if isinstance(leaf, torch.device)]
        if wanted or name == "aten::copy_":
            here = wanted[0] == ELSEWHERE if wanted else isinstance(arguments[0], _Tensor)
        else:
            here = any(isinstance(tensor, _Tensor) for tensor in tensors)
        # A wrapper of a view cannot be made in inference mode.
        with torch.inference_mode(False), torch.no_grad():
            result = operation(*tree_map(_on_the_cpu, arguments), **tree_map(_on_the_cpu, given))
            if not here or name in _READS:
                return result
            self.computed += 1
            if torch.Tag.nondeterministic_seeded in operation.tags and name not in _MAY_DROP:
                self.drawn.append(name)
            known = {id(t.numbers): t for t in tensors if isinstance(t, _Tensor)}
            return tree_map(_moved(known), result)


def _check(operation: Any, arguments: tuple[Any, ...], options: Mapping[str, Any]) -> None:
    """Require one device, as CUDA does.

    Raises:
        MisplacedError: A tensor is on another device than the others.
    """
    name: str = operation._schema.name
    used: Iterable[Any] = tree_leaves((arguments, options))
    if name in _CPU_INDICES:
        used = tree_leaves((arguments[0], arguments[2:], options))
    tensors = [tensor for tensor in used if isinstance(tensor, Tensor)]
    if torch.Tag.pointwise in operation.tags:  # Single numbers may come from the CPU.
        tensors = [t for t in tensors if t.ndim or isinstance(t, _Tensor)]
    if len({isinstance(tensor, _Tensor) for tensor in tensors}) > 1:
        places = [f"{tuple(t.shape)} on {t.device}" for t in tensors]
        raise MisplacedError(f"{name} gets tensors of two devices: {', '.join(places)}")


def _on_the_cpu(value: Any) -> Any:
    if isinstance(value, torch.device):
        return torch.device("cpu")
    return value.numbers if isinstance(value, _Tensor) else value


def _moved(known: Mapping[int, Tensor]) -> Callable[[Any], Any]:
    """Return a function that puts results on the device; operations in place return `known`."""

    def moved(value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        return known.get(id(value)) if id(value) in known else _Tensor(value)

    return moved
