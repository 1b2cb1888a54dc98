"""The parts of assets, and their MuJoCo elements."""

import xml.etree.ElementTree as ET
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import ImageColor
from scipy.spatial.transform import Rotation

Triple = tuple[float, float, float]
_GROUP_VISIBLE, _GROUP_SOLID = "1", "3"
_GRIP = {"friction": "1.5 0.03 0.001", "condim": "4", "solref": "0.004 1"}
"""Contacts that do not slip between two fingers."""


@dataclass(frozen=True, eq=False)
class Mesh:
    """Triangles with texture coordinates."""

    vertices: NDArray[np.float64]
    faces: NDArray[np.int64]
    texcoords: NDArray[np.float64]

    @cached_property
    def attributes(self) -> Mapping[str, str]:
        """The attributes of MuJoCo's <mesh>."""
        return {
            "vertex": attribute(self.vertices.ravel().tolist()),
            "texcoord": attribute(self.texcoords.ravel().tolist()),
            "face": " ".join(map(str, self.faces.ravel().tolist())),
        }


@dataclass(frozen=True, eq=False)
class Part:
    """A geom. Without mass it is visible and has no contacts; with mass it is the reverse.

    Attributes:
        shape: MuJoCo's geom type.
        size: MuJoCo's sizes in metres; empty for a mesh.
        at: The centre's position relative to the centre of the asset's base.
        turn: The rotation about the asset's x, then y, then z axis, in degrees.
        colour: A colour that Pillow can parse: "#rrggbb" or a name.
        picture: The name of the asset's picture that covers the geom, or empty.
        mesh: The mesh, if the shape is "mesh".
        mass: The mass in kilograms.
    """

    shape: str
    size: tuple[float, ...] = ()
    at: Triple = (0, 0, 0)
    turn: Triple = (0, 0, 0)
    colour: str = "white"
    picture: str = ""
    mesh: Mesh | None = None
    mass: float = 0

    @property
    def rotation(self) -> Rotation:
        """The rotation in the asset's frame."""
        return Rotation.from_euler("xyz", self.turn, degrees=True)

    def bounds(self) -> NDArray[np.float64]:
        """Return the lower and the upper corner of the bounding box, as two rows."""
        if self.mesh is not None:
            points = self.rotation.apply(self.mesh.vertices)
            low, high = points.min(axis=0), points.max(axis=0)
        else:
            high = _extent(self.shape, self.size, self.rotation.as_matrix())
            low = -high
        return np.array([low, high]) + np.array(self.at)

    def geom(self, name: str, material: str, mesh: str) -> ET.Element:
        """Return the geom; `material` and `mesh` name its texture and its mesh, if it has them."""
        quaternion = self.rotation.as_quat()[[3, 0, 1, 2]]
        given = {
            "name": name,
            "type": self.shape,
            "pos": attribute(self.at),
            "quat": attribute(quaternion),
        }
        if self.mesh is not None:
            given["mesh"] = mesh
        else:
            given["size"] = attribute(self.size)
        if self.picture:
            given["material"] = material
        else:
            given["rgba"] = attribute([c / 255 for c in ImageColor.getrgb(self.colour)[:3]] + [1])
        if self.mass:
            given |= {"group": _GROUP_SOLID, "contype": "1", "conaffinity": "1"} | _GRIP
        else:
            given |= {"group": _GROUP_VISIBLE, "contype": "0", "conaffinity": "0"}
        return ET.Element("geom", given | {"mass": f"{self.mass:.6g}"})


def attribute(numbers: Iterable[float]) -> str:
    """Return numbers as an XML attribute."""
    numbers = tuple(numbers)
    # One format operation: a mesh has thousands of numbers.
    return " ".join(["%.6g"] * len(numbers)) % numbers


def solid(part: Part, mass: float) -> tuple[Part, Part]:
    """Return a visible part and its copy with mass and contacts."""
    return part, Part(part.shape, part.size, part.at, part.turn, mass=mass)


def slab(half_size: Triple) -> Mesh:
    """Return a box with the whole picture on both x faces, and the picture's corner elsewhere."""
    corners: list[list[float]] = []
    texcoords: list[tuple[float, float]] = []
    for axis in range(3):
        for side in (-1, 1):
            for u, v in ((0, 0), (1, 0), (1, 1), (0, 1)):
                # From outside, u points to the right. The first row of a picture is its top.
                corner = np.roll([side, side * (2 * u - 1), 2 * v - 1], axis)
                corners.append(list(corner * np.array(half_size)))
                texcoords.append((u, 1 - v) if axis == 0 else (0.01, 0.01))
    first = np.arange(6)[:, None] * 4
    faces = np.concatenate([first + np.array(half) for half in ((0, 1, 2), (0, 2, 3))])
    return Mesh(np.array(corners), faces, np.array(texcoords, dtype=float))


def lathe(profile: ArrayLike, sides: int = 24) -> Mesh:
    """Return the surface of revolution about z of a profile (radius, height), bottom first."""
    rings = np.asarray(profile, dtype=float)
    angles = np.linspace(0, 2 * np.pi, sides + 1)
    radius, height = rings[:, :1], rings[:, 1:]
    places = np.stack(
        [radius * np.cos(angles), radius * np.sin(angles), height + 0 * angles], axis=-1
    )
    return tube(places)


def tube(rings: NDArray[np.float64]) -> Mesh:
    """Return the surface through rings of points; the picture wraps around them."""
    count, around = rings.shape[:2]
    v, u = np.meshgrid(np.linspace(1, 0, count), np.linspace(0, 1, around), indexing="ij")
    corner = (np.arange(count - 1)[:, None] * around + np.arange(around - 1)).reshape(-1, 1)
    halves = (0, 1, around + 1), (0, around + 1, around)
    faces = np.concatenate([corner + np.array(half) for half in halves])
    return Mesh(rings.reshape(-1, 3), faces, np.stack([u.ravel(), v.ravel()], axis=1))


def _extent(
    shape: str, size: tuple[float, ...], rotation: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return half of a rotated shape's bounding box."""
    if shape == "box":
        return np.abs(rotation) @ np.array(size)
    if shape in ("ellipsoid", "sphere"):
        return np.linalg.norm(rotation * np.broadcast_to(size, 3), axis=1)
    radius, half_length = size
    axis = np.abs(rotation[:, 2])
    if shape == "capsule":
        return axis * half_length + radius
    return axis * half_length + radius * np.sqrt(1 - np.minimum(axis, 1) ** 2)
