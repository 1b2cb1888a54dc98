"""Fruits: visible shells around simple solid shapes."""

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy.interpolate import PchipInterpolator

from benchmarks.vlabench.assets.asset import Asset, assemble
from benchmarks.vlabench.assets.parts import Mesh, Part, lathe, tube
from benchmarks.vlabench.assets.pictures import grain, randomness, shade

_FOOT = (0.015, 0.015, 0.005)
"""Half of the size of the flat foot that keeps a fruit from rolling."""
_MASS, _FOOT_MASS = 0.1, 0.04
_LYING = (90.0, 0.0, 0.0)
"""The rotation of a shape along z that makes it lie along y."""


def fruit(name: str) -> Asset:
    """Return a fruit as it lies on a table; fingers close across it."""
    return FRUITS[name](name)


def _apple(name: str) -> Asset:
    profile = [(0, 0.004), (0.014, 0), (0.027, 0.011), (0.034, 0.034), (0.03, 0.054)]
    profile += [(0.018, 0.064), (0.008, 0.061), (0, 0.055)]
    extras = _stem(0.055, 0.075), _leaf(0.072, "#2f8f2f")
    skin = partial(_skin, name, "#e8352a", "#b40c14")
    return _upright(name, lathe(_smooth(profile)), skin, (0.033, 0.033), extras)


def _orange(name: str) -> Asset:
    calyx = Part("ellipsoid", (0.007, 0.007, 0.002), (0, 0, 0.068), colour="#3c6b1e")
    skin = partial(_skin, name, "#ff8a00", "#ff9d1c", 12)
    return _upright(name, lathe(_round(0.034)), skin, (0.034, 0.034), (calyx,))


def _peach(name: str) -> Asset:
    """Return a peach, with a furrow from top to bottom."""
    mesh = lathe(_round(0.033), 32)
    angle = np.arctan2(mesh.vertices[:, 1], mesh.vertices[:, 0])
    depth = 1 - 0.2 * np.exp(-(((np.abs(angle) - np.pi / 2) / 0.16) ** 2))
    mesh.vertices[:, :2] *= depth[:, None]
    extras = (_leaf(0.068, "#4aa53a"),)
    return _upright(name, mesh, partial(_skin, name, "#ff7f5a", "#ffb27a"), (0.033, 0.033), extras)


def _pear(name: str) -> Asset:
    profile = [(0, 0.002), (0.014, 0), (0.028, 0.012), (0.034, 0.03), (0.029, 0.05)]
    profile += [(0.019, 0.068), (0.014, 0.084), (0.008, 0.093), (0, 0.095)]
    skin = partial(_skin, name, "#b4cc2c", "#8fb81e")
    return _upright(name, lathe(_smooth(profile)), skin, (0.033, 0.033), (_stem(0.092, 0.108),))


def _kiwi(name: str) -> Asset:
    """Return a kiwi that is cut open at the top; a whole one cannot be recognized."""
    side = [(0.029 * np.sin(a), 0.03 - 0.03 * np.cos(a)) for a in np.linspace(0, 2.2, 12)]
    cut = [(side[-1][0] * share, side[-1][1]) for share in np.linspace(0.97, 0, 12)]
    return _upright(name, lathe([*side, *cut], 32), _kiwi_picture, (0.028, 0.028), ())


def _lemon(name: str) -> Asset:
    profile = [(0, -0.05), (0.006, -0.047), (0.01, -0.04), (0.022, -0.03), (0.029, -0.012)]
    profile += [(radius, -along) for radius, along in reversed(profile)]
    skin = partial(_skin, name, "#ffe512", "#ffee3a", 6)
    return _lying(name, lathe(_smooth(profile)), skin, (0.0275, 0.02))


def _mango(name: str) -> Asset:
    mesh = lathe([(0.031 * np.sin(a), -0.05 * np.cos(a)) for a in np.linspace(0, np.pi, 13)])
    along = mesh.vertices[:, 2]
    mesh.vertices[:, 0] += 0.12 * along**2 / 0.05
    return _lying(name, mesh, partial(_skin, name, "#5f9e1f", "#f2502a", 4), (0.031, 0.022))


def _banana(name: str) -> Asset:
    """Return a banana on its side, bent towards x; fingers close on its middle."""
    bend, thick = 0.11, 0.018
    angles = np.linspace(-0.8, 0.8, 17)
    shares = np.interp(np.abs(angles), [0, 0.5, 0.68, 0.8], [1, 0.85, 0.4, 0.3])
    around = np.linspace(0, 2 * np.pi, 13)
    reach = bend + thick * shares[:, None] * np.cos(around)
    height = thick + thick * shares[:, None] * np.sin(around)
    flat = bend - reach * np.cos(angles)[:, None]
    rings = np.stack([flat, reach * np.sin(angles)[:, None], height], axis=-1)
    parts = [Part("mesh", mesh=tube(rings), picture="skin")]
    for end in (-0.55, 0.0, 0.55):
        radius = thick if end == 0 else thick * 0.85
        # All three touch the table, so that the banana does not roll.
        at = (bend * (1 - np.cos(end)), bend * np.sin(end), radius)
        turn = (90.0, 0.0, -float(np.degrees(end)))
        parts.append(Part("capsule", (radius, 0.02), at, turn, mass=_MASS / 3))
    for end in (-0.8, 0.8):
        at = (bend * (1 - np.cos(end)), bend * np.sin(end), thick)
        parts.append(Part("sphere", (0.0065,), at, colour="#3b2a12"))
    pictures = {"skin": partial(_skin, name, "#f5d90a", "#f5d90a", 5)}
    return assemble(name, "fruit", tuple(parts), (thick, 2 * thick), pictures)


FRUITS: dict[str, Callable[[str], Asset]] = {
    "apple": _apple,
    "banana": _banana,
    "kiwi": _kiwi,
    "lemon": _lemon,
    "mango": _mango,
    "orange": _orange,
    "peach": _peach,
    "pear": _pear,
}


def _upright(
    name: str,
    mesh: Mesh,
    skin: Callable[[], Image.Image],
    ball: tuple[float, float],
    extras: tuple[Part, ...],
) -> Asset:
    """Return a fruit around a ball, given by its radius and height."""
    radius, height = ball
    parts = (
        Part("mesh", mesh=mesh, picture="skin"),
        Part("sphere", (radius,), (0, 0, height), mass=_MASS),
        Part("box", _FOOT, (0, 0, _FOOT[2]), mass=_FOOT_MASS),
        *extras,
    )
    return assemble(name, "fruit", parts, (height, 2 * radius), {"skin": skin})


def _lying(
    name: str, mesh: Mesh, skin: Callable[[], Image.Image], size: tuple[float, float]
) -> Asset:
    """Return a long fruit around a capsule, given by its radius and half of its length."""
    radius = size[0]
    lowest = float(mesh.vertices[:, 1].min())
    at = (0.0, 0.0, -lowest)
    parts = (
        Part("mesh", at=at, turn=_LYING, mesh=mesh, picture="skin"),
        Part("capsule", size, at, _LYING, mass=_MASS),
        Part("box", _FOOT, (0, 0, _FOOT[2]), mass=_FOOT_MASS),
    )
    return assemble(name, "fruit", parts, (-lowest, 2 * radius), {"skin": skin})


def _round(radius: float) -> list[tuple[float, float]]:
    """Return the profile of a ball with a slightly flat bottom."""
    angles = np.linspace(0, np.pi, 13)
    return [(radius * np.sin(a), max(0.0, radius - radius * np.cos(a))) for a in angles]


def _smooth(profile: list[tuple[float, float]]) -> NDArray[np.float64]:
    """Return points on a smooth curve through a profile."""
    count = len(profile)
    curve = PchipInterpolator(np.arange(count), profile)
    return curve(np.linspace(0, count - 1, 3 * count - 2))


def _stem(bottom: float, top: float) -> Part:
    half = (top - bottom) / 2
    return Part("cylinder", (0.0025, half), (0, 0, bottom + half), (0, 10, 0), colour="#5a3a1a")


def _leaf(height: float, colour: str) -> Part:
    return Part("ellipsoid", (0.014, 0.007, 0.002), (0.012, 0, height), (0, -15, 0), colour=colour)


def _skin(name: str, bottom: str, top: str, roughness: float = 8) -> Image.Image:
    """Draw a skin with a colour gradient and noise."""
    return grain(shade(bottom, top, (64, 64)), randomness(name), roughness)


def _kiwi_picture() -> Image.Image:
    """Draw a kiwi's skin at the bottom, and its cut, from rim to middle, at the top."""
    image = grain(Image.new("RGB", (192, 96), "#7a5228"), randomness("kiwi"), 14)
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, 192, 47), fill="#7cc82a")
    draw.rectangle((0, 0, 192, 14), fill="#f4f2cf")
    for x in range(6, 192, 16):
        draw.ellipse((x - 3, 16, x + 3, 28), fill="#151a08")
    return image
