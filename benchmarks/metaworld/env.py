"""A task of Meta-World as a Gymnasium environment.

Non-obvious behaviours:
- Every episode builds its own environment of Meta-World, which takes some 30 ms. So it does not
  depend on earlier episodes, although Meta-World keeps much state in its objects.
- A scene is drawn from the task's own ranges by the episode's random stream, as Meta-World draws
  it. Its lists of 50 frozen goals are not used.
- An episode ends at the first step at which Meta-World's `info` reports a success.
- Progress is the largest reward so far, of at most 10. Meta-World gives 10 for a success.
"""

import warnings
from collections.abc import Sequence
from typing import Any

import mujoco
import numpy as np
from gymnasium import spaces
from metaworld.env_dict import ALL_V3_ENVIRONMENTS
from metaworld.policies import ENV_POLICY_MAP
from numpy.typing import NDArray

from benchmarks.gl import DISABLED, choose_gl
from benchmarks.metaworld.catalog import TaskFacts
from benchmarks.metaworld.protocol import MetaWorldProtocol
from benchmarks.spaces import observation_space
from harness.contracts.environment import Action, BenchmarkEnv, Observation, StepOutcome
from harness.contracts.extras import program_name

_RATE = 80
"""Control steps a second."""
_LARGEST_REWARD = 10.0
_PERTURBATION = np.array([0.8, 0.8, 0.8, 0], np.float32)


class MetaWorldEnv(BenchmarkEnv):
    """One task, under one protocol."""

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": _RATE}  # noqa: RUF012

    def __init__(self, benchmark: str, task: TaskFacts, protocol: MetaWorldProtocol) -> None:
        """Set the spaces; `begin` builds the simulation."""
        super().__init__()
        self.protocol, self._task = protocol, task
        self.instruction = protocol.instruction(task.name)
        self.max_steps = protocol.limit(benchmark)
        self.episodes = None
        spec = protocol.env_spec
        self.state_layout, self.action_layout = spec.state_layout, spec.action_layout
        self.idle_action = np.zeros(4, np.float32)
        self.perturbations = -_PERTURBATION, _PERTURBATION
        self.cameras = tuple(spec.cameras)
        self.action_space = spaces.Box(-1.0, 1.0, (4,), np.float32)
        self.observation_space = observation_space(
            spec.cameras, self.state_layout.size, self.instruction
        )
        self._renderer: mujoco.Renderer | None = None

    def _begin(self, episode: int, seed: int) -> StepOutcome:
        world = ALL_V3_ENVIRONMENTS[self._task.name](reward_function_version="v2")
        world._set_task_called = True  # Without its pickled tasks: the scene is drawn below.
        world._partially_observable = False  # The experts read the goal.
        del world.sawyer_observation_space  # It is cached, and would clip the goal to zeros.
        world._freeze_rand_vec, world.seeded_rand_vec = False, True
        world.np_random = self.protocol.generator(self._task.name, episode, seed)
        world.max_path_length = self.max_steps + self.protocol.wait_steps + 1
        if self.protocol.camera_position:
            world.model.camera(self.protocol.camera).pos = self.protocol.camera_position
        self._world = world
        self._sensed, _ = world.reset()
        for _ in range(self.protocol.wait_steps):
            self._sensed, *_ = world.step(self.idle_action)
        self._progress = 0.0
        return StepOutcome(False, 0.0, {"near": False, "grasped": False})

    def _advance(self, action: Action) -> StepOutcome:
        self._sensed, reward, _, _, info = self._world.step(np.clip(action, -1.0, 1.0))
        success = bool(info["success"])
        share = 1.0 if success else min(max(float(reward) / _LARGEST_REWARD, 0.0), 1.0)
        self._progress = max(self._progress, share)
        near, grasped = bool(info["near_object"]), bool(info["grasp_success"])
        return StepOutcome(success, self._progress, {"near": near, "grasped": grasped})

    def _observe(self, cameras: Sequence[str]) -> Observation:
        return {
            "image": {role: self._image() for role in cameras},
            "state": self._sensed[: self.protocol.state].astype(np.float32),
            "instruction": self.instruction,
        }

    def state_bytes(self) -> bytes:
        """Return MuJoCo's integration state and the goal."""
        model, data = self._world.model, self._world.data
        kind = mujoco.mjtState.mjSTATE_INTEGRATION
        state = np.empty(mujoco.mj_stateSize(model, kind))
        mujoco.mj_getState(model, data, state, kind)
        return state.tobytes() + np.asarray(self._world._target_pos, np.float64).tobytes()

    def expert(self) -> "_ScriptedExpert":
        """Return Meta-World's own scripted policy for the task."""
        return _ScriptedExpert(self)

    def close(self) -> None:
        """Release the GL context."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None

    @property
    def sensed(self) -> NDArray[np.float64]:
        """Meta-World's observation of the present state."""
        return self._sensed

    def _image(self) -> NDArray[np.uint8]:
        model, data, card = self._world.model, self._world.data, self.protocol
        if self._renderer is None:
            self._renderer = self._new_renderer(model)
        # Each episode has its own model with the same meshes and textures, so one context will do.
        camera = mujoco.MjvCamera()
        camera.type = mujoco.mjtCamera.mjCAMERA_FIXED
        camera.fixedcamid = model.camera(card.camera).id
        every, scene = mujoco.mjtCatBit.mjCAT_ALL, self._renderer.scene
        mujoco.mjv_updateScene(model, data, mujoco.MjvOption(), None, camera, every, scene)
        scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = card.shadows
        image = self._renderer.render()
        if card.turned:
            image = image[::-1, ::-1]
        height, width = card.env_spec.cameras["main"]
        top, left = ((a - b) // 2 for a, b in zip(image.shape, (height, width), strict=False))
        return np.ascontiguousarray(image[top : top + height, left : left + width])

    def _new_renderer(self, model: mujoco.MjModel) -> mujoco.Renderer:
        if choose_gl() in DISABLED:
            raise RuntimeError(
                f"cannot render an image: MUJOCO_GL is disabled; run: {program_name()} doctor"
            )
        height, width = self.protocol.camera_size
        model.vis.quality.offsamples = self.protocol.samples
        model.vis.global_.offheight = max(model.vis.global_.offheight, height)
        model.vis.global_.offwidth = max(model.vis.global_.offwidth, width)
        return mujoco.Renderer(model, height, width)


class _ScriptedExpert:
    """Asks Meta-World's scripted policy, which acts on the present observation alone."""

    def __init__(self, env: MetaWorldEnv) -> None:
        made: Any = ENV_POLICY_MAP[env._task.name]
        self._env, self._policy = env, made()

    def act(self) -> Action:
        """Return the next action."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # It warns of actions over 1, which are clipped here.
            action = self._policy.get_action(self._env.sensed)
        return np.clip(action, -1.0, 1.0).astype(np.float32)
