"""ManiSkill's environments of one task, stepped together: many on a GPU, or one on the CPU.

Non-obvious behaviours:
- Many have never run here: no GPU was at hand. What the tests play is a batch of one on the CPU,
  which `ManiSkillEnv` wraps, so everything but ManiSkill's own GPU simulation is exercised.
- Every batch builds its scenes anew. ManiSkill's own reset leaves something of the last episode in
  the physics: after contacts, states differ in their last digits.
- ManiSkill draws most of the scenes of a batch from the first one's seed. So under another `batch`
  the same episode is another scene.
- Nothing is drawn, and no observation is built, until somebody looks.
- An episode that a protocol plays to its end succeeds at its last step or not at all; the facts
  `success_once` and `success_at_end` are recorded under every protocol.
- A task's own condition of failure, where it has one, makes success impossible from then on.
"""

import random
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.maniskill.build import build_sim
from benchmarks.maniskill.cameras import Cameras
from benchmarks.maniskill.catalog import TaskFacts
from benchmarks.maniskill.control import Control
from benchmarks.maniskill.milestones import Milestones, either, flags
from benchmarks.maniskill.protocol import ManiSkillProtocol
from harness.contracts.environment import Action, BatchEnv, Observation, StepOutcome
from harness.contracts.errors import UsageError


class ManiSkillBatch(BatchEnv):
    """As many environments of a task as the protocol's batch has.

    Attributes:
        sim: ManiSkill's own environment.
        control: Its controllers.
        pictures: Its cameras.
    """

    def __init__(self, benchmark: str, task: TaskFacts, protocol: ManiSkillProtocol) -> None:
        """Build the task's simulator.

        Raises:
            UsageError: The task cannot run here or under this protocol.
        """
        self._protocol, self._rows = protocol, protocol.batch
        self.sim: Any = build_sim(task, protocol)
        self.instruction = protocol.instructions.get(task.name, task.description)
        self.max_steps = protocol.limit(benchmark) or task.max_steps
        self.control = Control(self.sim)
        if protocol.state == "eef" and not self.control.has_tool():
            raise UsageError(f"{task.name} has no tool, so no state 'eef'; choose another protocol")
        self.state_layout = self.control.state_layout(protocol.state)
        self.action_layout = self.control.layout
        self.pictures = Cameras(self.sim, protocol.cameras, protocol.show_hidden)
        self.cameras = tuple(self.pictures.names)
        self._milestones = Milestones(task.name, self.sim)
        self._steps = 0

    def begin(self, scenes: Sequence[tuple[int, int]]) -> Sequence[StepOutcome]:
        """Build the scenes of these episodes and run seeds."""
        seeds = [self._protocol.scene_seed(seed, episode) for episode, seed in scenes]
        # Some tasks draw from the streams of the whole process, also while they are stepped.
        random.seed(seeds[0])
        np.random.seed(seeds[0])
        torch.manual_seed(seeds[0])
        _, info = self.sim.reset(seed=seeds, options={"reconfigure": True})
        self.pictures.leave_out(self._protocol.undrawn)
        self._steps = 0
        self._once = self._failed = [False] * self._rows
        self._milestones.begin()
        return self._outcomes(info)

    def advance(self, actions: NDArray[np.float32]) -> Sequence[StepOutcome]:
        """Execute one action in every environment."""
        *_, info = self.sim.step(self.control.command(actions))
        self._steps += 1
        return self._outcomes(info)

    def _outcomes(self, info: Mapping[str, Any]) -> list[StepOutcome]:
        """Return what the protocol makes of ManiSkill's conditions."""
        if "fail" in info:
            self._failed = either(self._failed, flags(info["fail"]))
        reached = flags(info["success"])
        now = [one and not failed for one, failed in zip(reached, self._failed, strict=True)]
        self._once = either(self._once, now)
        success = now if self._protocol.success == "at_end" else self._once
        if not self._protocol.stop_at_success and self._steps < self.max_steps:
            success = [False] * self._rows
        looks = self._milestones.look(info, self._once)
        return [
            StepOutcome(
                success[row],
                score,
                facts | {"success_once": self._once[row], "success_at_end": now[row]},
            )
            for row, (facts, score) in enumerate(looks)
        ]

    def observe(self, cameras: Sequence[str], rows: Sequence[int]) -> Sequence[Observation]:
        """Draw what these rows see."""
        eef = self._protocol.state == "eef"
        states = self.control.tool() if eef else self.control.positions()
        drawn = self.pictures.draw(cameras, rows)
        return [
            {
                "image": {role: pictures[index] for role, pictures in drawn.items()},
                "state": states[row, : self.state_layout.size],
                "instruction": self.instruction,
            }
            for index, row in enumerate(rows)
        ]

    def idle_action(self, row: int) -> Action:
        """Return the action that keeps a row's robots where they are."""
        return self.control.idle()[row]

    def state_bytes(self, row: int) -> bytes:
        """Return the poses, velocities and joints of everything in a row that can move."""
        state: bytes = self.sim.get_state()[row].cpu().numpy().tobytes()
        return state

    def close(self) -> None:
        """Give the simulator back."""
        self.sim.close()
