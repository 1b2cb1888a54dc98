"""Toys on four legs; they look towards -y."""

from collections.abc import Callable

from benchmarks.vlabench.assets import clothes as wear
from benchmarks.vlabench.assets.asset import Asset
from benchmarks.vlabench.assets.figures import toy
from benchmarks.vlabench.assets.parts import Part, Triple

_HEAD: Triple = (0.0, -0.04, 0.092)
_BACK = 0.056
_ALONG = (90.0, 0.0, 0.0)
_SOLIDS = (
    Part("box", (0.02, 0.042, 0.017), (0, 0, 0.017), mass=0.05),
    Part("sphere", (0.024,), _HEAD, mass=0.01),
    Part("box", (0.019, 0.034, 0.02), (0, 0, _BACK), mass=0.04),
)


def _pluto(name: str) -> Asset:
    """Return an orange dog with black ears and a green collar."""
    coat = "#f0a21f"
    trunk = Part("capsule", (0.02, 0.026), (0, 0, _BACK), _ALONG, coat)
    tail = Part("capsule", (0.003, 0.022), (0, 0.055, 0.08), (-30, 0, 0), "#141414")
    parts = [
        trunk,
        tail,
        *_legs(coat),
        *_head(coat, "#ffd27a"),
        *wear.hanging_ears("#141414", _HEAD),
    ]
    parts.append(Part("cylinder", (0.017, 0.005), (0, -0.036, 0.072), (20, 0, 0), "#2fa83a"))
    return toy(name, tuple(parts), _SOLIDS)


def _slinky_dog(name: str) -> Asset:
    """Return a brown dog with a spring as its middle."""
    coat = "#8a4f22"
    parts = [
        Part("capsule", (0.02, 0.006), (0, end, _BACK), _ALONG, coat) for end in (-0.032, 0.032)
    ]
    for turn in range(6):
        ring = Part(
            "cylinder", (0.021, 0.002), (0, -0.0175 + turn * 0.007, _BACK), _ALONG, "#dfe4ea"
        )
        parts.append(ring)
    parts.append(Part("cylinder", (0.012, 0.02), (0, 0, _BACK), _ALONG, "#4a4f57"))
    tail = Part("capsule", (0.003, 0.018), (0, 0.055, 0.078), (-20, 0, 0), "#dfe4ea")
    parts += [tail, *_legs(coat), *_head(coat, "#e8c089"), *wear.hanging_ears("#54290c", _HEAD)]
    return toy(name, tuple(parts), _SOLIDS)


ANIMALS: dict[str, Callable[[str], Asset]] = {"pluto": _pluto, "slinky_dog": _slinky_dog}


def _legs(colour: str) -> list[Part]:
    return [
        Part("capsule", (0.0085, 0.02), (x, y, 0.0285), colour=colour)
        for x in (-0.0115, 0.0115)
        for y in (-0.032, 0.032)
    ]


def _head(coat: str, muzzle: str) -> list[Part]:
    _, y, z = _HEAD
    parts = [
        Part("sphere", (0.025,), _HEAD, colour=coat),
        Part("ellipsoid", (0.013, 0.018, 0.011), (0, y - 0.026, z - 0.008), colour=muzzle),
        Part("sphere", (0.0065,), (0, y - 0.044, z - 0.003), colour="black"),
    ]
    for x in (-0.009, 0.009):
        parts.append(Part("ellipsoid", (0.006, 0.004, 0.008), (x, y - 0.02, z + 0.01)))
        parts.append(Part("sphere", (0.003,), (x, y - 0.0235, z + 0.011), colour="black"))
    return parts
