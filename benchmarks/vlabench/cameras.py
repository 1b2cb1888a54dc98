"""Draws the cameras when somebody looks."""

import mujoco
import numpy as np
from numpy.typing import NDArray

from benchmarks.gl import DISABLED, choose_gl


class Cameras:
    """The cameras of one episode's model."""

    def __init__(self, model: mujoco.MjModel, size: tuple[int, int]) -> None:
        """Take the model; a GL context is made with the first picture."""
        self._model, self._size = model, size
        self._renderer: mujoco.Renderer | None = None

    def draw(self, data: mujoco.MjData, camera: str) -> NDArray[np.uint8]:
        """Return a camera's picture of the present state."""
        if self._renderer is None:
            if choose_gl() in DISABLED:
                raise RuntimeError(
                    "an image was asked for and MUJOCO_GL is disabled; run: run_eval.py doctor"
                )
            self._renderer = mujoco.Renderer(self._model, *self._size)
        self._renderer.update_scene(data, camera)
        return self._renderer.render()

    def close(self) -> None:
        """Give the GL context back."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None
