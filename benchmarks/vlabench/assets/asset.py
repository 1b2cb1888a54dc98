"""What an asset is, and how a world takes it up."""

import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.vlabench.assets.parts import Part, Vector, said
from benchmarks.vlabench.assets.pictures import png

Point = NDArray[np.float64]
NOT_GRASPED = 0.0
TRAVEL = 0.012
SPRING = 300.0
"""How far a button goes down, and its newtons per metre: far below what a press may not exceed."""


@dataclass(frozen=True, eq=False)
class Asset:
    """One thing, standing at the origin.

    Fingers close along its x. Therefore cards and tiles, which are grasped across their faces, show
    them along x, both ways, and `facing` says how far to turn them for a camera that looks along
    y. Paintings show their picture both ways along y; toys look towards -y.

    Attributes:
        name: VLABench's name of the entity.
        kind: "poker", "mahjong", "toy", "fruit", "painting", "container", "holder" or "button".
        half_size: Half the box around it, centred above the centre of its base, in metres.
        grasp_height: Where fingers close, above its base. Of what nobody grasps: where something
            stands in it, or where it is pressed.
        grasp_width: What is between the fingers then, or 0 for what nobody grasps.
        parts: What it is made of.
        pictures: How to draw its pictures, by their names.
        cap: What is pressed down, on a spring.
        facing: The yaw in degrees with which its face can be seen along y.
    """

    name: str
    kind: str
    half_size: Vector
    grasp_height: float
    grasp_width: float
    parts: tuple[Part, ...] = field(repr=False)
    pictures: Mapping[str, Callable[[], Image.Image]] = field(default_factory=dict, repr=False)
    cap: tuple[Part, ...] = field(default=(), repr=False)
    facing: float = 0.0

    def elements(self, prefix: str) -> tuple[list[ET.Element], ET.Element]:
        """Return what goes into <asset>, and a body without a joint at the centre of its base.

        The body's name is the prefix; all other names start with it.
        """
        resources = []
        for picture in self.pictures:
            name = f"{prefix}_{picture}"
            given = {"name": name, "type": "2d", "file": f"{name}.png"}
            resources.append(ET.Element("texture", given))
            look = {"texture": name, "specular": "0.1", "shininess": "0.1", "emission": "0.3"}
            resources.append(ET.Element("material", {"name": name} | look))
        body = ET.Element("body", {"name": prefix})
        resources += _add(body, self.parts, prefix)
        if self.cap:
            low, high = _bounds(self.cap)
            cap = ET.SubElement(body, "body", {"name": f"{prefix}_cap"})
            spring = {"stiffness": f"{SPRING}", "springref": "-0.002", "damping": "3"}
            joint = {"name": f"{prefix}_cap", "type": "slide", "axis": "0 0 -1"}
            limits = {"limited": "true", "range": f"0 {TRAVEL}"}
            ET.SubElement(cap, "joint", joint | spring | limits)
            place = {"pos": said((low + high) / 2), "size": said((high - low) / 2 + 0.001)}
            hidden = {"type": "box", "group": "4", "rgba": "0 0 0 0"}
            ET.SubElement(cap, "site", {"name": f"{prefix}_touch"} | place | hidden)
            resources += _add(cap, self.cap, f"{prefix}_cap")
        return resources, body

    def files(self, prefix: str) -> dict[str, bytes]:
        """Return the pictures that the elements refer to, as PNG by the names of their files."""
        return {f"{prefix}_{name}.png": file for name, file in self._drawn.items()}

    @cached_property
    def _drawn(self) -> dict[str, bytes]:
        return {name: png(draw()) for name, draw in self.pictures.items()}


def assemble(
    name: str,
    kind: str,
    parts: tuple[Part, ...],
    grasp: tuple[float, float],
    pictures: Mapping[str, Callable[[], Image.Image]] | None = None,
    cap: tuple[Part, ...] = (),
    facing: float = 0.0,
) -> Asset:
    """Return an asset whose size follows from its parts; `grasp` is its height and width."""
    low, high = _bounds(parts + cap)
    across = np.maximum(-low, high)
    half = (float(across[0]), float(across[1]), float(high[2]) / 2)
    return Asset(name, kind, half, *grasp, parts, pictures or {}, cap, facing)


def _bounds(parts: tuple[Part, ...]) -> tuple[Point, Point]:
    boxes = np.array([part.bounds() for part in parts])
    return boxes[:, 0].min(axis=0), boxes[:, 1].max(axis=0)


def _add(body: ET.Element, parts: tuple[Part, ...], prefix: str) -> list[ET.Element]:
    """Put parts on a body and return the meshes that they need."""
    meshes = []
    # A cap has no pictures of its own.
    for index, part in enumerate(parts):
        name = f"{prefix}_{index}"
        body.append(part.geom(name, material=f"{prefix}_{part.picture}", mesh=name))
        if part.mesh is not None:
            # Nothing follows from its inertia, and a shell need not be closed to have one.
            meshes.append(ET.Element("mesh", {"name": name, "inertia": "shell", **part.mesh.said}))
    return meshes
