"""Draws LIBERO's cameras when somebody looks, and the same pixels as drawing at every step."""

from collections.abc import Callable
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from benchmarks.gl import DISABLED, choose_gl

DRAWN_ARRAYS = (
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
"""What MuJoCo's scene is made from: a frozen moment of the simulation."""

MAX_GEOMS = 1000
"""The scene size that robosuite uses; another one could drop other geometry."""


class Snapshot:
    """The last moment at which robosuite sampled its sensors, ready to be drawn.

    robosuite samples its observables at the first physics substep of a control step, so a picture
    taken after the step is another one. Copying what a picture is drawn from costs microseconds,
    so it is done at every sample; drawing, which costs tens of milliseconds, waits for a look.
    """

    def __init__(self, model: mujoco.MjModel) -> None:
        """Make room for the copies."""
        self._model = model
        self._data = mujoco.MjData(model)
        self._site_rgba: NDArray[np.float32] = model.site_rgba.copy()
        self._renderers: dict[tuple[int, int], mujoco.Renderer] = {}
        self._option = mujoco.MjvOption()
        # As robosuite draws: visual geometry only, no collision shapes.
        self._option.geomgroup[0] = 0
        self._option.geomgroup[1] = 1

    def take(self, data: mujoco.MjData) -> None:
        """Copy the present moment."""
        for name in DRAWN_ARRAYS:
            getattr(self._data, name)[:] = getattr(data, name)
        # LIBERO lights a stove's burner by colouring its site.
        self._site_rgba[:] = self._model.site_rgba

    def draw(self, camera: str, size: tuple[int, int]) -> NDArray[np.uint8]:
        """Return the upright picture of a camera at the copied moment."""
        now = self._model.site_rgba.copy()
        self._model.site_rgba[:] = self._site_rgba
        try:
            renderer = self._renderer(size)
            renderer.update_scene(self._data, camera, self._option)
            return renderer.render()
        finally:
            self._model.site_rgba[:] = now

    def close(self) -> None:
        """Give the GL contexts back."""
        while self._renderers:
            self._renderers.popitem()[1].close()

    def _renderer(self, size: tuple[int, int]) -> mujoco.Renderer:
        if size not in self._renderers:
            if choose_gl() in DISABLED:
                raise RuntimeError(
                    "an image was asked for and MUJOCO_GL is disabled; run: run_eval.py doctor"
                )
            buffer = self._model.vis.global_
            buffer.offheight = max(buffer.offheight, size[0])
            buffer.offwidth = max(buffer.offwidth, size[1])
            self._renderers[size] = mujoco.Renderer(self._model, *size, max_geom=MAX_GEOMS)
        return self._renderers[size]


def on_sample(observable: Any, action: Callable[[], None]) -> None:
    """Call `action` whenever robosuite samples this observable."""
    sensor = observable._sensor

    def sample(cache: Any) -> Any:
        action()
        return sensor(cache)

    sample.__modality__ = sensor.__modality__  # type: ignore[attr-defined]
    observable._sensor = sample
