"""Toy figures: a body in a few colours, with clothes."""

from dataclasses import dataclass

from benchmarks.vlabench.assets.asset import Asset, assemble
from benchmarks.vlabench.assets.parts import Part, Triple

HEAD = 0.122
"""The height of the head's centre in metres; fingers close there."""
HEAD_HALF = 0.0285
CHEST = 0.072
_FOOT = (0.012, 0.017, 0.008)
_SOLIDS = (
    Part("box", (0.024, 0.024, 0.005), (0, 0, 0.005), mass=0.04),
    Part("box", (0.022, 0.014, 0.043), (0, 0, 0.053), mass=0.04),
    Part("box", (HEAD_HALF, 0.02, 0.02), (0, 0, HEAD), mass=0.02),
)


@dataclass(frozen=True)
class Figure:
    """A figure on two legs that looks towards -y.

    Attributes:
        skin: The colour of head and hands.
        top: The colour of the chest.
        legs: The colour of the legs.
        shoes: The colour of the feet.
        sleeves: The colour of the arms; empty for that of the chest.
        gloves: The colour of the hands; empty for that of the skin.
        hair: The colour of the hair; empty for none.
        eyes: The colour around the pupils.
        wears: The clothes by which the figure is recognized.
        wide: The width of the chest relative to the usual one.
    """

    skin: str
    top: str
    legs: str
    shoes: str
    sleeves: str = ""
    gloves: str = ""
    hair: str = ""
    eyes: str = "white"
    wears: tuple[list[Part], ...] = ()
    wide: float = 1.0

    def parts(self) -> tuple[Part, ...]:
        """Return the visible parts."""
        chest = Part("ellipsoid", (0.025 * self.wide, 0.019, 0.03), (0, 0, CHEST), colour=self.top)
        parts = [
            Part("cylinder", (0.032, 0.003), (0, 0, 0.003), colour="#2b2d31"),
            chest,
            Part("sphere", (HEAD_HALF,), (0, 0, HEAD), colour=self.skin),
        ]
        for side in (-1, 1):
            arm = (side * 0.03 * self.wide, 0.0, 0.07)
            hand = (side * 0.035 * self.wide, -0.002, 0.048)
            parts += [
                Part("capsule", (0.0105, 0.018), (side * 0.012, 0, 0.034), colour=self.legs),
                Part("ellipsoid", _FOOT, (side * 0.013, -0.005, 0.013), colour=self.shoes),
                Part("capsule", (0.008, 0.015), arm, (0, -side * 14, 0), self.sleeves or self.top),
                Part("sphere", (0.0095,), hand, colour=self.gloves or self.skin),
            ]
            parts += eye(side * 0.011, self.eyes)
        if self.hair:
            at = (0.0, 0.006, HEAD + 0.007)
            parts.append(Part("ellipsoid", (0.0305, 0.028, 0.0265), at, colour=self.hair))
        return (*parts, *(part for worn in self.wears for part in worn))


def toy(name: str, visible: tuple[Part, ...], solids: tuple[Part, ...] = _SOLIDS) -> Asset:
    """Return a toy; fingers grasp the last of its solid parts, the head."""
    head = solids[-1]
    return assemble(name, "toy", (*solids, *visible), (head.at[2], 2 * head.size[0]))


def eye(x: float, colour: str, height: float = HEAD) -> tuple[Part, Part]:
    """Return an eye that is large enough for the cameras."""
    return (
        Part("ellipsoid", (0.0075, 0.004, 0.0085), (x, -0.0235, height + 0.001), colour=colour),
        Part("sphere", (0.0035,), (x, -0.0265, height + 0.001), colour="black"),
    )


def both(shape: str, size: tuple[float, ...], at: Triple, turn: Triple, colour: str) -> list[Part]:
    """Return a part and its mirror image."""
    x, y, z = at
    first, second, third = turn
    mirrored = Part(shape, size, (-x, y, z), (first, -second, -third), colour)
    return [Part(shape, size, at, turn, colour), mirrored]
