"""A selection task of VLABench with procedural assets, as a Gymnasium environment.

Non-obvious behaviours:
- Every episode builds its own MuJoCo model, so it does not depend on earlier episodes.
- Success and touches are checked at the end of each control step, as in upstream. A button is
  checked at every substep.
- The steps in which the things settle are not counted.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium import spaces

from benchmarks.spaces import image_space
from benchmarks.vlabench.cameras import Cameras
from benchmarks.vlabench.catalog import TaskFacts
from benchmarks.vlabench.control import CONTROLS, read_state
from benchmarks.vlabench.expert import SelectionExpert
from benchmarks.vlabench.kinematics import Kinematics
from benchmarks.vlabench.model import build_model
from benchmarks.vlabench.protocol import LiteProtocol
from benchmarks.vlabench.rules import Rules
from benchmarks.vlabench.scene import Scene
from benchmarks.vlabench.world import RATE, World
from harness.contracts.environment import Action, BenchmarkEnv, Observation, StepOutcome

_MAX_INSTRUCTION = 1000
_CHARACTERS = frozenset(map(chr, range(ord("\n"), 0x2200)))
"""A language model wrote the instructions of the tracks; they hold typographic punctuation."""


class LiteEnv(BenchmarkEnv):
    """One task, under one protocol."""

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": RATE}  # noqa: RUF012

    def __init__(
        self,
        benchmark: str,
        task: TaskFacts,
        protocol: LiteProtocol,
        render_mode: str | None = None,
    ) -> None:
        """Set the spaces; `begin` builds the simulation.

        Raises:
            UsageError: The protocol's track has no such task, or its file is missing.
        """
        super().__init__(render_mode)
        protocol.require_task(task.name)
        self.protocol, self._task = protocol, task
        self.instruction = task.instruction
        self.max_steps = protocol.task_limit(benchmark, task.name)
        self.episodes = protocol.episodes_per_task if protocol.track else None
        self._control = CONTROLS[protocol.action]()
        spec = protocol.env_spec(task.name)
        self.state_layout, self.action_layout = spec.state_layout, spec.action_layout
        self.action_space: spaces.Space[Any] = self._control.space
        self.perturbations = self._control.perturbations
        self._views = protocol.views(task.name)
        self.cameras = tuple(spec.cameras)
        self.observation_space: spaces.Space[Any] = spaces.Dict(
            image=image_space(spec.cameras),
            state=spaces.Box(-np.inf, np.inf, (self.state_layout.size,), np.float32),
            instruction=spaces.Text(_MAX_INSTRUCTION, charset=_CHARACTERS),
        )
        self._cameras: Cameras | None = None

    @property
    def scene(self) -> Scene:
        """The scene of the current episode."""
        return self._world.scene

    @property
    def world(self) -> World:
        """The physics of the current episode."""
        return self._world

    @property
    def idle_action(self) -> Action:  # type: ignore[override]
        """The action that holds the current pose of arm and gripper."""
        position, _ = self._world.tool
        angles, opens = self._world.angles, not self._world.is_closed
        return self._control.action(self._world, self._solver, position, angles, opens)

    def _begin(self, episode: int, seed: int) -> StepOutcome:
        self.close()
        scene = self.protocol.scene(self._task.name, episode, seed)
        self.instruction = scene.instruction
        top, card = self._task.name == "select_painting", self.protocol
        looks = card.shadow_size, card.multisampling, card.camera_size
        model = build_model(scene, top, *looks)
        self._world = World(model, scene)
        self._solver = Kinematics(model)
        self._cameras = Cameras(model, self.protocol.camera_size)
        self._world.settle(self.protocol.settle_steps)
        self._rules = Rules(self.protocol.process_score, self._world)
        return self._rules.look()

    def _advance(self, action: Action) -> StepOutcome:
        self._world.step(self._control.command(self._world, self._solver, action))
        return self._rules.look()

    def _observe(self, cameras: Sequence[str]) -> Observation:
        assert self._cameras is not None
        data, views = self._world.data, self._views
        return {
            "image": {role: self._cameras.draw(data, views[role]) for role in cameras},
            "state": read_state(self.protocol.state, self._world).astype(np.float32),
            "instruction": self.instruction,
        }

    def state_bytes(self) -> bytes:
        """Return MuJoCo's integration state."""
        return self._world.state_bytes()

    def expert(self) -> SelectionExpert:
        """Return the expert for the target."""
        return self._expert(self.scene.target)

    def distractor_expert(self) -> SelectionExpert:
        """Return the expert for a distractor."""
        return self._expert(self.scene.distractor())

    def _expert(self, choice: str) -> SelectionExpert:
        return SelectionExpert(self._world, self._solver, self._control, choice)

    def close(self) -> None:
        """Release the GL context."""
        if self._cameras is not None:
            self._cameras.close()
            self._cameras = None
