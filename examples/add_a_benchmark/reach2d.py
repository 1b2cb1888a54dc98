"""A complete benchmark: a ball on a table must reach a red mark."""

import importlib.metadata

import numpy as np
from gymnasium import spaces

from benchmarks.spaces import observation_space
from harness.contracts.benchmark import Benchmark, Task
from harness.contracts.environment import BenchmarkEnv, EnvSpec, StepOutcome
from harness.contracts.protocol import Protocol
from harness.contracts.vectors import Layout, Part

STATE = Layout((Part("ball_position", 2, "m, world"), Part("mark_position", 2, "m, world")))
ACTION = Layout((Part("force", 2, "N / 2, world"),))
SIZE = (64, 64)
TASKS = {"near": 0.3, "far": 0.8}  # The mark's distance in metres.
XML = """<mujoco><visual><quality offsamples="0"/></visual><worldbody>
  <light pos="0 0 3"/><geom type="plane" size="1 1 .1" rgba=".8 .8 .8 1"/>
  <camera name="top" pos="0 0 2.5"/>
  <body name="mark" mocap="true" pos="0 0 .01">
    <geom type="cylinder" size=".08 .01" rgba="1 0 0 1" contype="0" conaffinity="0"/></body>
  <body name="ball" pos="0 0 .05"><joint type="slide" axis="1 0 0" damping="2"/>
    <joint type="slide" axis="0 1 0" damping="2"/><geom size=".05" rgba="0 0 1 1"/></body>
</worldbody></mujoco>"""


class ReachEnv(BenchmarkEnv):
    """One task."""

    def __init__(self, task, protocol):
        import mujoco  # Only here: a family must be cheap to import.

        super().__init__()
        self._mujoco, self._distance = mujoco, TASKS[task]
        self._model = mujoco.MjModel.from_xml_string(XML)
        self.instruction, self.episodes = "reach the red mark", None
        self.max_steps = protocol.limit("reach2d")
        self.state_layout, self.action_layout, self.cameras = STATE, ACTION, ("main",)
        self.idle_action = np.zeros(2, np.float32)
        self.action_space = spaces.Box(-1, 1, (2,), np.float32)
        self.observation_space = observation_space({"main": SIZE}, STATE.size, self.instruction)
        self._renderer = None

    def _begin(self, episode, seed):  # The whole scene follows from these two numbers.
        self._data = self._mujoco.MjData(self._model)
        angle = np.random.default_rng([seed, episode]).uniform(0, 2 * np.pi)
        self._mark = self._distance * np.array([np.cos(angle), np.sin(angle)])
        self._data.mocap_pos[0, :2] = self._mark
        self._mujoco.mj_forward(self._model, self._data)
        return StepOutcome(False, 0.0)

    def _advance(self, action):
        self._data.qfrc_applied[:] = 2 * action
        self._mujoco.mj_step(self._model, self._data, nstep=25)
        self._mujoco.mj_forward(self._model, self._data)
        left = np.linalg.norm(self._data.qpos - self._mark)
        reached = bool(left < 0.05)
        progress = 1.0 if reached else max(0.0, 1 - left / self._distance)
        return StepOutcome(reached, progress, {"close": bool(left < 0.15)})

    def _observe(self, cameras):  # Draw only what is asked for.
        state = np.concatenate([self._data.qpos, self._mark]).astype(np.float32)
        images = {role: self._draw() for role in cameras}
        return {"image": images, "state": state, "instruction": self.instruction}

    def _draw(self):
        self._renderer = self._renderer or self._mujoco.Renderer(self._model, *SIZE)
        self._renderer.update_scene(self._data, "top")
        return self._renderer.render()

    def state_bytes(self):
        return np.concatenate([self._data.qpos, self._data.qvel, self._mark]).tobytes()

    def expert(self):
        return self

    def act(self):
        return np.clip(4 * (self._mark - self._data.qpos), -1, 1).astype(np.float32)


class Reach2D(Benchmark):
    """The family, which Assay finds by its entry point."""

    name, default_protocol = "reach2d", "plain"

    def benchmarks(self): return ["reach2d"]
    def tasks(self, benchmark): return [Task(name, "reach the red mark") for name in TASKS]
    def episodes(self, benchmark, task): return None
    def problem(self, images): return None
    def rendering(self): return "mujoco"
    def versions(self): return {"mujoco": importlib.metadata.version("mujoco")}
    def env_spec(self, benchmark, task, protocol): return EnvSpec({"main": SIZE}, STATE, ACTION)
    def make(self, benchmark, task, protocol): return ReachEnv(task, protocol)
    def protocols(self):
        return {"plain": Protocol(name="reach2d/plain", max_steps={"reach2d": 100}, replan=5)}
