"""Mahjong tiles: the nine of each suit, a large number above the suit's sign, both in its colour.

Real tiles count with nine small dots or sticks, of which a camera a metre away sees a blur.
"""

from functools import partial

from PIL import Image, ImageDraw

from benchmarks.vlabench.assets.asset import Asset, assemble
from benchmarks.vlabench.assets.parts import Part, slab
from benchmarks.vlabench.assets.pictures import write

COLOURS = {"man": "#d0021b", "pin": "#1248c8", "sou": "#067d2c"}
NAMES = tuple(f"{number}_{suit}" for suit in COLOURS for number in range(1, 10))
HALF = (0.018, 0.0275, 0.042)
PIXELS = (192, 292)
GRASP_HEIGHT = 0.058
MASS = 0.1
IVORY = "#fff8e4"


def tile(name: str) -> Asset:
    """Return a tile that stands upright, with the same face on both sides."""
    centre = (0, 0, HALF[2])
    parts = (
        Part("mesh", at=centre, mesh=slab(HALF), picture="face"),
        Part("box", HALF, centre, mass=MASS),
    )
    pictures = {"face": partial(face, name)}
    return assemble(name, "mahjong", parts, (GRASP_HEIGHT, 2 * HALF[0]), pictures, facing=90)


def face(name: str) -> Image.Image:
    """Draw a tile's face."""
    number, _, suit = name.partition("_")
    image = Image.new("RGB", PIXELS, IVORY)
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, PIXELS[0] - 1, PIXELS[1] - 1), outline="#b9ab84", width=3)
    write(image, number, (36, 12, 156, 166), COLOURS[suit])
    {"man": _draw_ten_thousand, "pin": _draw_circles, "sou": _draw_bamboo}[suit](draw)
    return image


def _draw_ten_thousand(draw: ImageDraw.ImageDraw) -> None:
    """Draw the Chinese sign for ten thousand."""
    red = COLOURS["man"]
    draw.rectangle((26, 186, 166, 200), fill=red)
    draw.rectangle((80, 220, 152, 234), fill=red)
    draw.line((86, 196, 78, 238, 36, 278), fill=red, width=18)
    draw.line((148, 222, 144, 270, 112, 266), fill=red, width=16)


def _draw_circles(draw: ImageDraw.ImageDraw) -> None:
    """Draw a coin, of which the suit has its name."""
    draw.circle((96, 230), 48, fill=COLOURS["pin"])
    draw.circle((96, 230), 30, fill=IVORY)
    draw.circle((96, 230), 15, fill=COLOURS["pin"])


def _draw_bamboo(draw: ImageDraw.ImageDraw) -> None:
    """Draw three canes, each with a knot."""
    for x in (46, 96, 146):
        draw.rounded_rectangle((x - 17, 182, x + 17, 280), 12, fill=COLOURS["sou"])
        draw.rectangle((x - 17, 227, x + 17, 235), fill=IVORY)
