"""Renders ManiSkill's cameras on demand, with the same pixels as rendering at every step."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import sapien
from numpy.typing import NDArray

from benchmarks.maniskill.layouts import assign


class Cameras:
    """The cameras of one simulator, by the role that a protocol gives them."""

    def __init__(self, sim: Any, wanted: Mapping[str, str], show_hidden: bool) -> None:
        """Find each role's camera among the sensors, then among the human render cameras."""
        self._sim, self._show_hidden = sim, show_hidden
        there = list(sim._sensors) + list(sim._human_render_cameras)
        self.names = assign(wanted, there)

    def size(self, role: str) -> tuple[int, int]:
        """Return the height and width of a role's images."""
        config = self._camera(self.names[role]).config
        return int(config.height), int(config.width)

    def draw(self, roles: Sequence[str]) -> dict[str, NDArray[np.uint8]]:
        """Return the images of the present state."""
        images: dict[str, NDArray[np.uint8]] = {}
        for sensors in (True, False):
            mine = [role for role in roles if (self.names[role] in self._sim._sensors) is sensors]
            if mine:
                self._prepare(hidden=sensors and not self._show_hidden, sensors=sensors)
                images |= self._take(mine)
        return {role: images[role] for role in roles}

    def leave_out(self, links: Sequence[str]) -> None:
        """Hide these links of the robots in the scene that was just built."""
        drawn = sapien.render.RenderBodyComponent
        for robot in self._sim.scene.articulations.values():
            for name in links:
                for part in robot.links_map[name]._objs if name in robot.links_map else ():
                    part.entity.find_component_by_type(drawn).visibility = 0

    def _camera(self, name: str) -> Any:
        return self._sim._sensors.get(name) or self._sim._human_render_cameras[name]

    def _prepare(self, hidden: bool, sensors: bool) -> None:
        """Update the renderer, with or without the objects that ManiSkill hides from sensors."""
        for thing in self._sim._hidden_objects:
            thing.hide_visual() if hidden else thing.show_visual()
        self._sim.scene.update_render(
            update_sensors=sensors, update_human_render_cameras=not sensors
        )

    def _take(self, roles: Sequence[str]) -> dict[str, NDArray[np.uint8]]:
        cameras = {role: self._camera(self.names[role]) for role in roles}
        for camera in cameras.values():
            camera.capture()
        return {
            role: np.ascontiguousarray(
                camera.get_obs(rgb=True, depth=False, position=False, segmentation=False)["rgb"][0]
                .cpu()
                .numpy()
            )
            for role, camera in cameras.items()
        }
