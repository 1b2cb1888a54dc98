"""What is left out of LIBERO's pictures: the geometry of the test, and the same pixels."""

from collections.abc import Iterator

import benchmarks  # noqa: F401 - chooses the GL library, which mujoco reads when it is imported

# isort: split
import mujoco
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from benchmarks.libero import catalog, culling
from benchmarks.libero.culling import Boxes, Camera, Mirror
from benchmarks.libero.env import LiberoEnv
from benchmarks.libero.protocol import CAMERAS, protocols
from benchmarks.libero.rendering import Canvas

Array = NDArray[np.float64]
SIZE = (64, 64)

unit = st.floats(-1, 1)
places = st.tuples(unit, unit, unit).map(np.array)
sides = st.tuples(*[st.floats(0.001, 3)] * 3).map(np.array)


@st.composite
def rotations(draw: st.DrawFn) -> Array:
    quaternion = np.array([draw(st.floats(0.1, 1)), draw(unit), draw(unit), draw(unit)])
    matrix = np.empty(9)
    mujoco.mju_quat2Mat(matrix, quaternion / np.linalg.norm(quaternion))
    return matrix.reshape(3, 3)


@st.composite
def cameras(draw: st.DrawFn) -> Camera:
    axes, near = draw(rotations()), draw(st.floats(0.01, 0.1))
    left, right, bottom, top = (
        near * draw(st.floats(*limits)) for limits in [(-1, -0.1), (0.1, 1), (-1, -0.1), (0.1, 1)]
    )
    return Camera(3 * draw(places), axes[:, 0], axes[:, 1], near, (left, right, bottom, top))


def point_in_view(camera: Camera, across: float, along: float, distance: float) -> Array:
    """Return a point of the image (both shares from 0 to 1) at a distance from the camera."""
    left, right, bottom, top = camera.edges
    aside = np.cross(camera.forward, camera.up)
    x, y = left + across * (right - left), bottom + along * (top - bottom)
    ray = camera.near * camera.forward + x * aside + y * camera.up
    return np.asarray(camera.position + ray * distance / camera.near)


def box_around(point: Array, axes: Array, halves: Array, where: Array) -> Boxes:
    """Return a box that holds a point; `where` says where in the box it lies, from -1 to 1."""
    return Boxes((point - axes @ (halves * where))[None], axes[None], halves[None])


share = st.floats(0, 1)


@given(cameras(), share, share, st.floats(0.1, 20), rotations(), sides, places)
def test_a_box_with_a_visible_point_is_never_left_out(
    camera: Camera,
    across: float,
    along: float,
    distance: float,
    axes: Array,
    halves: Array,
    where: Array,
) -> None:
    point = point_in_view(camera, across, along, distance)
    assert camera.frustum.may_hold(box_around(point, axes, halves, where))[0]


@given(cameras(), share, share, rotations(), sides, sides, places, places, st.floats(0, 5))
def test_a_box_with_a_point_that_shows_in_a_mirror_is_never_left_out(
    camera: Camera,
    across: float,
    along: float,
    axes: Array,
    size: Array,
    halves: Array,
    on_mirror: Array,
    where: Array,
    far: float,
) -> None:
    """A ray of the camera meets the mirror somewhere, and the point lies on the way back."""
    meeting = point_in_view(camera, across, along, 2.0)
    normal = axes[:, 2]
    if normal @ (camera.position - meeting) < 0:
        normal = -normal
        axes = np.column_stack([axes[:, 1], axes[:, 0], normal])
    mirror = Mirror(meeting - axes[:, :2] @ (size[:2] * on_mirror[:2]), axes, size[:2])
    ray = meeting - camera.position
    ray /= np.linalg.norm(ray)
    point = meeting + far * (ray - 2 * (ray @ normal) * normal)
    seen = mirror.shows(camera)
    assert seen is not None
    assert seen.may_hold(box_around(point, axes, halves, where))[0]


@given(cameras(), rotations(), sides, st.floats(0.1, 5))
def test_what_lies_behind_a_camera_is_left_out(
    camera: Camera, axes: Array, halves: Array, gap: float
) -> None:
    away = float(np.linalg.norm(halves)) + gap
    box = Boxes((camera.position - away * camera.forward)[None], axes[None], halves[None])
    assert not camera.frustum.may_hold(box)[0]


@given(cameras(), rotations(), sides, st.floats(0.1, 5))
def test_what_lies_behind_a_mirror_does_not_show_in_it(
    camera: Camera, axes: Array, halves: Array, gap: float
) -> None:
    turned = np.column_stack([camera.up, np.cross(camera.forward, camera.up), -camera.forward])
    mirror = Mirror(camera.position + camera.forward, turned, np.ones(2))
    away = 1 + float(np.linalg.norm(halves)) + gap
    seen = mirror.shows(camera)
    assert seen is not None
    box = Boxes((camera.position + away * camera.forward)[None], axes[None], halves[None])
    assert not seen.may_hold(box)[0]


WORLD = """
<mujoco>
  <asset>
    <texture name="sky" type="skybox" builtin="gradient" width="32" height="32"
      rgb1="0.2 0.3 0.4" rgb2="0.8 0.8 0.9"/>
    <texture name="one" type="2d" builtin="checker" width="32" height="32"
      rgb1="1 0 0" rgb2="0 1 0"/>
    <texture name="same" type="2d" builtin="checker" width="32" height="32"
      rgb1="1 0 0" rgb2="0 1 0"/>
    <texture name="cube" type="cube" builtin="flat" width="32" height="192"
      rgb1="0 0 1" rgb2="1 1 0"/>
    <material name="one" texture="one"/>
    <material name="same" texture="same"/>
    <material name="cube" texture="cube"/>
    <material name="mirror" reflectance="0.5" rgba="0.3 0.3 0.3 1"/>
    <mesh name="ramp" vertex="0 0 0  1 0 0  0 1 0  0 0 1" scale="0.3 0.3 0.3"/>
  </asset>
  <worldbody>
    <light pos="0 0 3" castshadow="{shadows}"/>
    <geom group="1" type="plane" size="5 5 1" pos="0 0 -1" material="{floor}"/>
    <geom group="1" name="mirror" type="box" size="0.6 0.6 0.1" pos="0 0 -0.5"
      material="mirror" euler="{tilt} 0 0"/>
    <geom group="1" name="second" type="box" size="0.2 0.2 0.1" pos="0.8 0.5 0.3"
      material="mirror"/>
    {things}
    <site name="invisible" size="0.4" rgba="1 0 0 -1"/>
    <site name="veil" size="0.2" rgba="0 0 1 0.3" pos="0.2 0 0.2"/>
    <geom group="0" type="sphere" size="0.5"/>
    <camera name="one" mode="targetbody" target="aim" pos="{pos}"/>
    <body name="aim" pos="0 0 0"/>
  </worldbody>
</mujoco>
"""


def world(seed: int, shadows: str = "false") -> mujoco.MjModel:
    """Return a scene of 24 things around a camera and a mirror, all at random places."""
    stream = np.random.default_rng(seed)
    kinds = ["sphere", "box", "capsule", "ellipsoid", "cylinder", "mesh"]
    things = []
    for number in range(24):
        kind = kinds[number % len(kinds)]
        place, turn, size = (
            " ".join(map(str, stream.uniform(low, high, 3).round(3)))
            for low, high in [(-4, 4), (-180, 180), (0.05, 0.5)]
        )
        look = ["material='one'", "material='same'", "material='cube'", "rgba='0 1 1 0.4'"]
        shape = "mesh='ramp'" if kind == "mesh" else f"size='{size}'"
        things.append(
            f"<geom group='1' type='{kind}' pos='{place}' euler='{turn}' {shape} "
            f"{look[number % len(look)]}/>"
        )
    pos = " ".join(map(str, stream.uniform(-2, 2, 3).round(3)))
    floor = ["mirror", "one"][seed % 2]
    tilt = stream.uniform(-60, 60)
    return mujoco.MjModel.from_xml_string(
        WORLD.format(things="\n".join(things), pos=pos, floor=floor, tilt=tilt, shadows=shadows)
    )


class Both:
    """MuJoCo's renderer and ours, for one model."""

    def __init__(self, model: mujoco.MjModel, size: tuple[int, int] = SIZE) -> None:
        self.plain = mujoco.Renderer(model, *size, max_geom=1000)
        self.canvas = Canvas(model, size)
        self.leave_out = culling.chosen(model)
        self.option = mujoco.MjvOption()
        self.option.geomgroup[:2] = 0, 1

    def look(self, data: mujoco.MjData, camera: str) -> tuple[int, bool]:
        """Assert equal pixels; return how many geoms are left out, and whether a mirror shows."""
        self.plain.update_scene(data, camera, self.option)
        expected = self.plain.render()
        drawn = 0

        def counted(scene: mujoco.MjvScene, data: mujoco.MjData, aspect: float) -> NDArray[np.intp]:
            nonlocal drawn
            geoms = self.leave_out(scene, data, aspect)
            drawn = len(geoms)
            return geoms

        found = self.canvas.draw(data, camera, counted)
        np.testing.assert_array_equal(found, expected)
        scene = self.canvas._scene
        mirror = bool(scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION])
        return len(culling.everything(scene, data, 1)) - drawn, mirror

    def close(self) -> None:
        self.canvas.close()
        self.plain.close()


@pytest.mark.rendering
def test_random_scenes_with_mirrors_have_the_same_pixels() -> None:
    left_out, mirrored = [], []
    for seed in range(12):
        model = world(seed)
        data = mujoco.MjData(model)
        mujoco.mj_forward(model, data)
        both = Both(model, (48, 64))
        number, mirror = both.look(data, "one")
        both.close()
        left_out.append(number)
        mirrored.append(mirror)
    assert min(left_out) > 0
    assert set(mirrored) == {True, False}


@pytest.mark.rendering
def test_nothing_is_left_out_where_a_light_casts_shadows() -> None:
    model = world(0, shadows="true")
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    both = Both(model)
    number, _ = both.look(data, "one")
    both.close()
    assert number == 0


@pytest.mark.rendering
def test_a_canvas_leaves_the_model_as_it_was() -> None:
    names = ("tex_width", "tex_height", "mesh_facenum", "mesh_graphadr")
    model, fresh = world(0), world(0)
    Canvas(model, SIZE).close()
    for name in names:
        np.testing.assert_array_equal(getattr(model, name), getattr(fresh, name))
    sizes = [
        (m.vis.global_.offwidth, m.vis.global_.offheight, m.vis.quality.shadowsize)
        for m in (model, fresh)
    ]
    assert sizes[0] == sizes[1]


@pytest.mark.rendering
def test_opengl_gets_what_was_drawn_and_equal_textures_once() -> None:
    model = world(1)
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    canvas = Canvas(model, SIZE)
    assert canvas._textures == {model.texture("sky").id}
    canvas.draw(data, "one", culling.everything)
    one, same, cube = (model.texture(name).id for name in ("one", "same", "cube"))
    assert canvas._textures == set(range(model.ntex))
    assert canvas._context.texture[one] == canvas._context.texture[same]
    assert canvas._context.texture[one] != canvas._context.texture[cube]
    canvas.close()


def test_another_mujoco_draws_everything_with_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(culling, "PROVEN", "0.0.0")
    with pytest.warns(RuntimeWarning, match=r"not 0\.0\.0"):
        assert culling.chosen(world(0)) is culling.everything


@pytest.fixture(scope="module")
def stove() -> Iterator[LiberoEnv]:
    """Yield a task with a stove, whose plate is a mirror."""
    env = LiberoEnv("libero_spatial", catalog.suites()["libero_spatial"][0], protocols()["openpi"])
    yield env
    env.close()


@pytest.mark.libero
@pytest.mark.rendering
def test_libero_has_the_same_pixels_with_its_mirror_in_view(stove: LiberoEnv) -> None:
    stove.begin(0, 7)
    both = Both(stove._control.sim.model._model)
    expert = stove.expert()
    left_out, mirrored = [], []
    for _ in range(3):
        for camera in CAMERAS.values():
            number, mirror = both.look(stove._snapshot._data, camera)
            left_out.append(number)
            mirrored.append(mirror)
        for _ in range(12):
            stove.advance(expert.act())
    assert min(left_out) > 10
    assert set(mirrored) == {True, False}
    assert len(both.canvas._textures) < stove._control.sim.model._model.ntex
    both.close()


@pytest.mark.libero
def test_bounding_boxes_hold_the_meshes(stove: LiberoEnv) -> None:
    model = stove._control.sim.model._model
    meshes = np.flatnonzero(model.geom_type == mujoco.mjtGeom.mjGEOM_MESH)
    assert len(meshes) > 40
    for geom in meshes:
        mesh = model.geom_dataid[geom]
        start = model.mesh_vertadr[mesh]
        vertices = model.mesh_vert[start : start + model.mesh_vertnum[mesh]]
        center, halves = np.split(model.geom_aabb[geom], 2)
        assert (np.abs(vertices - center) <= halves + culling.MARGIN / 2).all()
