"""The cameras of an episode; a GL context is made only when an image is rendered."""

import mujoco
import numpy as np
from numpy.typing import NDArray

from benchmarks.gl import DISABLED, choose_gl
from harness.contracts.extras import program_name


class Cameras:
    """Renders the cameras of one episode's model."""

    def __init__(self, model: mujoco.MjModel, size: tuple[int, int]) -> None:
        """Keep the model; `size` is the images' height and width."""
        self._model, self._size = model, size
        self._renderer: mujoco.Renderer | None = None

    def draw(self, data: mujoco.MjData, camera: str) -> NDArray[np.uint8]:
        """Return a camera's image of the current state."""
        if self._renderer is None:
            if choose_gl() in DISABLED:
                raise RuntimeError(
                    f"cannot render an image: MUJOCO_GL is disabled; run: {program_name()} doctor"
                )
            self._renderer = mujoco.Renderer(self._model, *self._size)
        self._renderer.update_scene(data, camera)
        return self._renderer.render()

    def close(self) -> None:
        """Release the GL context."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None
