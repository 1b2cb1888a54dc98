"""Assets: things made of parts and pictures, and their MuJoCo elements."""

import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.vlabench.assets.parts import Part, Triple, attribute, slab
from benchmarks.vlabench.assets.pictures import png

NOT_GRASPED = 0.0
"""The grasp width of a thing that is not grasped."""
TRAVEL = 0.012
"""A button's travel in metres."""
_SPRING = 300.0
"""The stiffness of a button's spring in N/m; its force stays far below the limit of a press."""


@dataclass(frozen=True, eq=False)
class Asset:
    """A thing that stands at the origin.

    Fingers close along its x axis. Cards and tiles are grasped across their faces, so the faces
    look along x in both directions; `facing` turns them towards a camera that looks along y.
    Paintings look along y in both directions, and toys towards -y.

    Attributes:
        name: VLABench's name of the entity.
        kind: "poker", "mahjong", "toy", "fruit", "painting", "container", "holder" or "button".
        half_size: Half of its bounding box in metres; the box is centred above its base.
        grasp_height: The height in metres at which fingers close. For a container or holder, the
            height at which its content stands. For a button, the height at which it is pressed.
        grasp_width: The width between the fingers in metres, or `NOT_GRASPED`.
        parts: Its parts.
        pictures: The functions that draw its pictures, by name.
        cap: The parts of a button that move on the spring.
        facing: The yaw in degrees at which its face is visible along y.
    """

    name: str
    kind: str
    half_size: Triple
    grasp_height: float
    grasp_width: float
    parts: tuple[Part, ...] = field(repr=False)
    pictures: Mapping[str, Callable[[], Image.Image]] = field(default_factory=dict, repr=False)
    cap: tuple[Part, ...] = field(default=(), repr=False)
    facing: float = 0.0

    def elements(self, prefix: str) -> tuple[list[ET.Element], ET.Element]:
        """Return the elements for <asset>, and a body without a joint.

        The body's origin is the centre of the base. Its name is `prefix`; all other names start
        with `prefix`.
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
            spring = {"stiffness": f"{_SPRING}", "springref": "-0.002", "damping": "3"}
            joint = {"name": f"{prefix}_cap", "type": "slide", "axis": "0 0 -1"}
            limits = {"limited": "true", "range": f"0 {TRAVEL}"}
            ET.SubElement(cap, "joint", joint | spring | limits)
            place = {
                "pos": attribute((low + high) / 2),
                "size": attribute((high - low) / 2 + 0.001),
            }
            hidden = {"type": "box", "group": "4", "rgba": "0 0 0 0"}
            ET.SubElement(cap, "site", {"name": f"{prefix}_touch"} | place | hidden)
            resources += _add(cap, self.cap, f"{prefix}_cap")
        return resources, body

    def files(self, prefix: str) -> dict[str, bytes]:
        """Return the pictures that the elements refer to: PNG data by file name."""
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
    """Return an asset of the size of its parts; `grasp` is the height and width of the grasp."""
    low, high = _bounds(parts + cap)
    across = np.maximum(-low, high)
    half = (float(across[0]), float(across[1]), float(high[2]) / 2)
    return Asset(name, kind, half, *grasp, parts, pictures or {}, cap, facing)


def standing_slab(
    name: str,
    kind: str,
    half_size: Triple,
    mass: float,
    grasp_height: float,
    face: Callable[[], Image.Image],
) -> Asset:
    """Return a card or tile that stands upright, with the same face on both sides."""
    centre = (0, 0, half_size[2])
    parts = (
        Part("mesh", at=centre, mesh=slab(half_size), picture="face"),
        Part("box", half_size, centre, mass=mass),
    )
    return assemble(name, kind, parts, (grasp_height, 2 * half_size[0]), {"face": face}, facing=90)


def _bounds(parts: tuple[Part, ...]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    boxes = np.array([part.bounds() for part in parts])
    return boxes[:, 0].min(axis=0), boxes[:, 1].max(axis=0)


def _add(body: ET.Element, parts: tuple[Part, ...], prefix: str) -> list[ET.Element]:
    """Add parts to a body and return their meshes."""
    meshes = []
    for index, part in enumerate(parts):
        name = f"{prefix}_{index}"
        body.append(part.geom(name, material=f"{prefix}_{part.picture}", mesh=name))
        if part.mesh is not None:
            # The inertia is not used. MuJoCo computes that of a shell also for open meshes.
            meshes.append(
                ET.Element("mesh", {"name": name, "inertia": "shell", **part.mesh.attributes})
            )
    return meshes
