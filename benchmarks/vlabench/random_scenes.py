"""Draws scenes with the distributions of upstream's generators."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from benchmarks.vlabench import catalog
from benchmarks.vlabench.catalog import TASKS
from benchmarks.vlabench.placing import holder_at, in_holder, on_table, painting_of
from benchmarks.vlabench.scene import Scene, Thing

_Stream = np.random.Generator
_Item = TypeVar("_Item")
_Point = tuple[float, float]

_SHIFT, _TURN = 0.02, 0.05 * np.pi
"""The largest random shift (m) and rotation (rad) of a thing, from upstream."""
_ORDERS = {1: "the largest", 2: "the 2nd largest", 3: "the 3rd largest"}


def draw_scene(task: str, seen: bool, stream: _Stream) -> Scene:
    """Return a scene of a task; the target is from upstream's seen or its unseen set."""
    return _DRAW[task](seen, stream)


def _toy(seen: bool, stream: _Stream) -> Scene:
    series = _pick(catalog.SEEN_TOYS if seen else catalog.UNSEEN_TOYS, stream)
    target = _pick(series, stream)
    others = [
        toy
        for each in catalog.SEEN_TOYS + catalog.UNSEEN_TOYS
        if each is not series
        for toy in each
    ]
    toys = (target, *_sample(others, stream.integers(3, 5) - 1, stream))
    box = "giftbox_seen" if seen else "giftbox_unseen"
    turns = [0.0, *(np.pi * stream.integers(2) for _ in toys)]
    things = _scattered((box, *toys), turns, (-0.35, 0.3, -0.2, 0.2), 4, stream)
    return Scene(things, f"Put the {target} into the {box}", "contain", target, toys, box)


def _fruit(seen: bool, stream: _Stream) -> Scene:
    target = _pick(catalog.SEEN_FRUIT if seen else catalog.UNSEEN_FRUIT, stream)
    others = [name for name in catalog.SEEN_FRUIT + catalog.UNSEEN_FRUIT if name != target]
    fruit = (target, *_sample(others, stream.integers(3, 5) - 1, stream))
    plate = "plate_seen" if seen else "plate_unseen"
    turns = [0.0] * (1 + len(fruit))
    things = _scattered((plate, *fruit), turns, (-0.3, 0.3, -0.2, 0.3), 10, stream)
    return Scene(things, f"Put the {target} into the {plate}", "contain", target, fruit, plate)


def _painting(seen: bool, stream: _Stream) -> Scene:
    style = _pick(catalog.SEEN_STYLES if seen else catalog.UNSEEN_STYLES, stream)
    others = [name for name in catalog.SEEN_STYLES + catalog.UNSEEN_STYLES if name != style]
    styles = _shuffled((style, *_sample(others, 2, stream)), stream)
    buttons, paintings = [], []
    for index, each in enumerate(styles):
        x, y = -0.4 + index * 0.4 + stream.uniform(-0.05, 0.05), stream.uniform(-0.2, 0)
        buttons.append(_shifted(f"button{index}", "button", (x, y), 0.0, stream))
        across, along = stream.uniform(-0.05, 0.05), stream.uniform(0.05, 0.1)
        name = painting_of(each)
        paintings.append(on_table(name, name, x + across, y + along))
    target = f"button{styles.index(style)}"
    instruction = f"Please select the painting of style {style.lower()}."
    choices = tuple(button.name for button in buttons)
    return Scene((*buttons, *paintings), instruction, "press", target, choices)


def _poker(seen: bool, stream: _Stream) -> Scene:
    del seen
    deck = [(rank, suit) for rank in catalog.RANKS for suit in catalog.SUITS]
    cards = _sample(deck, stream.integers(3, 5), stream)
    rank, suit = _pick(cards, stream)
    places = [
        ((index - 1.5) * stream.uniform(0.1, 0.15), stream.uniform(0, 0.2))
        for index in range(len(cards))
    ]
    holders = [f"card_holder{index}" for index in range(len(cards))]
    names = [f"{rank}_of_{suit}" for rank, suit in cards]
    things = _standing(holders, names, places)
    instruction = f"Please pick the poker {rank} of {suit}"
    return Scene(things, instruction, "lift", f"{rank}_of_{suit}", tuple(names))


def _nth_largest_poker(seen: bool, stream: _Stream) -> Scene:
    del seen
    ranks = _sample(catalog.RANKS, stream.integers(3, 5), stream)
    nth = int(stream.integers(1, len(ranks) + 1))
    wanted = sorted(ranks, key=catalog.RANKS.index, reverse=True)[nth - 1]
    names = [f"{rank}_of_{_pick(catalog.SUITS, stream)}" for rank in ranks]
    places = [((index - 2) * stream.uniform(0.1, 0.15), 0.2) for index in range(len(ranks))]
    things = _standing([f"card_holder{rank}" for rank in ranks], names, places)
    # Upstream's template doubles "the".
    instruction = f"Please pick the {_ORDERS.get(nth, 'the smallest')} poker"
    return Scene(things, instruction, "lift", names[ranks.index(wanted)], tuple(names))


def _mahjong(seen: bool, stream: _Stream) -> Scene:
    del seen
    target = _pick(catalog.TILES, stream)
    others = [tile for tile in catalog.TILES if tile != target]
    tiles = (target, *_sample(others, stream.integers(6, 8) - 1, stream))
    value, suit = target.split("_")
    return _on_mat(tiles, f"Pick up the mahjong of {value} {suit}", stream)


def _unique_type_mahjong(seen: bool, stream: _Stream) -> Scene:
    del seen
    count = int(stream.integers(6, 8))
    unique = _pick(catalog.TILE_SUITS, stream)
    first, second = (suit for suit in catalog.TILE_SUITS if suit != unique)
    many = int(stream.integers(2, count - 2))
    wanted = {unique: 1, first: many, second: count - many - 1}
    tiles: list[str] = []
    for suit, number in wanted.items():
        tiles += _sample([tile for tile in catalog.TILES if tile.endswith(suit)], number, stream)
    return _on_mat(tiles, "Put the unique type mahjong on the placemat", stream)


def _on_mat(tiles: Sequence[str], instruction: str, stream: _Stream) -> Scene:
    """Return a row of tiles before a placemat; the first tile is the target."""
    place = (stream.uniform(-0.2, 0.2), stream.uniform(0.2, 0.3))
    mat = _shifted("placemat", "placemat", place, 0.0, stream)
    row = _shuffled(tiles, stream)
    x, y = stream.uniform(-0.3, -0.1), stream.uniform(-0.1, 0)
    things = tuple(on_table(tile, tile, x + 0.07 * i, y) for i, tile in enumerate(row))
    return Scene((mat, *things), instruction, "contain", tiles[0], tuple(row), "placemat")


_DRAW: dict[str, Callable[[bool, _Stream], Scene]] = {
    "select_toy": _toy,
    "select_fruit": _fruit,
    "select_painting": _painting,
    "select_poker": _poker,
    "select_mahjong": _mahjong,
    "select_nth_largest_poker": _nth_largest_poker,
    "select_unique_type_mahjong": _unique_type_mahjong,
}
assert _DRAW.keys() == TASKS.keys()


def _standing(
    holders: Sequence[str], cards: Sequence[str], places: Sequence[_Point]
) -> tuple[Thing, ...]:
    """Return cards that stand in holders."""
    stands = [holder_at(name, *place) for name, place in zip(holders, places, strict=True)]
    both = zip(stands, cards, strict=True)
    return tuple(thing for stand, card in both for thing in (stand, in_holder(card, stand)))


def _scattered(
    names: Sequence[str],
    turns: Sequence[float],
    area: tuple[float, float, float, float],
    cells: int,
    stream: _Stream,
) -> tuple[Thing, ...]:
    """Return things in grid cells; each takes the cell that is farthest from the earlier ones."""
    low, high = np.array(area).reshape(2, 2).T
    xs, ys = (low + (np.arange(cells) + 0.5)[:, None] * (high - low) / cells).T
    grid = np.array([(x, y) for y in ys for x in xs])
    taken = [int(stream.integers(len(grid)))]
    while len(taken) < len(names):
        away = np.linalg.norm(grid[:, None] - grid[taken], axis=2).min(axis=1)
        taken.append(int(away.argmax()))
    return tuple(
        _shifted(name, name, (float(grid[cell, 0]), float(grid[cell, 1])), turn, stream)
        for name, cell, turn in zip(names, taken, turns, strict=True)
    )


def _shifted(name: str, asset: str, place: _Point, turn: float, stream: _Stream) -> Thing:
    """Return a thing with a small random shift and rotation."""
    dx, dy = stream.uniform(-_SHIFT, _SHIFT, 2)
    yaw = turn + stream.uniform(-_TURN, _TURN)
    return on_table(name, asset, float(place[0] + dx), float(place[1] + dy), float(yaw))


def _pick(items: Sequence[_Item], stream: _Stream) -> _Item:
    return items[stream.integers(len(items))]


def _sample(items: Sequence[_Item], count: int, stream: _Stream) -> list[_Item]:
    return [items[index] for index in stream.choice(len(items), count, replace=False)]


def _shuffled(items: Sequence[_Item], stream: _Stream) -> list[_Item]:
    return [items[index] for index in stream.permutation(len(items))]
