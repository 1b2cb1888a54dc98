"""Procedural assets for VLABench's selection tasks, by upstream's entity names."""

from collections.abc import Callable, Mapping
from functools import cache

from benchmarks.vlabench.assets import cards, fruits, paintings, tableware, tiles, toys
from benchmarks.vlabench.assets.asset import Asset
from harness.contracts.errors import require_known

__all__ = ["Asset", "asset", "names"]

_Maker = Callable[[str], Asset]
_MAKERS: Mapping[str, Mapping[str, _Maker]] = {
    "poker": dict.fromkeys(cards.NAMES, cards.card),
    "mahjong": dict.fromkeys(tiles.NAMES, tiles.tile),
    "toy": dict.fromkeys(toys.NAMES, toys.character),
    "fruit": dict.fromkeys(fruits.FRUITS, fruits.fruit),
    "painting": dict.fromkeys(paintings.NAMES, paintings.painting),
    "container": tableware.CONTAINERS,
    "holder": dict.fromkeys(tableware.HOLDERS, tableware.card_holder),
    "button": dict.fromkeys(tableware.BUTTONS, tableware.button),
}
"""The functions that make the assets, by kind and name."""
_BY_NAME = {name: maker for makers in _MAKERS.values() for name, maker in makers.items()}


@cache
def asset(name: str) -> Asset:
    """Return the asset of a VLABench entity.

    Raises:
        UsageError: No asset has that name.
    """
    require_known("VLABench asset", name, _BY_NAME)
    return _BY_NAME[name](name)


def names(kind: str) -> tuple[str, ...]:
    """Return the names of a kind of assets.

    Raises:
        UsageError: There is no such kind.
    """
    require_known("kind of VLABench asset", kind, _MAKERS)
    return tuple(_MAKERS[kind])
