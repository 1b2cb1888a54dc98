"""A ManiSkill task as a Gymnasium environment.

Non-obvious behaviours:
- Every episode builds its scene anew. ManiSkill's own reset keeps a trace of the last episode in
  the physics: after contacts, states differ in their last digits.
- No image is rendered, and no observation is built, until `observe` is called.
- If the protocol plays every episode to its end, `success` is False until the last step. The facts
  `success_once` and `success_at_end` are recorded under every protocol.
- ManiSkill runs without PyTorch's records for gradients, which no simulator needs.
- If a task defines a failure condition, an episode that met it can no longer succeed.
"""

import random
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from benchmarks.maniskill import grasping
from benchmarks.maniskill.build import build_sim, release
from benchmarks.maniskill.cameras import Cameras
from benchmarks.maniskill.catalog import TaskFacts
from benchmarks.maniskill.control import Control
from benchmarks.maniskill.expert import has_planner, plan_for
from benchmarks.maniskill.milestones import Milestones, flag
from benchmarks.maniskill.protocol import ManiSkillProtocol
from benchmarks.spaces import observation_space
from harness.contracts.environment import Action, BenchmarkEnv, Expert, Observation, StepOutcome
from harness.contracts.errors import UsageError

_PERTURBATION = np.array([0.1] * 7 + [0], np.float32)
"""Added to joint targets for a few steps, it moves the hand by some centimetres."""


class ManiSkillEnv(BenchmarkEnv):
    """One task of ManiSkill, under one protocol."""

    def __init__(self, benchmark: str, task: TaskFacts, protocol: ManiSkillProtocol) -> None:
        """Build the task's simulator.

        Raises:
            UsageError: The task cannot run here or under this protocol.
        """
        super().__init__()
        self.protocol, self._task = protocol, task
        with torch.inference_mode():
            self._sim: Any = build_sim(task, protocol)
        self._control = Control(self._sim)
        if protocol.state == "eef" and not self._control.has_tool():
            raise UsageError(
                f"{task.name} has no tool, so it has no state 'eef'; choose another protocol"
            )
        self._images = Cameras(self._sim, protocol.cameras, protocol.show_hidden)
        self._milestones = Milestones(task.name, self._sim)
        self.instruction = protocol.instructions.get(task.name, task.description)
        self.max_steps = protocol.limit(benchmark) or task.max_steps
        self.episodes = None
        self.metadata = self.metadata | {"render_fps": self._sim.control_freq}
        self.state_layout = self._control.state_layout(protocol.state)
        self.action_layout, self.action_space = self._control.layout, self._control.space
        self.cameras = tuple(self._images.names)
        if has_planner(task.name, self._sim):
            self.perturbations = -_PERTURBATION, _PERTURBATION
        self.observation_space = observation_space(
            {role: self._images.size(role) for role in self.cameras},
            self.state_layout.size,
            self.instruction,
        )
        self._once = self._failed = False
        self._expert: Any = None
        self._executed = np.empty(0, np.float32)

    @property
    def idle_action(self) -> Action:  # type: ignore[override]
        """The action that keeps the robot where it is now."""
        with torch.inference_mode():
            return self._control.idle()

    @torch.inference_mode()
    def _begin(self, episode: int, seed: int) -> StepOutcome:
        self._end_plan()
        scene = self.protocol.scene_seed(seed, episode)
        # Some tasks draw from the streams of the whole process, also while they are stepped.
        random.seed(scene)
        np.random.seed(scene)
        torch.manual_seed(scene)
        _, info = self._sim.reset(seed=[scene], options={"reconfigure": True})
        self._images.leave_out(self.protocol.undrawn)
        grasping.shorten(self._sim)
        self._once = self._failed = False
        self._milestones.begin()
        return self._outcome(info)

    @torch.inference_mode()
    def _advance(self, action: Action) -> StepOutcome:
        self._executed = action
        *_, info = self._sim.step(self._control.command(action))
        return self._outcome(info)

    def _outcome(self, info: Mapping[str, Any]) -> StepOutcome:
        """Return ManiSkill's conditions as the protocol scores them."""
        if "fail" in info:
            self._failed = self._failed or flag(info["fail"])
        now = flag(info["success"]) and not self._failed
        self._once = self._once or now
        success = now if self.protocol.success == "at_end" else self._once
        if not self.protocol.stop_at_success and self.steps < self.max_steps:
            success = False
        facts, score = self._milestones.look(info, self._once)
        facts |= {"success_once": self._once, "success_at_end": now}
        return StepOutcome(success, score, facts)

    @torch.inference_mode()
    def _observe(self, cameras: Sequence[str]) -> Observation:
        eef = self.protocol.state == "eef"
        state = self._control.tool() if eef else self._control.positions()
        return {
            "image": self._images.draw(cameras),
            "state": state[: self.state_layout.size],
            "instruction": self.instruction,
        }

    def state_bytes(self) -> bytes:
        """Return the poses, velocities and joints of everything that can move."""
        state: bytes = self._sim.get_state()[0].cpu().numpy().tobytes()
        return state

    def expert(self) -> Expert | None:
        """Return ManiSkill's motion planner; None for other tasks and controllers."""
        self._expert = plan_for(
            self._task.name, self._sim, self.idle_action, lambda: self._executed
        )
        return self._expert

    def close(self) -> None:
        """Close the simulator."""
        self._end_plan()
        release(self._sim)

    def _end_plan(self) -> None:
        if self._expert is not None:
            self._expert.close()
            self._expert = None
