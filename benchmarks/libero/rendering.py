"""Renders LIBERO's cameras on demand, with the same pixels as rendering at every step."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from benchmarks.gl import DISABLED, choose_gl
from benchmarks.libero import culling
from harness.contracts.extras import program_name

_RENDERED_ARRAYS = (
    "geom_xpos",
    "geom_xmat",
    "site_xpos",
    "site_xmat",
    "cam_xpos",
    "cam_xmat",
    "light_xpos",
    "light_xdir",
    "xpos",
    "xquat",
    "xmat",
    "xipos",
    "ximat",
)
"""The arrays of `MjData` from which MuJoCo builds the rendered scene."""

_MAX_GEOMS = 1000
"""robosuite's limit; with another limit, MuJoCo could drop other geometry."""


class Snapshot:
    """A copy of the state at which robosuite last sampled its sensors.

    robosuite samples its sensors at the first physics substep of a control step, so an image
    rendered after the step would differ. Copying takes microseconds and is done at every sample.
    Rendering takes tens of milliseconds and is done on demand.
    """

    def __init__(self, model: mujoco.MjModel) -> None:
        """Allocate the copies."""
        self._model = model
        self._data = mujoco.MjData(model)
        self._site_rgba: NDArray[np.float32] = model.site_rgba.copy()
        self._canvases: dict[tuple[int, int], Canvas] = {}
        self.leave_out = culling.chosen(model)

    def take(self, data: mujoco.MjData) -> None:
        """Copy the present state."""
        for name in _RENDERED_ARRAYS:
            getattr(self._data, name)[:] = getattr(data, name)
        # LIBERO shows that a stove is on by colouring a site.
        self._site_rgba[:] = self._model.site_rgba

    def draw(self, camera: str, size: tuple[int, int]) -> NDArray[np.uint8]:
        """Return a camera's upright image of the copied state."""
        now = self._model.site_rgba.copy()
        self._model.site_rgba[:] = self._site_rgba
        try:
            return self._canvas(size).draw(self._data, camera, self.leave_out)
        finally:
            self._model.site_rgba[:] = now

    def close(self) -> None:
        """Free the GL contexts."""
        while self._canvases:
            self._canvases.popitem()[1].close()

    def _canvas(self, size: tuple[int, int]) -> "Canvas":
        if size not in self._canvases:
            if choose_gl() in DISABLED:
                raise RuntimeError(
                    f"an image is needed, but MUJOCO_GL is disabled; run: {program_name()} doctor"
                )
            self._canvases[size] = Canvas(self._model, size)
        return self._canvases[size]


class Canvas:
    """Draws what `mujoco.Renderer` draws, and gives OpenGL only the data that it needs.

    MuJoCo's context takes every mesh and texture of the model when it is made. Most of its time
    goes into textures. Here they follow when a geom is first drawn: no collision mesh and nothing
    that no camera has seen, and textures with the same content only once.
    """

    def __init__(self, model: mujoco.MjModel, size: tuple[int, int]) -> None:
        """Make the GL context for images of this height and width."""
        self._model, self._size = model, size
        self._scene = mujoco.MjvScene(model, _MAX_GEOMS)
        self._option = mujoco.MjvOption()
        # As robosuite does: render visual geometry only, no collision shapes.
        self._option.geomgroup[0] = 0
        self._option.geomgroup[1] = 1
        self._rect = mujoco.MjrRect(0, 0, size[1], size[0])
        self._gl = mujoco.GLContext(size[1], size[0])
        self._gl.make_current()
        with _hollow(model, size):
            self._context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_150.value)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, self._context)
        self._drawn = np.zeros(model.ngeom, np.bool_)
        self._meshes: set[int] = set()
        self._textures: set[int] = set()
        # What belongs to no geom is there from the start: the sky and the sites.
        sky = np.flatnonzero(model.tex_type == mujoco.mjtTexture.mjTEXTURE_SKYBOX)
        for texture in {*sky.tolist(), *self._textures_of(model.site_matid)}:
            self._upload_texture(texture)

    def draw(
        self, data: mujoco.MjData, camera: str, leave_out: culling.Culling
    ) -> NDArray[np.uint8]:
        """Return a camera's upright image."""
        view = mujoco.MjvCamera()
        view.type = mujoco.mjtCamera.mjCAMERA_FIXED
        view.fixedcamid = self._model.camera(camera).id
        everything = mujoco.mjtCatBit.mjCAT_ALL.value
        mujoco.mjv_updateScene(self._model, data, self._option, None, view, everything, self._scene)
        height, width = self._size
        geoms = leave_out(self._scene, data, width / height)
        self._gl.make_current()
        self._upload(geoms[~self._drawn[geoms]])
        pixels = np.empty((height, width, 3), np.uint8)
        mujoco.mjr_render(self._rect, self._scene, self._context)
        mujoco.mjr_readPixels(pixels, None, self._rect, self._context)
        return pixels[::-1]

    def close(self) -> None:
        """Free the GL context."""
        self._gl.make_current()
        self._context.free()
        self._gl.free()

    def _upload(self, geoms: NDArray[np.intp]) -> None:
        """Give OpenGL the meshes and textures of geoms that are drawn for the first time."""
        model = self._model
        self._drawn[geoms] = True
        for mesh in set(model.geom_dataid[geoms[_meshes(model)[geoms]]].tolist()) - self._meshes:
            mujoco.mjr_uploadMesh(model, self._context, mesh)
            self._meshes.add(mesh)
        for texture in self._textures_of(model.geom_matid[geoms]) - self._textures:
            self._upload_texture(texture)

    def _upload_texture(self, texture: int) -> None:
        model = self._model
        names = self._context.texture
        for other in self._textures:
            if _same_texture(model, texture, other):
                names[texture] = names[other]
                break
        else:
            mujoco.mjr_uploadTexture(model, self._context, texture)
        self._textures.add(texture)

    def _textures_of(self, materials: NDArray[np.int32]) -> set[int]:
        role = mujoco.mjtTextureRole.mjTEXROLE_RGB
        found: list[int] = self._model.mat_texid[materials[materials >= 0], role].tolist()
        return {texture for texture in found if texture >= 0}


@contextmanager
def _hollow(model: mujoco.MjModel, size: tuple[int, int]) -> Iterator[None]:
    """Let a model look for a while as if its textures had one pixel and its meshes nothing.

    Nor has it a map of shadows, 64 MB that no light of LIBERO casts a shadow into.
    """
    shapes = {"tex_width": 1, "tex_height": 1, "mesh_facenum": 0, "mesh_graphadr": -1}
    kept = {name: getattr(model, name).copy() for name in shapes}
    buffer, quality = model.vis.global_, model.vis.quality
    sizes = buffer.offheight, buffer.offwidth, quality.shadowsize
    try:
        for name, value in shapes.items():
            getattr(model, name)[:] = value
        buffer.offheight, buffer.offwidth = size
        if not model.light_castshadow.any():
            quality.shadowsize = 0
        yield
    finally:
        for name, values in kept.items():
            getattr(model, name)[:] = values
        buffer.offheight, buffer.offwidth, quality.shadowsize = sizes


def _meshes(model: mujoco.MjModel) -> NDArray[np.bool_]:
    return np.asarray(model.geom_type == mujoco.mjtGeom.mjGEOM_MESH)


def _same_texture(model: mujoco.MjModel, one: int, other: int) -> bool:
    """Return whether two textures have the same kind, size and pixels."""
    shape = ("tex_type", "tex_width", "tex_height", "tex_nchannel")
    if any(getattr(model, name)[one] != getattr(model, name)[other] for name in shape):
        return False
    sides: int = model.tex_width[one] * model.tex_height[one] * model.tex_nchannel[one]
    first, second = (model.tex_data[model.tex_adr[i] :][:sides] for i in (one, other))
    return np.array_equal(first, second)


def on_sample(observable: Any, action: Callable[[], None]) -> None:
    """Call `action` each time robosuite samples this observable."""
    sensor = observable._sensor

    def sample(cache: Any) -> Any:
        action()
        return sensor(cache)

    sample.__modality__ = sensor.__modality__  # type: ignore[attr-defined]
    observable._sensor = sample
