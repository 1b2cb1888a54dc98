"""Poker cards: a rank above its suit. Each suit has its own colour."""

from functools import partial

from PIL import Image, ImageDraw

from benchmarks.vlabench.assets.asset import Asset, standing_slab
from benchmarks.vlabench.assets.pictures import write
from benchmarks.vlabench.catalog import RANKS

_COLOURS = {"clubs": "#007a2f", "diamonds": "#0a52d6", "hearts": "#d8001d", "spades": "#000000"}
NAMES = tuple(f"{rank}_of_{suit}" for suit in _COLOURS for rank in RANKS)
HALF = (0.004, 0.032, 0.047)
"""Half of a card's size, in metres."""
_PIXELS = (192, 282)
_GRASP_HEIGHT, _MASS = 0.07, 0.05
_SUIT = 98
"""The width and height of a suit's sign in pixels."""
_COVERED = 30
"""The height in pixels that a holder may cover at the bottom."""


def card(name: str) -> Asset:
    """Return a card that stands on its short side, with the same face on both sides."""
    return standing_slab(name, "poker", HALF, _MASS, _GRASP_HEIGHT, partial(_face, name))


def _face(name: str) -> Image.Image:
    rank, _, suit = name.partition("_of_")
    colour = _COLOURS[suit]
    image = Image.new("RGB", _PIXELS, "white")
    ImageDraw.Draw(image).rectangle((0, 0, _PIXELS[0] - 1, _PIXELS[1] - 1), outline="#999999")
    text = rank if rank.isdigit() else rank[0].upper()
    margin = 6 if len(text) > 1 else 22
    write(image, text, (margin, 6, _PIXELS[0] - margin, 148), colour)
    sign = Image.new("L", (_SUIT, _SUIT))
    _draw_suit(ImageDraw.Draw(sign), suit)
    corner = (_PIXELS[0] - _SUIT) // 2, _PIXELS[1] - _COVERED - _SUIT
    image.paste(colour, corner, sign)
    return image


def _draw_suit(draw: ImageDraw.ImageDraw, suit: str) -> None:
    """Draw a suit's sign into a mask."""

    def disc(x: float, y: float, radius: float) -> None:
        draw.circle((x * _SUIT, y * _SUIT), radius * _SUIT, fill=255)

    def polygon(*points: tuple[float, float]) -> None:
        draw.polygon([(x * _SUIT, y * _SUIT) for x, y in points], fill=255)

    if suit == "diamonds":
        polygon((0.5, 0), (0.9, 0.5), (0.5, 1), (0.1, 0.5))
    elif suit == "hearts":
        disc(0.27, 0.27, 0.25)
        disc(0.73, 0.27, 0.25)
        polygon((0.06, 0.4), (0.5, 0.28), (0.94, 0.4), (0.5, 0.98))
    elif suit == "spades":
        disc(0.27, 0.56, 0.24)
        disc(0.73, 0.56, 0.24)
        polygon((0.06, 0.44), (0.5, 0), (0.94, 0.44), (0.5, 0.66))
        polygon((0.5, 0.5), (0.68, 1), (0.32, 1))
    else:
        disc(0.5, 0.22, 0.22)
        disc(0.22, 0.58, 0.22)
        disc(0.78, 0.58, 0.22)
        polygon((0.5, 0.3), (0.66, 1), (0.34, 1))
