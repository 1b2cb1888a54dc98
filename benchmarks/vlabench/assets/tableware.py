"""Containers, card holders and buttons."""

import math
from collections.abc import Callable

from PIL import Image, ImageDraw

from benchmarks.vlabench.assets.asset import NOT_GRASPED, TRAVEL, Asset, assemble
from benchmarks.vlabench.assets.cards import HALF as CARD_HALF
from benchmarks.vlabench.assets.parts import Part, lathe, solid
from benchmarks.vlabench.catalog import RANKS

HOLDERS = ("card_holder", *(f"card_holder{place}" for place in ("0", "1", *RANKS)))
BUTTONS = ("button", *(f"button{place}" for place in range(3)))
"""Upstream numbers the buttons and some holders, and names the other holders after cards."""
_BOX_HALF, _BOX_HEIGHT, _WALL = 0.078, 0.06, 0.004
_BOX_COLOURS = {"giftbox_seen": ("#c8102e", "#f5c518"), "giftbox_unseen": ("#1f6fd1", "#f4f4f4")}
_PLATE_COLOURS = {
    "plate_seen": ("#f6f6f2", "#2c5fb3"),
    "plate_unseen": ("#2e8b7a", "#f2c14e"),
}
_PLATE_PROFILE = (
    (0.0, 0.0),
    (0.07, 0.0),
    (0.11, 0.016),
    (0.11, 0.019),
    (0.072, 0.006),
    (0.0, 0.006),
)
"""Radius and height in metres, from the underside around the rim to the upper side."""
_MAT_HALF = (0.13, 0.1, 0.002)
_SLOT_HALF, _SLOT_FLOOR, _SLOT_TOP = CARD_HALF[0] + 0.0004, 0.024, 0.034
"""The card holder: half of its slot's width, and the heights of the slot's floor and top."""


def _giftbox(name: str) -> Asset:
    """Return an open box with a ribbon around it."""
    paper, ribbon = _BOX_COLOURS[name]
    inner, middle = _BOX_HALF - _WALL, _BOX_HALF - _WALL / 2
    height = _BOX_HEIGHT / 2
    plates = [((inner, inner, _WALL / 2), (0.0, 0.0, _WALL / 2))]
    for side in (-1, 1):
        plates.append(((_WALL / 2, _BOX_HALF, height), (side * middle, 0.0, height)))
        plates.append(((inner, _WALL / 2, height), (0.0, side * middle, height)))
    parts = [
        part for half, at in plates for part in solid(Part("box", half, at, colour=paper), 0.08)
    ]
    for side in (-1, 1):
        for half, at in (
            ((_WALL, 0.012, height), (side * middle, 0.0, height)),
            ((0.012, _WALL, height), (0.0, side * middle, height)),
        ):
            parts.append(Part("box", half, at, colour=ribbon))
    return assemble(name, "container", tuple(parts), (_WALL, NOT_GRASPED))


def _plate(name: str) -> Asset:
    """Return a round plate with a coloured rim."""
    colours = _PLATE_COLOURS[name]
    radius, height = _PLATE_PROFILE[2]
    foot, floor = _PLATE_PROFILE[1][0], _PLATE_PROFILE[-1][1]
    parts = [Part("mesh", mesh=lathe(_PLATE_PROFILE, 40), picture="glaze")]
    for turn in (0, 45):
        square = (foot * 0.75, foot * 0.75, floor / 2)
        parts.append(Part("box", square, (0, 0, floor / 2), (0, 0, turn), mass=0.15))
    count = 16
    length = (radius - foot) / 2
    slope = math.degrees(math.atan2(height, radius - foot))
    for index in range(count):
        angle = 2 * math.pi * index / count
        middle = (radius + foot) / 2
        at = (middle * math.cos(angle), middle * math.sin(angle), height / 2 + 0.0025)
        half = (length, math.pi * middle / count, 0.002)
        parts.append(Part("box", half, at, (0, -slope, math.degrees(angle)), mass=0.01))

    def glaze() -> Image.Image:
        """Draw the plate's upper middle at the top, then its rim, then its underside."""
        image = Image.new("RGB", (8, 100), colours[0])
        ImageDraw.Draw(image).rectangle((0, 20, 8, 42), fill=colours[1])
        return image

    return assemble(name, "container", tuple(parts), (floor, NOT_GRASPED), {"glaze": glaze})


def _placemat(name: str) -> Asset:
    """Return a woven mat."""
    across, along, thick = _MAT_HALF
    parts = [*solid(Part("box", _MAT_HALF, (0, 0, thick), colour="#3d7f8c"), 0.2)]
    for share in (0.9, 0.45):
        for side in (-1, 1):
            bar = (0.006, along * 0.96, thick)
            parts.append(
                Part("box", bar, (side * share * across, 0, thick + 0.0005), colour="#f1e3c6")
            )
    return assemble(name, "container", tuple(parts), (2 * thick, NOT_GRASPED))


def card_holder(name: str) -> Asset:
    """Return a block with a slot for a card, with the same orientation as the card."""
    lip = (0.022 - _SLOT_HALF) / 2
    lip_height = (_SLOT_TOP - _SLOT_FLOOR) / 2
    half, at = (0.022, 0.03, _SLOT_FLOOR / 2), (0.0, 0.0, _SLOT_FLOOR / 2)
    parts = [*solid(Part("box", half, at, colour="#3a3f47"), 0.3)]
    for side in (-1, 1):
        place = (side * (_SLOT_HALF + lip), 0.0, _SLOT_FLOOR + lip_height)
        parts += solid(Part("box", (lip, 0.03, lip_height), place, colour="#50565f"), 0.05)
    return assemble(name, "holder", tuple(parts), (_SLOT_FLOOR, NOT_GRASPED), facing=90)


def button(name: str) -> Asset:
    """Return a red button. Its base has no contacts, so that the cap can move into it."""
    top, thick = 0.04, 0.012
    base = Part("cylinder", (0.036, 0.007), (0, 0, 0.007), colour="#30343a")
    # A fully pressed cap stays above the table.
    cap = Part("cylinder", (0.028, thick), (0, 0, top - thick), colour="#e01010")
    assert top - 2 * thick > TRAVEL
    return assemble(name, "button", (base,), (top, NOT_GRASPED), cap=solid(cap, 0.02))


CONTAINERS: dict[str, Callable[[str], Asset]] = {
    **dict.fromkeys(_BOX_COLOURS, _giftbox),
    **dict.fromkeys(_PLATE_COLOURS, _plate),
    "placemat": _placemat,
}
