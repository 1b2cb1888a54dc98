"""The MuJoCo model of an episode's scene."""

import xml.etree.ElementTree as ET
import zlib
from collections.abc import Iterable, Mapping

import mujoco
import numpy as np

from benchmarks.vlabench.assets import Asset, asset
from benchmarks.vlabench.panda import panda
from benchmarks.vlabench.scene import FIXED_KINDS, TABLE, Scene, Thing

_CAMERAS: Mapping[str, Mapping[str, str]] = {
    "right": {"pos": "0.775 -0.856 1.209", "xyaxes": "0.733 0.681 0 -0.134 0.144 0.981"},
    "left": {"pos": "-0.775 -0.856 1.209", "xyaxes": "0.733 -0.681 0 0.134 0.144 0.981"},
    "forward": {"pos": "-0.016 1.223 1.644", "xyaxes": "-1 -0.015 0 0.008 -0.551 0.834"},
}
"""Upstream's fixed cameras; the wrist camera belongs to the robot's model."""
_TOP = {"pos": "0 0 2", "xyaxes": "1 0 0 0 1 0", "fovy": "50"}
"""Upstream's left camera in select_painting."""
_PHYSICS = {
    "timestep": "0.001",
    "integrator": "implicitfast",
    "impratio": "10",
    "density": "1.225",
    "viscosity": "1.8e-5",
}
_LIGHT = {
    "pos": "0 0.3 3",
    "dir": "0 -0.1 -1",
    "directional": "true",
    "diffuse": "0.6 0.6 0.6",
    "specular": "0.1 0.1 0.1",
}
_SKY = {
    "type": "skybox",
    "builtin": "gradient",
    "rgb1": "0.85 0.88 0.92",
    "rgb2": "0.7 0.72 0.75",
    "width": "64",
    "height": "384",
}
_TABLE_HALF_SIZE = (0.75, 0.5, 0.02)
_TABLE_CENTRE = (0.0, 0.1)
_PALETTES = {"wood": (0.62, 0.44, 0.27), "stone": (0.55, 0.56, 0.58), "floor": (0.5, 0.5, 0.5)}
"""The base colour of each family of upstream's materials; the material's number varies it."""


def build_model(
    scene: Scene,
    from_above: bool,
    shadow_size: int,
    multisampling: bool,
    image_size: tuple[int, int],
) -> mujoco.MjModel:
    """Return the model of a scene.

    Args:
        scene: The scene.
        from_above: Whether the left camera looks down, as in select_painting.
        shadow_size: The side of the shadow map in pixels; 0 for no shadows.
        multisampling: Whether the renderer takes MuJoCo's four samples of a pixel, or one.
        image_size: Height and width of the largest image to render.
    """
    root = panda()
    ET.SubElement(root, "option", _PHYSICS)
    ET.SubElement(root, "statistic", extent="0.5", center="0 -0.5 0")
    look = ET.SubElement(root, "visual")
    quality = ET.SubElement(look, "quality", shadowsize=str(shadow_size))
    if not multisampling:
        quality.set("offsamples", "0")
    height, width = map(str, image_size)
    ET.SubElement(look, "global", offheight=height, offwidth=width)
    ET.SubElement(
        look, "headlight", ambient="0.35 0.35 0.35", diffuse="0.3 0.3 0.3", specular="0 0 0"
    )
    world, assets = root.find("worldbody"), root.find("asset")
    sensors = ET.SubElement(root, "sensor")
    assert world is not None
    assert assets is not None
    ET.SubElement(assets, "texture", _SKY)
    _furnish(world, scene)
    for name, camera in _CAMERAS.items():
        view = _TOP if from_above and name == "left" else camera
        ET.SubElement(world, "camera", {"name": name, **view})
    files: dict[str, bytes] = {}
    for thing in scene.things:
        known = asset(thing.asset)
        elements, body = known.elements(thing.name)
        assets.extend(elements)
        world.append(_placed(body, thing, known))
        files |= known.files(thing.name)
        if known.kind == "button":
            ET.SubElement(sensors, "touch", name=thing.name, site=f"{thing.name}_touch")
    return mujoco.MjModel.from_xml_string(ET.tostring(root, encoding="unicode"), files)


def _furnish(world: ET.Element, scene: Scene) -> None:
    """Add the light, the floor and the table."""
    ET.SubElement(world, "light", _LIGHT)
    ET.SubElement(world, "geom", type="plane", size="4 4 0.1", rgba=_colour(scene.floor))
    x, y, height = *_TABLE_CENTRE, _TABLE_HALF_SIZE[2]
    ET.SubElement(
        world,
        "geom",
        name="table",
        type="box",
        size=" ".join(map(str, _TABLE_HALF_SIZE)),
        pos=f"{x} {y} {TABLE - height}",
        rgba=_colour(scene.table),
    )


def _colour(material: str) -> str:
    """Return a plain colour for one of upstream's materials; it depends on the full name."""
    family = next((name for name in _PALETTES if material.startswith(name)), "floor")
    if material in (family, "floorplane"):
        shift = np.zeros(3)
    else:
        shift = np.random.default_rng(zlib.crc32(material.encode())).uniform(-0.2, 0.2, 3)
    rgb = np.clip(_PALETTES[family] + shift, 0, 1)
    return " ".join(f"{value:.3f}" for value in (*rgb, 1))


def _placed(body: ET.Element, thing: Thing, known: Asset) -> ET.Element:
    """Put a body at its thing's pose and give it a free joint if it can move."""
    body.set("pos", _attribute(thing.position))
    body.set("quat", _attribute((np.cos(thing.yaw / 2), 0, 0, np.sin(thing.yaw / 2))))
    if known.kind not in FIXED_KINDS:
        body.insert(0, ET.Element("freejoint"))
    return body


def _attribute(numbers: Iterable[float]) -> str:
    """Return numbers as an XML attribute, in full precision."""
    return " ".join(repr(float(number)) for number in numbers)
