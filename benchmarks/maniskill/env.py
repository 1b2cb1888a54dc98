"""A ManiSkill task as a Gymnasium environment: a batch of one, with a planner and its spaces."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium import spaces

from benchmarks.maniskill.batch import ManiSkillBatch
from benchmarks.maniskill.catalog import TaskFacts
from benchmarks.maniskill.expert import plan_for, plans
from benchmarks.maniskill.protocol import ManiSkillProtocol
from harness.contracts.environment import Action, BenchmarkEnv, Expert, Observation, StepOutcome

PRINTABLE = frozenset(map(chr, range(32, 127)))
PUSH = np.array([0.1] * 7 + [0], np.float32)
"""Added to joint targets for a few steps, it takes the hand some centimetres away."""


class ManiSkillEnv(BenchmarkEnv):
    """One task of ManiSkill, under one protocol."""

    def __init__(
        self,
        benchmark: str,
        task: TaskFacts,
        protocol: ManiSkillProtocol,
        render_mode: str | None = None,
    ) -> None:
        """Build the task's simulator.

        Raises:
            UsageError: The task cannot run here or under this protocol.
        """
        super().__init__(render_mode)
        self.protocol, self._task = protocol, task
        self._batch = ManiSkillBatch(benchmark, task, protocol)
        self._sim, self._control = self._batch.sim, self._batch.control
        self.instruction, self.max_steps = self._batch.instruction, self._batch.max_steps
        self.episodes = None
        self.metadata = self.metadata | {"render_fps": self._sim.control_freq}
        self.state_layout, self.action_layout = self._batch.state_layout, self._batch.action_layout
        self.action_space, self.cameras = self._control.space, self._batch.cameras
        self.pushes = (-PUSH, PUSH) if plans(task.name, self._sim) else None
        self.observation_space = self._observation_space()
        self._expert: Any = None
        self._executed = np.empty(0, np.float32)

    def _observation_space(self) -> spaces.Space[Any]:
        pictures: dict[str, spaces.Space[Any]] = {
            role: spaces.Box(0, 255, (*self._batch.pictures.size(role), 3), np.uint8)
            for role in self.cameras
        }
        letters = PRINTABLE | set(self.instruction)
        return spaces.Dict(
            image=spaces.Dict(pictures),
            state=spaces.Box(-np.inf, np.inf, (self.state_layout.size,), np.float32),
            instruction=spaces.Text(max(len(self.instruction), 1), charset=letters),
        )

    @property
    def idle_action(self) -> Action:  # type: ignore[override]
        """The action that keeps the robot where it is now."""
        return self._batch.idle_action(0)

    def _begin(self, episode: int, seed: int) -> StepOutcome:
        self._end_plan()
        return self._batch.begin([(episode, seed)])[0]

    def _advance(self, action: Action) -> StepOutcome:
        self._executed = action
        return self._batch.advance(action[np.newaxis])[0]

    def _observe(self, cameras: Sequence[str]) -> Observation:
        return self._batch.observe(cameras, [0])[0]

    def state_bytes(self) -> bytes:
        """Return the poses, velocities and joints of everything that can move."""
        return self._batch.state_bytes(0)

    def expert(self) -> Expert | None:
        """Return ManiSkill's motion planner, where it has one for this task and controller."""
        self._expert = plan_for(
            self._task.name, self._sim, self.idle_action, lambda: self._executed
        )
        return self._expert

    def close(self) -> None:
        """Give the simulator back."""
        self._end_plan()
        self._batch.close()

    def _end_plan(self) -> None:
        if self._expert is not None:
            self._expert.close()
            self._expert = None
