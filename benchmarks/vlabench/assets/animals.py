"""Toys on four legs, which look towards -y and are grasped across their backs."""

from collections.abc import Callable

from benchmarks.vlabench.assets import clothes as wear
from benchmarks.vlabench.assets.asset import Asset
from benchmarks.vlabench.assets.figures import toy
from benchmarks.vlabench.assets.parts import Part, Vector

HEAD: Vector = (0.0, -0.04, 0.092)
BACK = 0.056
ALONG = (90.0, 0.0, 0.0)
SOLIDS = (
    Part("box", (0.02, 0.042, 0.017), (0, 0, 0.017), mass=0.05),
    Part("sphere", (0.024,), HEAD, mass=0.01),
    Part("box", (0.019, 0.034, 0.02), (0, 0, BACK), mass=0.04),
)


def pluto(name: str) -> Asset:
    """An orange dog with black ears and a green collar."""
    coat = "#f0a21f"
    trunk = Part("capsule", (0.02, 0.026), (0, 0, BACK), ALONG, coat)
    tail = Part("capsule", (0.003, 0.022), (0, 0.055, 0.08), (-30, 0, 0), "#141414")
    parts = [trunk, tail, *_legs(coat), *_head(coat, "#ffd27a"), *_ears("#141414")]
    parts.append(Part("cylinder", (0.017, 0.005), (0, -0.036, 0.072), (20, 0, 0), "#2fa83a"))
    return toy(name, tuple(parts), SOLIDS)


def slinky_dog(name: str) -> Asset:
    """A brown dog whose middle is a spring."""
    coat = "#8a4f22"
    parts = [Part("capsule", (0.02, 0.006), (0, end, BACK), ALONG, coat) for end in (-0.032, 0.032)]
    for turn in range(6):
        ring = Part("cylinder", (0.021, 0.002), (0, -0.0175 + turn * 0.007, BACK), ALONG, "#dfe4ea")
        parts.append(ring)
    parts.append(Part("cylinder", (0.012, 0.02), (0, 0, BACK), ALONG, "#4a4f57"))
    tail = Part("capsule", (0.003, 0.018), (0, 0.055, 0.078), (-20, 0, 0), "#dfe4ea")
    parts += [tail, *_legs(coat), *_head(coat, "#e8c089"), *_ears("#54290c")]
    return toy(name, tuple(parts), SOLIDS)


ANIMALS: dict[str, Callable[[str], Asset]] = {"pluto": pluto, "slinky_dog": slinky_dog}


def _legs(colour: str) -> list[Part]:
    return [
        Part("capsule", (0.0085, 0.02), (x, y, 0.0285), colour=colour)
        for x in (-0.0115, 0.0115)
        for y in (-0.032, 0.032)
    ]


def _head(coat: str, muzzle: str) -> list[Part]:
    _, y, z = HEAD
    parts = [
        Part("sphere", (0.025,), HEAD, colour=coat),
        Part("ellipsoid", (0.013, 0.018, 0.011), (0, y - 0.026, z - 0.008), colour=muzzle),
        Part("sphere", (0.0065,), (0, y - 0.044, z - 0.003), colour="black"),
    ]
    for x in (-0.009, 0.009):
        parts.append(Part("ellipsoid", (0.006, 0.004, 0.008), (x, y - 0.02, z + 0.01)))
        parts.append(Part("sphere", (0.003,), (x, y - 0.0235, z + 0.011), colour="black"))
    return parts


def _ears(colour: str) -> list[Part]:
    return wear.hanging_ears(colour, HEAD)
