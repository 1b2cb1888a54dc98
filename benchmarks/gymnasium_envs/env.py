"""An environment of Gymnasium under our contract.

Non-obvious behaviours:
- Every episode builds the environment anew, so it depends on its seed alone, as far as the
  environment itself does. `check-benchmark` measures that.
- An environment that cannot be rendered here, e.g. without pygame, has no camera `main`.
- An episode ends at the first success. If the environment terminates or truncates without one, it
  ends as a failure.
"""

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from benchmarks.gymnasium_envs.protocol import GymProtocol, env_id, instruction, registered
from benchmarks.spaces import observation_space
from harness.contracts.environment import Action, BenchmarkEnv, Observation, StepOutcome
from harness.contracts.errors import UsageError
from harness.contracts.vectors import Layout, Part

_RENDER = "render"


class GymEnv(BenchmarkEnv):
    """One environment, under one protocol."""

    def __init__(self, benchmark: str, protocol: GymProtocol) -> None:
        """Build the environment once, to know its spaces.

        Raises:
            UsageError: It cannot be built, or its actions or observations are of another kind.
        """
        super().__init__()
        self.protocol, self._id = protocol, env_id(benchmark)
        self.instruction = protocol.instruction or instruction(registered(benchmark).id)
        self._limit = self.max_steps = protocol.steps(benchmark)
        self.episodes = None
        self._env = self._made()
        self._box = _box_of_actions(self._id, self._env.action_space)
        size = int(np.prod(self._box.shape))
        self._low, self._high = (
            bound.reshape(-1).astype(np.float32) for bound in (self._box.low, self._box.high)
        )
        self.action_space = spaces.Box(self._low, self._high, dtype=np.float32)
        self.idle_action = np.clip(np.zeros(size, np.float32), self._low, self._high)
        self.action_layout = Layout((Part("action", size, "as the environment's action space"),))
        self._keys = self._state_keys(self._env.observation_space)
        sizes = [self._size(self._env.observation_space, key) for key in self._keys]
        self.state_layout = Layout(
            tuple(
                Part(key or "observation", size, "as the environment returns it")
                for key, size in zip(self._keys, sizes, strict=True)
            )
        )
        sizes_of = {role: self._image_size(key) for role, key in protocol.images.items()}
        images = {role: size for role, size in sizes_of.items() if size is not None}
        self.cameras = tuple(images)
        self.observation_space = observation_space(images, self.state_layout.size, self.instruction)

    def _begin(self, episode: int, seed: int) -> StepOutcome:
        self.close()
        self._env, self.max_steps = self._made(), self._limit
        self._seen, _ = self._env.reset(seed=self.protocol.seed(seed, episode))
        return StepOutcome(success=False)

    def _advance(self, action: Action) -> StepOutcome:
        given = (
            np.clip(action, self._low, self._high).reshape(self._box.shape).astype(self._box.dtype)
        )
        self._seen, _, terminated, truncated, info = self._env.step(given)
        success = self._success(info, terminated)
        if (terminated or truncated) and not success:
            self.max_steps = self.steps  # A failure: no step may follow.
        return StepOutcome(success)

    def _success(self, info: Mapping[str, Any], terminated: bool) -> bool:
        for key in self.protocol.success:
            if key in info:
                return bool(info[key])
        return terminated

    def _observe(self, cameras: Sequence[str]) -> Observation:
        return {
            "image": {role: self._image(self.protocol.images[role]) for role in cameras},
            "state": np.concatenate(
                [self._part(key) for key in self._keys] or [np.zeros(0)]
            ).astype(np.float32),
            "instruction": self.instruction,
        }

    def state_bytes(self) -> bytes:
        """Return MuJoCo's state if the environment has one, and the observation's vectors."""
        parts = [self._part(key).astype(np.float64) for key in self._keys]
        data = getattr(self._env.unwrapped, "data", None)
        for name in ("qpos", "qvel", "mocap_pos", "mocap_quat"):
            parts.append(np.asarray(getattr(data, name, ()), np.float64).ravel())
        return np.concatenate([*parts, [float(self.steps)]]).tobytes()

    def close(self) -> None:
        """Close the environment."""
        with contextlib.suppress(Exception):
            self._env.close()

    def _made(self) -> gymnasium.Env[Any, Any]:
        drawn = _RENDER in self.protocol.images.values()
        given: dict[str, Any] = {"render_mode": "rgb_array"} if drawn else {}
        given |= {"max_episode_steps": self._limit, **self.protocol.arguments}
        try:
            return gymnasium.make(self._id, **given)
        except Exception as error:
            text = " ".join(str(error).split())[:200]
            raise UsageError(
                f"Gymnasium cannot build {self._id} ({type(error).__name__}: {text}); give what it "
                f"needs under 'arguments' of a protocol card, or leave 'render' out of its 'images'"
            ) from error

    def _state_keys(self, space: spaces.Space[Any]) -> tuple[str, ...]:
        if not isinstance(space, spaces.Dict):
            if self.protocol.state:
                raise UsageError(f"the observation of {self._id} has no keys; leave out 'state'")
            return ("",) if _is_vector(space) else ()
        vectors = [key for key, part in space.spaces.items() if _is_vector(part)]
        for key in self.protocol.state:
            if key not in vectors:
                raise UsageError(f"{self._id} has no vector {key!r}; it has {', '.join(vectors)}")
        return self.protocol.state or (
            ("observation",) if "observation" in vectors else tuple(vectors)
        )

    def _size(self, space: spaces.Space[Any], key: str) -> int:
        shape = (space[key] if isinstance(space, spaces.Dict) else space).shape
        return int(np.prod(shape or ()))

    def _part(self, key: str) -> NDArray[Any]:
        return np.asarray(self._seen[key] if key else self._seen).reshape(-1)

    def _image_size(self, key: str) -> tuple[int, int] | None:
        """Return height and width, or None if the environment cannot be rendered here.

        A rendered image's size is known from the environment's attributes, or else from a look.
        """
        if key != _RENDER:
            space = self._env.observation_space
            part = space.spaces.get(key) if isinstance(space, spaces.Dict) else None
            shape = () if part is None else part.shape or ()
            if len(shape) != 3:
                raise UsageError(f"{self._id} has no image {key!r} in its observation")
            return shape[0], shape[1]
        inner = self._env.unwrapped
        height, width = getattr(inner, "height", None), getattr(inner, "width", None)
        if isinstance(height, int) and isinstance(width, int):
            return height, width
        self._env.reset(seed=0)
        try:
            found: Any = self._env.render()
        except (gymnasium.error.Error, ImportError):  # Such as pygame that is not installed.
            return None
        return np.shape(found)[:2] if np.ndim(found) == 3 else None  # type: ignore[return-value]

    def _image(self, key: str) -> NDArray[np.uint8]:
        image: Any = self._env.render() if key == _RENDER else self._seen[key]
        if not isinstance(image, np.ndarray) or image.ndim != 3 or image.dtype != np.uint8:
            raise UsageError(f"{key!r} of {self._id} gives no image of shape (height, width, 3)")
        return np.ascontiguousarray(image[..., :3])


def _box_of_actions(name: str, space: spaces.Space[Any]) -> spaces.Box:
    if not isinstance(space, spaces.Box):
        raise UsageError(f"the actions of {name} are {space}; a policy returns numbers of a Box")
    return space


def _is_vector(space: spaces.Space[Any]) -> bool:
    return isinstance(space, spaces.Box) and len(space.shape) == 1
