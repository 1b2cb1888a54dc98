"""Paintings: boards that lean against each other, with the same picture on both."""

import math

from benchmarks.vlabench.assets.asset import NOT_GRASPED, Asset, assemble
from benchmarks.vlabench.assets.parts import Part, slab
from benchmarks.vlabench.assets.styles import STYLES, draw_style

NAMES = tuple(f"{style}_painting" for style in STYLES)
HALF = (0.004, 0.1, 0.08)
LEAN = 30
"""Degrees: both boards then face the cameras beyond them, and one from above sees half of each."""
FRONT = -0.012
"""Where along y the front board's lower edge is: whoever presses the button before it has room."""


def painting(name: str) -> Asset:
    """Return a picture that can be seen from the front, from behind and from above."""
    cosine, sine = math.cos(math.radians(LEAN)), math.sin(math.radians(LEAN))
    height = HALF[2] * cosine + HALF[0] * sine
    middle = FRONT + HALF[2] * sine + HALF[0] * cosine
    parts = []
    for at, lean in ((middle, LEAN), (middle + 2 * HALF[2] * sine, -LEAN)):
        centre, turn = (0.0, at, height), (0.0, lean, 90.0)
        parts += [
            Part("mesh", at=centre, turn=turn, mesh=slab(HALF), picture="canvas"),
            Part("box", HALF, centre, turn, mass=0.2),
        ]
    style = name.removesuffix("_painting")
    pictures = {"canvas": lambda: draw_style(style)}
    return assemble(name, "painting", tuple(parts), (height, NOT_GRASPED), pictures)
