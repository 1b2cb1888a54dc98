"""The cameras of an episode. The GL context is made at the first image and kept for later models.

In a new GL context, Mesa's CPU driver compiles its shaders again.
"""

import atexit
import threading

import mujoco
import numpy as np
from numpy.typing import NDArray

from benchmarks.gl import DISABLED, choose_gl
from harness.contracts.extras import program_name

_SPARE = 100
"""The geoms of a scene above those of its model, at most."""
_kept = threading.local()
_foreign: list[mujoco.MjrContext] = []
"""What another thread than its own was asked to release; it stays until the process ends."""


class Cameras:
    """Renders the cameras of one episode's model."""

    def __init__(self, model: mujoco.MjModel, size: tuple[int, int]) -> None:
        """Keep the model; `size` is the images' height and width."""
        self._model, self._size = model, size
        self._renderer: _Renderer | None = None

    def draw(self, data: mujoco.MjData, camera: str) -> NDArray[np.uint8]:
        """Return a camera's image of the current state."""
        if self._renderer is None:
            if choose_gl() in DISABLED:
                raise RuntimeError(
                    f"cannot render an image: MUJOCO_GL is disabled; run: {program_name()} doctor"
                )
            self._renderer = _Renderer(self._model, self._size)
        return self._renderer.draw(data, camera)

    def close(self) -> None:
        """Release what the model has in the GL context."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None


class _Renderer:
    """Does the same as `mujoco.Renderer`, in the thread's GL context."""

    def __init__(self, model: mujoco.MjModel, size: tuple[int, int]) -> None:
        self._model, self._size = model, size
        self._gl, self._thread = _gl_context(), threading.get_ident()
        self._gl.make_current()
        self._context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_50.value)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, self._context)
        self._scene = mujoco.MjvScene(model, model.ngeom + model.nsite + _SPARE)
        self._options, self._camera = mujoco.MjvOption(), mujoco.MjvCamera()
        self._camera.type = mujoco.mjtCamera.mjCAMERA_FIXED

    def draw(self, data: mujoco.MjData, camera: str) -> NDArray[np.uint8]:
        height, width = self._size
        self._camera.fixedcamid = self._model.camera(camera).id
        everything = mujoco.mjtCatBit.mjCAT_ALL.value
        mujoco.mjv_updateScene(
            self._model, data, self._options, None, self._camera, everything, self._scene
        )
        assert self._scene.ngeom < self._scene.maxgeom, "too many geoms for the scene"
        self._gl.make_current()
        whole = mujoco.MjrRect(0, 0, width, height)
        mujoco.mjr_render(whole, self._scene, self._context)
        image = np.empty((height, width, 3), np.uint8)
        mujoco.mjr_readPixels(image, None, whole, self._context)
        return image[::-1].copy()

    def close(self) -> None:
        # It deletes by number in the GL context that is current in this thread.
        if threading.get_ident() == self._thread:
            self._gl.make_current()
            self._context.free()
        else:
            _foreign.append(self._context)

    def __del__(self) -> None:
        if hasattr(self, "_context"):
            self.close()


def _gl_context() -> mujoco.GLContext:
    """Return the thread's GL context. Its size is that of a window, which no image needs."""
    if not hasattr(_kept, "gl"):
        _kept.gl = mujoco.GLContext(1, 1)
        # The process frees it before MuJoCo's own handler ends EGL.
        atexit.register(_kept.gl.free)
    return _kept.gl
