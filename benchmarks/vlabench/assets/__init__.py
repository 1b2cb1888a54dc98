"""The things of VLABench's selection tasks, drawn and shaped here, by upstream's names."""

from collections.abc import Callable, Mapping
from functools import cache

from benchmarks.vlabench.assets import cards, fruits, paintings, tableware, tiles, toys
from benchmarks.vlabench.assets.asset import Asset
from harness.contracts.errors import require_known

__all__ = ["Asset", "asset", "names"]

Maker = Callable[[str], Asset]
MAKERS: Mapping[str, Mapping[str, Maker]] = {
    "poker": dict.fromkeys(cards.NAMES, cards.card),
    "mahjong": dict.fromkeys(tiles.NAMES, tiles.tile),
    "toy": dict.fromkeys(toys.NAMES, toys.character),
    "fruit": dict.fromkeys(fruits.FRUITS, fruits.fruit),
    "painting": dict.fromkeys(paintings.NAMES, paintings.painting),
    "container": tableware.CONTAINERS,
    "holder": dict.fromkeys(tableware.HOLDERS, tableware.card_holder),
    "button": dict.fromkeys(tableware.BUTTONS, tableware.button),
}
"""How to make what, by its kind and its name."""
BY_NAME = {name: maker for makers in MAKERS.values() for name, maker in makers.items()}


@cache
def asset(name: str) -> Asset:
    """Return the asset of one of VLABench's entities.

    Raises:
        UsageError: There is none of that name.
    """
    require_known("VLABench asset", name, BY_NAME)
    return BY_NAME[name](name)


def names(kind: str) -> tuple[str, ...]:
    """Return the names of a kind's assets.

    Raises:
        UsageError: There is no such kind.
    """
    require_known("kind of VLABench asset", kind, MAKERS)
    return tuple(MAKERS[kind])
