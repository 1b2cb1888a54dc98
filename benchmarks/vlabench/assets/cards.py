"""Poker cards: a rank above its suit, in the four colours of a four-colour deck."""

from functools import partial

from PIL import Image, ImageDraw

from benchmarks.vlabench.assets.asset import Asset, assemble
from benchmarks.vlabench.assets.parts import Part, slab
from benchmarks.vlabench.assets.pictures import write

RANKS = ("2", "3", "4", "5", "6", "7", "8", "9", "10", "jack", "queen", "king", "ace")
COLOURS = {"clubs": "#007a2f", "diamonds": "#0a52d6", "hearts": "#d8001d", "spades": "#000000"}
NAMES = tuple(f"{rank}_of_{suit}" for suit in COLOURS for rank in RANKS)
HALF = (0.004, 0.032, 0.047)
PIXELS = (192, 282)
GRASP_HEIGHT = 0.07
MASS = 0.05
SUIT = 108
"""How many pixels wide and high a suit is."""
HIDDEN = 30
"""How many pixels at the bottom a holder may cover."""


def card(name: str) -> Asset:
    """Return a card that stands on its short side, with the same face on both sides."""
    centre = (0, 0, HALF[2])
    parts = (
        Part("mesh", at=centre, mesh=slab(HALF), picture="face"),
        Part("box", HALF, centre, mass=MASS),
    )
    pictures = {"face": partial(face, name)}
    return assemble(name, "poker", parts, (GRASP_HEIGHT, 2 * HALF[0]), pictures, facing=90)


def face(name: str) -> Image.Image:
    """Draw a card's face."""
    rank, _, suit = name.partition("_of_")
    colour = COLOURS[suit]
    image = Image.new("RGB", PIXELS, "white")
    ImageDraw.Draw(image).rectangle((0, 0, PIXELS[0] - 1, PIXELS[1] - 1), outline="#999999")
    text = rank if rank.isdigit() else rank[0].upper()
    margin = 10 if len(text) > 1 else 34
    write(image, text, (margin, 8, PIXELS[0] - margin, 134), colour)
    pip = Image.new("L", (SUIT, SUIT))
    draw_suit(ImageDraw.Draw(pip), suit)
    corner = (PIXELS[0] - SUIT) // 2, PIXELS[1] - HIDDEN - SUIT
    image.paste(colour, corner, pip)
    return image


def draw_suit(draw: ImageDraw.ImageDraw, suit: str) -> None:
    """Draw a suit into a mask."""

    def disc(x: float, y: float, radius: float) -> None:
        draw.circle((x * SUIT, y * SUIT), radius * SUIT, fill=255)

    def polygon(*points: tuple[float, float]) -> None:
        draw.polygon([(x * SUIT, y * SUIT) for x, y in points], fill=255)

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
