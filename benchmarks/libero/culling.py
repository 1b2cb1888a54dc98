"""Leaves out of a MuJoCo scene what its camera cannot show; no pixel changes.

A geom whose bounding box lies outside the camera's frustum draws nothing, but costs time, since
MuJoCo sends all triangles to OpenGL. These rules of its renderer (`render_gl3.c`) matter here:

- The camera is the mean of the scene's two eyes.
- A plane or box with a reflectance is a mirror: a plane on its front, a box on its top. It shows
  what lies in front of it, also from behind the camera.
- Only the first mirror in the scene reflects.
- A mirror draws the whole scene a second time, also when no pixel shows the mirror.
- What is transparent is blended and writes no depth. So without alpha it changes nothing.
- What no camera sees can cast a shadow.

So no mirror is left out, what may show in one is drawn, and reflection is switched off where no
pixel shows a mirror. LIBERO's invisible sites, whose alpha is not positive, are left out. All is
drawn if a light casts shadows; none of LIBERO's does.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

PROVEN = "3.3.2"
"""The version of mujoco whose renderer has the rules above."""

MARGIN = 0.001
"""In metres. Every box counts as larger by this much, because the renderer rounds to 32 bits."""

_NOTHING = 1001
"""`mjGEOM_NONE`. The renderer draws no triangle of such a geom."""

_GEOM = int(mujoco.mjtObj.mjOBJ_GEOM)
_BOX = int(mujoco.mjtGeom.mjGEOM_BOX)
_FLAT = (int(mujoco.mjtGeom.mjGEOM_PLANE), _BOX)
_REFLECTION = int(mujoco.mjtRndFlag.mjRND_REFLECTION)

_OPAQUE = 0.995
"""The renderer takes a geom with less alpha as transparent."""

_ENDLESS = 1e6
"""Half the side of an infinite plane, in metres."""

Array = NDArray[np.float64]
Culling = Callable[[Any, Any, float], NDArray[np.intp]]
"""Takes a scene, the MjData that it shows, and width / height; returns the geoms to draw."""


@dataclass(frozen=True)
class Boxes:
    """Boxes of any orientation: centers, matrices with the axes in columns, half sides."""

    centers: Array
    axes: Array
    halves: Array


@dataclass(frozen=True)
class Planes:
    """A convex volume: the points with ``normals @ point >= offsets``."""

    normals: Array
    offsets: Array

    def may_hold(self, boxes: Boxes) -> NDArray[np.bool_]:
        """Return False for each box that lies as a whole beyond one of the planes."""
        reach = np.abs(self.normals @ boxes.axes) @ boxes.halves[:, :, None]
        nearest = boxes.centers @ self.normals.T + reach[:, :, 0]
        return np.asarray((nearest >= self.offsets - MARGIN).all(axis=1))


@dataclass(frozen=True)
class Camera:
    """A perspective camera. `edges` are left, right, bottom and top at the distance `near`."""

    position: Array
    forward: Array
    up: Array
    near: float
    edges: tuple[float, float, float, float]

    @cached_property
    def frustum(self) -> Planes:
        """What the camera can see without a mirror."""
        left, right, bottom, top = self.edges
        forward, up, aside = self.forward, self.up, np.cross(self.forward, self.up)
        normals = np.array(
            [
                forward,
                self.near * aside - left * forward,
                right * forward - self.near * aside,
                self.near * up - bottom * forward,
                top * forward - self.near * up,
            ]
        )
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        return Planes(normals, normals @ self.position + [self.near, 0, 0, 0, 0])


@dataclass(frozen=True)
class Mirror:
    """A rectangle that reflects on the side of its third axis; half sides in `halves`."""

    center: Array
    axes: Array
    halves: Array

    def height(self, point: Array) -> float:
        """Return how far in front of the mirror a point lies; negative is behind it."""
        return float((point - self.center) @ self.axes[:, 2])

    def shows(self, camera: Camera) -> Planes | None:
        """Return where the things are that a camera sees in the mirror, None if nowhere.

        They are in front of it, and the mirrored camera sees them through the rectangle.
        """
        face = Boxes(self.center[None], self.axes[None], np.append(self.halves, 0)[None])
        direct = camera.frustum
        if self.height(camera.position) < -MARGIN or not direct.may_hold(face)[0]:
            return None
        normal = self.axes[:, 2]
        slant = 2 * direct.normals @ normal
        offset = normal @ self.center
        eye = camera.position - 2 * self.height(camera.position) * normal
        parts = (
            Planes(direct.normals - np.outer(slant, normal), direct.offsets - slant * offset),
            Planes(normal[None], offset[None]),
            self._window(eye),
        )
        return Planes(
            np.concatenate([part.normals for part in parts]),
            np.concatenate([part.offsets for part in parts]),
        )

    def _window(self, eye: Array) -> Planes:
        """Return what an eye sees through the rectangle; all, if the eye lies in its plane."""
        across, along = (self.axes[:, :2] * self.halves).T
        around = np.array([across + along, along - across, -across - along, across - along])
        corners = self.center + around
        normals = np.cross(corners - eye, np.roll(corners, -1, axis=0) - eye)
        lengths = np.linalg.norm(normals, axis=1, keepdims=True)
        if abs(self.height(eye)) < MARGIN or not lengths.all():
            return Planes(np.empty((0, 3)), np.empty(0))
        normals *= np.sign(normals @ (self.center - eye))[:, None] / lengths
        return Planes(normals, normals @ eye)


def chosen(model: Any) -> Culling:
    """Return the culling for a model, or none and a warning where it is not proven."""
    if mujoco.__version__ == PROVEN:
        return Frustum(model)
    warnings.warn(
        f"LIBERO's images cost more time, because mujoco is {mujoco.__version__}, not {PROVEN}",
        RuntimeWarning,
        stacklevel=2,
    )
    return everything


def everything(scene: Any, _data: Any, _aspect: float) -> NDArray[np.intp]:
    """Leave nothing out."""
    scene.flags[_REFLECTION] = True
    return np.array([geom.objid for geom in _geoms(scene) if geom.objtype == _GEOM], np.intp)


class Frustum:
    """Leaves out the geoms that are neither in the camera's frustum nor in a mirror."""

    def __init__(self, model: Any) -> None:
        """Look up the bounding boxes; planes have none."""
        self._centers, self._halves = model.geom_aabb[:, :3].copy(), model.geom_aabb[:, 3:].copy()
        self._unbounded = model.geom_rbound <= 0

    def __call__(self, scene: Any, data: Any, aspect: float) -> NDArray[np.intp]:
        """Change a scene that was just updated from `data`; return the geoms to draw."""
        if any(light.castshadow for light in scene.lights[: scene.nlight]):
            return everything(scene, data, aspect)
        found, kept, mirrors = [], [], []
        for geom in _geoms(scene):
            if geom.rgba[3] <= 0:
                geom.type = _NOTHING
                continue
            reflects = geom.reflectance > 0 and geom.type in _FLAT and geom.rgba[3] >= _OPAQUE
            if reflects:
                mirrors.append(_mirror(geom))
            if geom.objtype == _GEOM:
                found.append(geom)
                kept.append(reflects)
        ids = np.array([geom.objid for geom in found], np.intp)
        camera = camera_of(scene, aspect)
        reflected = [volume for mirror in mirrors if (volume := mirror.shows(camera))]
        scene.flags[_REFLECTION] = bool(reflected)
        boxes = self._boxes(data, ids)
        shown = self._unbounded[ids] | kept
        for volume in (camera.frustum, *reflected):
            shown |= volume.may_hold(boxes)
        for place in np.flatnonzero(~shown):
            found[place].type = _NOTHING
        return ids[shown]

    def _boxes(self, data: Any, ids: NDArray[np.intp]) -> Boxes:
        axes = data.geom_xmat.reshape(-1, 3, 3)[ids]
        middles = (axes @ self._centers[ids, :, None])[:, :, 0]
        return Boxes(data.geom_xpos[ids] + middles, axes, self._halves[ids])


def camera_of(scene: Any, aspect: float) -> Camera:
    """Return the camera of a scene: the mean of its two eyes."""
    eyes = scene.camera
    position, forward, up = (
        np.mean([np.asarray(getattr(eye, name), np.float64) for eye in eyes], axis=0)
        for name in ("pos", "forward", "up")
    )
    near, bottom, top, center, width = (
        0.5 * sum(float(getattr(eye, f"frustum_{name}")) for eye in eyes)
        for name in ("near", "bottom", "top", "center", "width")
    )
    forward /= np.linalg.norm(forward)
    up -= (up @ forward) * forward
    width = width or 0.5 * aspect * (top - bottom)
    edges = (center - width, center + width, bottom, top)
    return Camera(position, forward, up / np.linalg.norm(up), near, edges)


def _geoms(scene: Any) -> Any:
    return scene.geoms[: scene.ngeom]


def _mirror(geom: Any) -> Mirror:
    """Return the reflecting side of a geom of the scene."""
    center, size = np.asarray(geom.pos, np.float64), np.asarray(geom.size, np.float64)
    axes = np.asarray(geom.mat, np.float64).reshape(3, 3)
    if geom.type == _BOX:
        center = center + size[2] * axes[:, 2]
    return Mirror(center, axes, np.where(size[:2] > 0, size[:2], _ENDLESS))
