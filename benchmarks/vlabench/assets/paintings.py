"""Paintings: two boards that lean against each other and show the same picture."""

import math

from benchmarks.vlabench.assets.asset import NOT_GRASPED, Asset, assemble
from benchmarks.vlabench.assets.parts import Part, slab
from benchmarks.vlabench.assets.styles import STYLES

NAMES = tuple(f"{style}_painting" for style in STYLES)
_HALF = (0.004, 0.1, 0.08)
_LEAN = 30
"""The tilt of the boards in degrees. A camera from above still sees half of each board."""
_FRONT = -0.012
"""The y position of the front board's lower edge in metres; it leaves room for the button."""


def painting(name: str) -> Asset:
    """Return a picture that is visible from the front, from behind and from above."""
    cosine, sine = math.cos(math.radians(_LEAN)), math.sin(math.radians(_LEAN))
    height = _HALF[2] * cosine + _HALF[0] * sine
    middle = _FRONT + _HALF[2] * sine + _HALF[0] * cosine
    parts = []
    for at, lean in ((middle, _LEAN), (middle + 2 * _HALF[2] * sine, -_LEAN)):
        centre, turn = (0.0, at, height), (0.0, lean, 90.0)
        parts += [
            Part("mesh", at=centre, turn=turn, mesh=slab(_HALF), picture="canvas"),
            Part("box", _HALF, centre, turn, mass=0.2),
        ]
    style = name.removesuffix("_painting")
    pictures = {"canvas": STYLES[style]}
    return assemble(name, "painting", tuple(parts), (height, NOT_GRASPED), pictures)
