"""Reads the scenes of a benchmark that has a virtual environment of its own."""

from typing import Any

import ray
from ray.exceptions import RayTaskError

from harness.backends.ray.backend import connect, disconnect
from harness.backends.ray.options import RayOptions
from harness.backends.ray.remote_policy import cause
from harness.preflight.scenes import SceneReader, SceneStates


class RemoteSceneReader:
    """Runs a `SceneReader` in the Python program `interpreter`."""

    def __init__(self, interpreter: str) -> None:
        """Start the actor, and Ray if it is not running."""
        self._started = connect(RayOptions(workers=1))
        make: Any = ray.remote(SceneReader)
        self._actor = make.options(num_cpus=1, runtime_env={"py_executable": interpreter}).remote()

    def scene(self, *values: Any) -> SceneStates:
        """Return a scene as `SceneReader.scene` does."""
        try:
            return SceneStates.from_plain(ray.get(self._actor.scene_plain.remote(*values)))
        except RayTaskError as error:
            raise cause(error) from error

    def close(self) -> None:
        """Stop the actor, and Ray if this started it."""
        ray.kill(self._actor)
        if self._started:
            disconnect()
