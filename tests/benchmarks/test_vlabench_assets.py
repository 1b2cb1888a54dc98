"""VLABench lite's assets: all exist, stand still, can be grasped and look different."""

import gzip
import json
import math
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import benchmarks  # noqa: F401 - chooses the GL library before mujoco is imported
from benchmarks.vlabench.assets import Asset, asset, names
from harness.contracts.errors import UsageError

mujoco = pytest.importorskip("mujoco", reason="no mujoco here: install an extra that has it")

TRACKS = Path(__file__).parents[3] / "shared" / "data" / "vlabench_tracks"
GRASPED = ("poker", "mahjong", "toy", "fruit")
KINDS = (*GRASPED, "painting", "container", "holder", "button")
CLASSES = {
    "Poker": "poker",
    "Mahjong": "mahjong",
    "Toy": "toy",
    "Fruit": "fruit",
    "Painting": "painting",
    "CommonContainer": "container",
    "Plate": "container",
    "PlaceMat": "container",
    "CardHolder": "holder",
    "Button": "button",
}
"""The kind of asset for each of upstream's classes."""
OPENING = 0.08
"""The largest width between the Panda's fingers in metres."""
CAMERAS = {
    "right": {"pos": "0.775 -0.856 0.449", "xyaxes": "0.733 0.681 0 -0.134 0.144 0.981"},
    "forward": {"pos": "-0.016 1.223 0.884", "xyaxes": "-1 -0.015 0 0.008 -0.551 0.834"},
}
"""Two of VLABench's cameras, relative to a table at height zero."""
PIXELS = 224
HIDDEN_GROUP = 5
CLEARLY, ENOUGH = 30, 6
"""The smallest difference of two colours, of 255, and the number of pixels that must have it."""

Placed = tuple[str, float, float, float]


def table(things: Iterable[Placed]) -> ET.Element:
    """Return a world with things at these positions on a table."""
    root = ET.Element("mujoco")
    ET.SubElement(root, "option", timestep="0.001", integrator="implicitfast", impratio="10")
    look = ET.SubElement(root, "visual")
    ET.SubElement(look, "quality", shadowsize="0")
    assets, world = ET.SubElement(root, "asset"), ET.SubElement(root, "worldbody")
    ET.SubElement(world, "light", pos="0 0 3", dir="0 0 -1", directional="true")
    ET.SubElement(world, "geom", name="table", type="box", size="9 9 0.1", pos="0 0 -0.1")
    for name, camera in CAMERAS.items():
        ET.SubElement(world, "camera", name=name, **camera)
    for name, x, y, z in things:
        known = asset(name)
        elements, body = known.elements(name)
        assets.extend(elements)
        half = math.radians(known.facing) / 2
        body.set("pos", f"{x} {y} {z}")
        body.set("quat", f"{math.cos(half)} 0 0 {math.sin(half)}")
        body.insert(0, ET.Element("freejoint", name=name))
        world.append(body)
    return root


def compiled(root: ET.Element, known: Iterable[Asset]) -> "mujoco.MjModel":
    files = {name: data for each in known for name, data in each.files(each.name).items()}
    return mujoco.MjModel.from_xml_string(ET.tostring(root, encoding="unicode"), files)


def grid(kind: str) -> list[Placed]:
    """Return all things of a kind, far from each other."""
    return [(name, i % 8 * 0.5, i // 8 * 0.5, 0.0) for i, name in enumerate(names(kind))]


def body_of(model: "mujoco.MjModel", geom: int) -> str:
    return model.body(model.body_rootid[model.geom_bodyid[geom]]).name


def test_every_entity_of_the_tracks_has_an_asset() -> None:
    files = sorted(TRACKS.glob("track_*.json.gz"))
    if not files:
        pytest.skip("upstream's track files are missing")
    entities = {
        (component["class"], component["name"])
        for file in files
        for episodes in json.loads(gzip.decompress(file.read_bytes())).values()
        for episode in episodes
        for component in episode["task"]["components"]
        if component["class"] != "Table"
    }
    for kind, name in entities:
        assert name in names(CLASSES[kind])
    assert {CLASSES[kind] for kind, _ in entities} == set(KINDS)


def test_an_asset_has_the_requested_name_and_kind() -> None:
    for kind in KINDS:
        for name in names(kind):
            assert (asset(name).name, asset(name).kind) == (name, kind)
            assert asset(name) is asset(name)


def test_errors_for_unknown_names_suggest_similar_ones() -> None:
    with pytest.raises(UsageError, match="did you mean ace_of_hearts"):
        asset("ace_of_heart")
    with pytest.raises(UsageError, match="did you mean poker"):
        names("pokers")


@pytest.mark.parametrize("kind", KINDS)
def test_the_stated_size_is_the_bounding_box(kind: str) -> None:
    """Every thing has the same distance to walls around its stated box."""
    root = table([])
    world, assets = root.find("worldbody"), root.find("asset")
    assert world is not None
    assert assets is not None
    room = 0.05
    for index, name in enumerate(names(kind)):
        known = asset(name)
        elements, body = known.elements(name)
        assets.extend(elements)
        at = np.array([2.0 * index, 0, 0])
        body.set("pos", " ".join(map(str, at)))
        world.append(body)
        half = np.array(known.half_size)
        for axis in range(3):
            for side in (-1, 1):
                centre = at + np.array([0, 0, half[2]])
                centre[axis] += side * (half[axis] + room + 0.01)
                size = np.full(3, 0.5)
                size[axis] = 0.01
                place = {"pos": " ".join(map(str, centre)), "size": " ".join(map(str, size))}
                wall = {"name": f"{name} {axis} {side}", "type": "box"}
                ET.SubElement(world, "geom", wall | place)
    model = compiled(root, map(asset, names(kind)))
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    own: dict[str, list[int]] = {name: [] for name in names(kind)}
    for geom in range(model.ngeom):
        body_name = body_of(model, geom)
        if body_name in own:
            own[body_name].append(geom)
    for name, geoms in own.items():
        for axis in range(3):
            gaps = [
                min(
                    mujoco.mj_geomDistance(
                        model, data, geom, model.geom(f"{name} {axis} {side}").id, 1, None
                    )
                    for geom in geoms
                )
                for side in (-1, 1)
            ]
            assert min(gaps) == pytest.approx(room, abs=2e-4), (name, axis)
            if axis == 2:
                # The base also touches the ground.
                assert max(gaps) == pytest.approx(room, abs=2e-4), name


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "button"])
def test_all_things_stand_still_for_a_second(kind: str) -> None:
    places = grid(kind)
    model = compiled(table(places), map(asset, names(kind)))
    data = mujoco.MjData(model)
    before = data.qpos.reshape(-1, 7).copy()
    mujoco.mj_step(model, data, 1000)
    moved = np.abs(data.qpos.reshape(-1, 7) - before).max(axis=1)
    assert dict(zip(names(kind), moved, strict=True)) == pytest.approx(
        dict.fromkeys(names(kind), 0.0), abs=0.002
    )


def test_a_card_stands_in_its_holder() -> None:
    floor = asset("card_holder").grasp_height
    card = asset("queen_of_hearts")
    places = [("card_holder", 0.0, 0.0, 0.0), (card.name, 0.0, 0.0, floor)]
    model = compiled(table(places), [card])
    data = mujoco.MjData(model)
    mujoco.mj_step(model, data, 1000)
    height = data.body(card.name).xpos[2]
    upright = data.body(card.name).xmat.reshape(3, 3)[2, 2]
    assert height == pytest.approx(floor, abs=0.001)
    assert upright > math.cos(math.radians(3))


@pytest.mark.parametrize("kind", GRASPED)
def test_graspable_things_fit_between_the_fingers(kind: str) -> None:
    """The solid parts have the stated width at the grasp height, and a small mass."""
    for name in names(kind):
        known = asset(name)
        model = compiled(table([(name, 0.0, 0.0, 0.0)]), [known])
        data = mujoco.MjData(model)
        mujoco.mj_forward(model, data)
        turn = data.body(name).xmat.reshape(3, 3)
        solid = np.array([0, 0, 0, 1, 0, 0], np.uint8)
        reached = 0.0
        for side in (-1, 1):
            start = turn @ (side * 0.2, 0, 0) + np.array([0, 0, known.grasp_height])
            geom = np.zeros(1, np.int32)
            way = mujoco.mj_ray(model, data, start, turn @ (-side, 0, 0), solid, 1, -1, geom)
            assert body_of(model, geom[0]) == name
            reached += 0.2 - way
        assert reached == pytest.approx(known.grasp_width, abs=1e-3), name
        assert known.grasp_width < OPENING - 0.01
        assert 0.03 < model.body(name).subtreemass[0] < 0.3


@pytest.mark.parametrize(
    "name", [names("poker")[0], names("mahjong")[0], *names("toy"), *names("fruit")]
)
def test_two_fingers_lift_a_thing(name: str) -> None:
    """Pads close at the grasp height with the Panda's force and move up by 15 cm."""
    known = asset(name)
    root = table([(name, 0.0, 0.0, 0.0)])
    world, motors = root.find("worldbody"), ET.SubElement(root, "actuator")
    assert world is not None
    turn = f"0 0 {math.radians(known.facing)}"
    ET.SubElement(root, "compiler", angle="radian")
    hand = ET.SubElement(world, "body", pos=f"0 0 {known.grasp_height}", euler=turn, gravcomp="1")
    ET.SubElement(hand, "joint", name="up", type="slide", axis="0 0 1", damping="100")
    ET.SubElement(hand, "geom", type="box", size="0.1 0.03 0.02", pos="0 0 0.3", mass="1")
    ET.SubElement(motors, "position", joint="up", kp="5000", ctrlrange="0 0.2")
    for side in (-1, 1):
        finger = ET.SubElement(hand, "body", pos=f"{side * (OPENING / 2 + 0.005)} 0 0")
        joint = {"name": f"finger{side}", "type": "slide", "axis": f"{-side} 0 0", "damping": "15"}
        ET.SubElement(finger, "joint", joint)
        ET.SubElement(finger, "geom", type="box", size="0.005 0.01 0.01", mass="0.05")
        ET.SubElement(motors, "motor", joint=f"finger{side}", ctrlrange="0 20")
    model = compiled(root, [known])
    data = mujoco.MjData(model)
    data.ctrl[1:] = 20
    mujoco.mj_step(model, data, 500)
    data.ctrl[0] = 0.15
    mujoco.mj_step(model, data, 1000)
    assert data.body(name).xpos[2] > 0.12


def test_a_light_press_moves_a_button_and_the_spring_returns_it() -> None:
    known = asset("button0")
    root = table([])
    assets, world = root.find("asset"), root.find("worldbody")
    assert assets is not None
    assert world is not None
    elements, body = known.elements("button0")
    assets.extend(elements)
    world.append(body)
    finger = ET.SubElement(world, "body", pos=f"0 0 {2 * known.half_size[2] + 0.011}")
    ET.SubElement(finger, "joint", type="slide", axis="0 0 1")
    ET.SubElement(finger, "geom", type="box", size="0.01 0.01 0.01", mass="0.2")
    ET.SubElement(ET.SubElement(root, "sensor"), "touch", name="touch", site="button0_touch")
    model = compiled(root, [known])
    data = mujoco.MjData(model)
    mujoco.mj_step(model, data, 1000)
    assert data.sensor("touch").data[0] == pytest.approx(0.2 * 9.81, rel=0.05)
    pressed = data.joint("button0_cap").qpos[0]
    assert pressed > 0.001
    data.qfrc_applied[model.joint("button0_cap").dofadr[0] ^ 1] = 10.0
    mujoco.mj_step(model, data, 1000)
    assert data.joint("button0_cap").qpos[0] < pressed / 2


def looks(kind: str) -> NDArray[np.int16]:
    """Render each thing alone at the same place; the axes are thing, camera, pixel, colour."""
    model = compiled(table((name, 0, 0, 0) for name in names(kind)), map(asset, names(kind)))
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    mujoco.mj_camlight(model, data)
    groups, owners = model.geom_group.copy(), model.body_rootid[model.geom_bodyid]
    seen = []
    with mujoco.Renderer(model, PIXELS, PIXELS) as renderer:
        for name in names(kind):
            shown = (owners == 0) | (owners == model.body(name).id)
            model.geom_group[:] = np.where(shown, groups, HIDDEN_GROUP)
            for camera in CAMERAS:
                renderer.update_scene(data, camera)
                seen.append(renderer.render().astype(np.int16))
    return np.reshape(seen, (-1, len(CAMERAS), PIXELS * PIXELS, 3))


@pytest.mark.rendering
@pytest.mark.parametrize("kind", [*GRASPED, "painting", "container"])
def test_any_two_of_a_kind_look_different(kind: str) -> None:
    """In each camera, some pixels differ clearly in colour."""
    pictures = looks(kind)
    pictures = pictures[:, :, np.ptp(pictures, axis=0).any(axis=(0, 2))]
    least = {}
    for (one, first), (other, second) in combinations(zip(names(kind), pictures, strict=True), 2):
        apart = np.abs(first - second).max(axis=-1) > CLEARLY
        least[one, other] = int(apart.sum(axis=1).min())
    assert min(least.values()) >= ENOUGH, min(least, key=least.__getitem__)


def test_pictures_have_the_same_bytes_every_time() -> None:
    for kind in KINDS:
        for name in names(kind)[:4]:
            first = asset(name).files("x")
            asset.cache_clear()
            assert asset(name).files("x") == first
