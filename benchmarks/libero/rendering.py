"""Renders LIBERO's cameras on demand, with the same pixels as rendering at every step."""

from collections.abc import Callable
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from benchmarks.gl import DISABLED, choose_gl
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
        self._renderers: dict[tuple[int, int], mujoco.Renderer] = {}
        self._option = mujoco.MjvOption()
        # As robosuite does: render visual geometry only, no collision shapes.
        self._option.geomgroup[0] = 0
        self._option.geomgroup[1] = 1

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
            renderer = self._renderer(size)
            renderer.update_scene(self._data, camera, self._option)
            return renderer.render()
        finally:
            self._model.site_rgba[:] = now

    def close(self) -> None:
        """Free the GL contexts."""
        while self._renderers:
            self._renderers.popitem()[1].close()

    def _renderer(self, size: tuple[int, int]) -> mujoco.Renderer:
        if size not in self._renderers:
            if choose_gl() in DISABLED:
                raise RuntimeError(
                    f"an image is needed, but MUJOCO_GL is disabled; run: {program_name()} doctor"
                )
            buffer = self._model.vis.global_
            buffer.offheight = max(buffer.offheight, size[0])
            buffer.offwidth = max(buffer.offwidth, size[1])
            self._renderers[size] = mujoco.Renderer(self._model, *size, max_geom=_MAX_GEOMS)
        return self._renderers[size]


def on_sample(observable: Any, action: Callable[[], None]) -> None:
    """Call `action` each time robosuite samples this observable."""
    sensor = observable._sensor

    def sample(cache: Any) -> Any:
        action()
        return sensor(cache)

    sample.__modality__ = sensor.__modality__  # type: ignore[attr-defined]
    observable._sensor = sample
