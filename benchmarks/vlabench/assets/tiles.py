"""Mahjong tiles: a large number above the suit's sign, in the suit's colour.

The dots and sticks of real tiles cannot be counted in an image taken from a metre away.
"""

from functools import partial

from PIL import Image, ImageDraw

from benchmarks.vlabench.assets.asset import Asset, standing_slab
from benchmarks.vlabench.assets.pictures import write

_COLOURS = {"man": "#d0021b", "pin": "#1248c8", "sou": "#067d2c"}
NAMES = tuple(f"{number}_{suit}" for suit in _COLOURS for number in range(1, 10))
_HALF = (0.018, 0.0275, 0.042)
_PIXELS = (192, 292)
_GRASP_HEIGHT, _MASS = 0.058, 0.1
_IVORY = "#fff8e4"


def tile(name: str) -> Asset:
    """Return a tile that stands upright, with the same face on both sides."""
    return standing_slab(name, "mahjong", _HALF, _MASS, _GRASP_HEIGHT, partial(_face, name))


def _face(name: str) -> Image.Image:
    number, _, suit = name.partition("_")
    image = Image.new("RGB", _PIXELS, _IVORY)
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, _PIXELS[0] - 1, _PIXELS[1] - 1), outline="#b9ab84", width=3)
    write(image, number, (20, 8, 172, 184), _COLOURS[suit])
    {"man": _draw_ten_thousand, "pin": _draw_coin, "sou": _draw_bamboo}[suit](draw)
    return image


def _draw_ten_thousand(draw: ImageDraw.ImageDraw) -> None:
    """Draw the Chinese character for ten thousand."""
    red = _COLOURS["man"]
    draw.rectangle((26, 196, 166, 208), fill=red)
    draw.rectangle((80, 226, 152, 238), fill=red)
    draw.line((86, 204, 78, 244, 36, 282), fill=red, width=16)
    draw.line((148, 228, 144, 276, 112, 272), fill=red, width=14)


def _draw_coin(draw: ImageDraw.ImageDraw) -> None:
    draw.circle((96, 240), 43, fill=_COLOURS["pin"])
    draw.circle((96, 240), 28, fill=_IVORY)
    draw.circle((96, 240), 14, fill=_COLOURS["pin"])


def _draw_bamboo(draw: ImageDraw.ImageDraw) -> None:
    for x in (46, 96, 146):
        draw.rounded_rectangle((x - 17, 198, x + 17, 284), 12, fill=_COLOURS["sou"])
        draw.rectangle((x - 17, 237, x + 17, 245), fill=_IVORY)
