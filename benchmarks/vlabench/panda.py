"""The Franka Panda of the robosuite package, with upstream's position servos."""

import importlib.util
import xml.etree.ElementTree as ET
from pathlib import Path

BASE = (0.0, -0.4, 0.78)
"""The position of upstream's robot in the world; its x axis points along the world's y."""
HOME = (0.0, -1.04, 0.0, -2.56, 0.0, 1.55, -2.32)
OPEN, CLOSED = 0.04, 0.0
"""A finger's distance from the middle in metres."""
_SERVOS = ((4500, 450, 87),) * 2 + ((3500, 350, 87),) * 2 + ((2000, 200, 12),) * 3
"""Stiffness, damping and force limit of each joint's servo, from upstream."""
_FINGER_STIFFNESS, _FINGER_DAMPING, _FINGER_FORCE = 500, 15, 50
_HIDDEN_GROUP = "3"
"""MuJoCo renders only the groups 0 to 2."""
TOOL = "end_effector"
FINGERS = ("leftfinger", "rightfinger")


def _find_assets() -> Path | None:
    """Return robosuite's folder of models without importing robosuite, or None."""
    spec = importlib.util.find_spec("robosuite")
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent / "models" / "assets"


def panda() -> ET.Element:
    """Return a <mujoco> element with the arm, the hand and a site `TOOL` between the fingertips.

    Upstream has the site at the same place.
    """
    assets = _find_assets()
    assert assets is not None
    arm = _read(assets / "robots" / "panda" / "robot.xml")
    hand = _read(assets / "grippers" / "panda_gripper.xml")
    bodies = {body.get("name"): body for body in arm.iter("body")}
    bodies["right_hand"].extend(_child(hand, "worldbody"))
    _child(arm, "asset").extend(_child(hand, "asset"))
    for unused in arm.findall("sensor"):
        arm.remove(unused)
    ET.SubElement(arm, "compiler", angle="radian")
    base = _child(_child(arm, "worldbody"), "body")
    base.set("pos", " ".join(map(str, BASE)))
    base.set("euler", "0 0 1.57")
    ET.SubElement(bodies["link7"], "site", name=TOOL, pos="0 0 0.2", euler="0 0 -0.785398")
    ET.SubElement(
        bodies["link7"], "camera", name="wrist", pos="0.07 -0.07 0.05", euler="2.75 0.4 -0.72"
    )
    _hide(arm)
    _drive(arm)
    return arm


def _read(path: Path) -> ET.Element:
    """Read a model and make its file names absolute."""
    root = ET.parse(path).getroot()
    for element in root.iter():
        if element.get("file"):
            element.set("file", str(path.parent / element.attrib["file"]))
    return root


def _child(element: ET.Element, tag: str) -> ET.Element:
    child = element.find(tag)
    assert child is not None, tag
    return child


def _hide(arm: ET.Element) -> None:
    """Do not render collision geoms and sites."""
    for geom in arm.iter("geom"):
        if geom.get("group", "0") == "0":
            geom.set("group", _HIDDEN_GROUP)
    for site in arm.iter("site"):
        site.set("group", _HIDDEN_GROUP)


def _drive(arm: ET.Element) -> None:
    """Replace the torque motors by servos, and compensate the arm's weight.

    Upstream does not compensate it. There the arm sags by some millimetres, and commanding its
    current pose repeatedly lets it sink.
    """
    for body in arm.iter("body"):
        body.set("gravcomp", "1")
    motors = _child(arm, "actuator")
    motors.clear()
    for number, (stiffness, damping, force) in enumerate(_SERVOS, 1):
        ET.SubElement(
            motors,
            "general",
            joint=f"joint{number}",
            gainprm=str(stiffness),
            biastype="affine",
            biasprm=f"0 {-stiffness} {-damping}",
            forcerange=f"{-force} {force}",
        )
    for joint in arm.iter("joint"):
        name = joint.get("name", "")
        if name.startswith("finger_joint"):
            joint.attrib |= {
                "damping": str(_FINGER_DAMPING),
                "armature": "0.1",
                "frictionloss": "0",
            }
            ET.SubElement(
                motors,
                "position",
                joint=name,
                kp=str(_FINGER_STIFFNESS),
                ctrlrange=joint.attrib["range"],
                forcerange=f"{-_FINGER_FORCE} {_FINGER_FORCE}",
            )
