"""The parts that assets are made of, and how MuJoCo's XML says them."""

import xml.etree.ElementTree as ET
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import ImageColor
from scipy.spatial.transform import Rotation

Vector = tuple[float, float, float]
GROUP_SEEN, GROUP_SOLID = "1", "3"
GRIP = {"friction": "1.5 0.03 0.001", "condim": "4", "solref": "0.004 1"}
"""Contacts that do not slip between two fingers."""


@dataclass(frozen=True, eq=False)
class Mesh:
    """Triangles with a place in a picture for each vertex."""

    vertices: NDArray[np.float64]
    faces: NDArray[np.int64]
    texcoords: NDArray[np.float64]

    @cached_property
    def said(self) -> Mapping[str, str]:
        """It as attributes of XML."""
        return {
            "vertex": said(self.vertices.ravel().tolist()),
            "texcoord": said(self.texcoords.ravel().tolist()),
            "face": " ".join(map(str, self.faces.ravel().tolist())),
        }


@dataclass(frozen=True, eq=False)
class Part:
    """One geom: seen and not touched if it weighs nothing, else touched and not seen.

    Attributes:
        shape: MuJoCo's name of it, or "mesh".
        size: MuJoCo's sizes of it, in metres; empty for a mesh.
        at: Where its centre is, from the centre of the asset's base.
        turn: Its rotation about the asset's x, then y, then z, in degrees.
        colour: As Pillow knows it, "#rrggbb" or a name.
        picture: Which of the asset's pictures covers it, if any.
        mesh: The triangles of a mesh.
        mass: In kilograms.
    """

    shape: str
    size: tuple[float, ...] = ()
    at: Vector = (0, 0, 0)
    turn: Vector = (0, 0, 0)
    colour: str = "white"
    picture: str = ""
    mesh: Mesh | None = None
    mass: float = 0

    @property
    def rotation(self) -> Rotation:
        """Return its rotation in the asset's frame."""
        return Rotation.from_euler("xyz", self.turn, degrees=True)

    def bounds(self) -> NDArray[np.float64]:
        """Return the lowest and the highest corner of a box around it, one above the other."""
        if self.mesh is not None:
            points = self.rotation.apply(self.mesh.vertices)
            low, high = points.min(axis=0), points.max(axis=0)
        else:
            high = _extent(self.shape, self.size, self.rotation.as_matrix())
            low = -high
        return np.array([low, high]) + np.array(self.at)

    def geom(self, name: str, material: str, mesh: str) -> ET.Element:
        """Return the geom, with the names of the material and the mesh that it may refer to."""
        quaternion = self.rotation.as_quat()[[3, 0, 1, 2]]
        given = {"name": name, "type": self.shape, "pos": said(self.at), "quat": said(quaternion)}
        if self.mesh is not None:
            given["mesh"] = mesh
        else:
            given["size"] = said(self.size)
        if self.picture:
            given["material"] = material
        else:
            given["rgba"] = said([c / 255 for c in ImageColor.getrgb(self.colour)[:3]] + [1])
        if self.mass:
            given |= {"group": GROUP_SOLID, "contype": "1", "conaffinity": "1"} | GRIP
        else:
            given |= {"group": GROUP_SEEN, "contype": "0", "conaffinity": "0"}
        return ET.Element("geom", given | {"mass": f"{self.mass:.6g}"})


def said(numbers: Iterable[float]) -> str:
    """Return numbers as an attribute of XML."""
    return " ".join(f"{number:.6g}" for number in numbers)


def solid(part: Part, mass: float) -> tuple[Part, Part]:
    """Return a simple part twice: to be seen and to be touched."""
    return part, Part(part.shape, part.size, part.at, part.turn, mass=mass)


def slab(half_size: Vector) -> Mesh:
    """Return a box whose faces along x each show a whole picture, and the others its corner."""
    corners: list[list[float]] = []
    texcoords: list[tuple[float, float]] = []
    for axis in range(3):
        for side in (-1, 1):
            for u, v in ((0, 0), (1, 0), (1, 1), (0, 1)):
                # Seen from outside, u goes to the right; pictures begin at their top.
                corner = np.roll([side, side * (2 * u - 1), 2 * v - 1], axis)
                corners.append(list(corner * np.array(half_size)))
                texcoords.append((u, 1 - v) if axis == 0 else (0.01, 0.01))
    first = np.arange(6)[:, None] * 4
    faces = np.concatenate([first + np.array(half) for half in ((0, 1, 2), (0, 2, 3))])
    return Mesh(np.array(corners), faces, np.array(texcoords, dtype=float))


def lathe(profile: ArrayLike, sides: int = 24) -> Mesh:
    """Return what a profile of radius and height, from the bottom up, sweeps about z."""
    rings = np.asarray(profile, dtype=float)
    angles = np.linspace(0, 2 * np.pi, sides + 1)
    radius, height = rings[:, :1], rings[:, 1:]
    places = np.stack(
        [radius * np.cos(angles), radius * np.sin(angles), height + 0 * angles], axis=-1
    )
    return tube(places)


def tube(rings: NDArray[np.float64]) -> Mesh:
    """Return the surface through rings of points; a picture goes around them and up along them."""
    count, around = rings.shape[:2]
    v, u = np.meshgrid(np.linspace(1, 0, count), np.linspace(0, 1, around), indexing="ij")
    corner = (np.arange(count - 1)[:, None] * around + np.arange(around - 1)).reshape(-1, 1)
    halves = (0, 1, around + 1), (0, around + 1, around)
    faces = np.concatenate([corner + np.array(half) for half in halves])
    return Mesh(rings.reshape(-1, 3), faces, np.stack([u.ravel(), v.ravel()], axis=1))


def _extent(
    shape: str, size: tuple[float, ...], rotation: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return half the box around a rotated shape."""
    if shape == "box":
        return np.abs(rotation) @ np.array(size)
    if shape in ("ellipsoid", "sphere"):
        return np.linalg.norm(rotation * np.broadcast_to(size, 3), axis=1)
    radius, half_length = size
    axis = np.abs(rotation[:, 2])
    if shape == "capsule":
        return axis * half_length + radius
    return axis * half_length + radius * np.sqrt(1 - np.minimum(axis, 1) ** 2)
