"""A ManiSkill task as a Gymnasium environment.

Non-obvious behaviours:
- Nothing is drawn, and no observation is built, until somebody looks.
- Every episode builds its scene anew, for a fifth of a second. ManiSkill's own reset leaves
  something of the last episode in the physics: after contacts, states differ in their last digits.
- An episode that a protocol plays to its end succeeds at its last step or not at all; the facts
  `success_once` and `success_at_end` are recorded under every protocol.
- A task's own condition of failure, where it has one, makes success impossible from then on.
"""

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from gymnasium import spaces

from benchmarks.maniskill.build import build_sim
from benchmarks.maniskill.cameras import Cameras
from benchmarks.maniskill.catalog import TaskFacts
from benchmarks.maniskill.control import Control
from benchmarks.maniskill.expert import plan_for
from benchmarks.maniskill.milestones import Milestones
from benchmarks.maniskill.protocol import ManiSkillProtocol
from harness.environment import Action, BenchmarkEnv, Expert, Observation, StepOutcome
from harness.errors import UsageError

PRINTABLE = frozenset(map(chr, range(32, 127)))


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
        self._sim: Any = build_sim(task, protocol)
        self.instruction = protocol.instructions.get(task.name, task.description)
        self.max_steps = protocol.limit(benchmark) or task.max_steps
        self.episodes = None
        self.metadata = self.metadata | {"render_fps": self._sim.control_freq}
        self._control = Control(self._sim)
        if protocol.state == "eef" and not self._control.has_tool():
            raise UsageError(f"{task.name} has no tool, so no state 'eef'; choose another protocol")
        self.state_layout = self._control.state_layout(protocol.state)
        self.action_layout, self.action_space = self._control.layout, self._control.space
        self._cameras = Cameras(self._sim, protocol.cameras, protocol.show_hidden)
        self.cameras = tuple(self._cameras.names)
        self.observation_space = self._observation_space()
        self._milestones = Milestones(task.name, self._sim)
        self._once = self._failed = False
        self._expert: Any = None

    def _observation_space(self) -> spaces.Space[Any]:
        pictures: dict[str, spaces.Space[Any]] = {
            role: spaces.Box(0, 255, (*self._cameras.size(role), 3), np.uint8)
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
        return self._control.idle()

    def _begin(self, episode: int, seed: int) -> StepOutcome:
        self._end_plan()
        scene = self.protocol.scene_seed(seed, episode)
        # Some tasks draw from the streams of the whole process, also while they are stepped.
        random.seed(scene)
        np.random.seed(scene)
        torch.manual_seed(scene)
        _, info = self._sim.reset(seed=scene, options={"reconfigure": True})
        self._once = self._failed = False
        self._milestones.begin()
        return self._outcome(info)

    def _advance(self, action: Action) -> StepOutcome:
        *_, info = self._sim.step(self._control.command(action))
        return self._outcome(info)

    def _outcome(self, info: dict[str, Any]) -> StepOutcome:
        """Return what a protocol makes of ManiSkill's conditions."""
        self._failed = self._failed or bool(info.get("fail", False))
        now = bool(info["success"]) and not self._failed
        self._once = self._once or now
        success = now if self.protocol.success == "at_end" else self._once
        if not self.protocol.stop_at_success and self.steps < self.max_steps:
            success = False
        facts, score = self._milestones.look(info, self._once)
        facts |= {"success_once": self._once, "success_at_end": now}
        return StepOutcome(success, score, facts)

    def _observe(self, cameras: Sequence[str]) -> Observation:
        state = self._control.tool() if self.protocol.state == "eef" else self._control.positions()
        return {
            "image": self._cameras.draw(cameras),
            "state": state[: self.state_layout.size],
            "instruction": self.instruction,
        }

    def state_bytes(self) -> bytes:
        """Return the poses, velocities and joints of everything that can move."""
        state: bytes = self._sim.get_state().cpu().numpy().tobytes()
        return state

    def expert(self) -> Expert | None:
        """Return ManiSkill's motion planner, where it has one for this task and controller."""
        self._expert = plan_for(self._task.name, self._sim, self.idle_action)
        return self._expert

    def close(self) -> None:
        """Give the simulator back."""
        self._end_plan()
        self._sim.close()

    def _end_plan(self) -> None:
        if self._expert is not None:
            self._expert.close()
            self._expert = None
