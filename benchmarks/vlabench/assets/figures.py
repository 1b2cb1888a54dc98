"""The figures that toys are: a body from a few colours, and what somebody wears."""

from dataclasses import dataclass

from benchmarks.vlabench.assets.asset import Asset, assemble
from benchmarks.vlabench.assets.parts import Part, Vector

HEAD = 0.122
"""The height of the head's centre, where fingers close."""
HEAD_HALF = 0.0285
CHEST = 0.072
FOOT = (0.012, 0.017, 0.008)
SOLIDS = (
    Part("box", (0.024, 0.024, 0.005), (0, 0, 0.005), mass=0.04),
    Part("box", (0.022, 0.014, 0.043), (0, 0, 0.053), mass=0.04),
    Part("box", (HEAD_HALF, 0.02, 0.02), (0, 0, HEAD), mass=0.02),
)


@dataclass(frozen=True)
class Figure:
    """Someone on two legs, who looks towards -y.

    Attributes:
        skin: The head's and the hands' colour.
        top: The chest's.
        legs: The legs'.
        shoes: The feet's.
        sleeves: The arms', or empty for the chest's.
        gloves: The hands', or empty for the skin's.
        hair: What covers the back of the head, or empty.
        eyes: The colour around the pupils.
        wears: What makes the figure known at a glance.
        wide: How much wider the chest is than most.
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
        """Return what is seen of it."""
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
                Part("ellipsoid", FOOT, (side * 0.013, -0.005, 0.013), colour=self.shoes),
                Part("capsule", (0.008, 0.015), arm, (0, -side * 14, 0), self.sleeves or self.top),
                Part("sphere", (0.0095,), hand, colour=self.gloves or self.skin),
            ]
            parts += eye(side * 0.011, self.eyes)
        if self.hair:
            at = (0.0, 0.006, HEAD + 0.007)
            parts.append(Part("ellipsoid", (0.0305, 0.028, 0.0265), at, colour=self.hair))
        return (*parts, *(part for worn in self.wears for part in worn))


def toy(name: str, seen: tuple[Part, ...], solids: tuple[Part, ...] = SOLIDS) -> Asset:
    """Return a toy that is grasped at the last of its solids."""
    head = solids[-1]
    return assemble(name, "toy", (*solids, *seen), (head.at[2], 2 * head.size[0]))


def eye(x: float, colour: str, height: float = HEAD) -> tuple[Part, Part]:
    """Return an eye, large enough to be seen from afar."""
    return (
        Part("ellipsoid", (0.0075, 0.004, 0.0085), (x, -0.0235, height + 0.001), colour=colour),
        Part("sphere", (0.0035,), (x, -0.0265, height + 0.001), colour="black"),
    )


def both(shape: str, size: tuple[float, ...], at: Vector, turn: Vector, colour: str) -> list[Part]:
    """Return a part and its mirror image."""
    x, y, z = at
    first, second, third = turn
    mirrored = Part(shape, size, (-x, y, z), (first, -second, -third), colour)
    return [Part(shape, size, at, turn, colour), mirrored]
