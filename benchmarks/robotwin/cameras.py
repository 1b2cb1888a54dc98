"""RoboTwin's cameras, rendered on demand."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

IMAGE_SIZE = (240, 320)
"""Height and width of the images of all three cameras (RoboTwin's D435)."""
_SEEDS = 2**32


class Cameras:
    """The cameras of one episode's scene.

    Under some protocols, a few scenes have lights that change at every rendering. Here the lights
    depend on the scene and the step, so that rendering does not change the episode.
    """

    def __init__(self, task: Any, scene: int) -> None:
        """Keep a task and the seed of its scene."""
        self._task, self._scene = task, scene
        self._ambient = task.scene.ambient_light

    def draw(self, names: Sequence[str], step: int) -> list[NDArray[np.uint8]]:
        """Return the images of these cameras at this step of the episode."""
        if not names:
            return []
        before = np.random.get_state()
        np.random.seed((self._scene + _SEEDS // 2 + step) % _SEEDS)
        self._task.scene.set_ambient_light(self._ambient)
        self._task.sync_render()
        np.random.set_state(before)
        return [self._draw(name) for name in names]

    def _draw(self, name: str) -> NDArray[np.uint8]:
        cameras = self._task.cameras
        if name in cameras.static_camera_name:
            camera = cameras.static_camera_list[cameras.static_camera_name.index(name)]
        else:
            camera = getattr(cameras, name)
        camera.take_picture()
        colours = camera.get_picture("Color")[..., :3]
        return (colours * 255).clip(0, 255).astype(np.uint8)
