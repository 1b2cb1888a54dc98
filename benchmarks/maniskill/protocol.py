"""ManiSkill's protocol cards: RDT's way, which E0 follows, and ManiSkill's own."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np

from benchmarks.maniskill import catalog
from harness.contracts.protocol import Protocol

CARDS = Path(__file__).parent / "protocols"
DERIVED = 2**30
"""Seeds that are derived from the run's start here: demonstrations and RDT's lie below."""


@dataclass(frozen=True, kw_only=True)
class ManiSkillProtocol(Protocol):
    """What else changes a score on ManiSkill; a step limit of 0 is the task's registered one.

    Attributes:
        first_seed: The scene's seed of episode 0, one more for each further episode; None derives
            the seeds from the run's seed.
        control_mode: ManiSkill's name of the controller.
        robot: ManiSkill's name of the robot; empty for the task's own.
        state: What the state vector holds: ``qpos``, ``qpos[:-1]`` or ``eef``.
        cameras: ManiSkill's camera for each role. A role whose camera a task lacks is left out,
            but ``main`` falls back to the task's first camera.
        camera_size: Height and width of the images; empty for each camera's own.
        shader: ManiSkill's name of the shaders, ``minimal`` or ``default``.
        show_hidden: Whether goal markers show in sensor cameras, which ManiSkill hides there.
        undrawn: Links of the robot that no camera sees.
        instructions: What the policy is told, by task; else the task's documentation.
        success: ``once`` or ``at_end``: when the task's condition must hold.
        stop_at_success: Whether an episode ends where the condition first holds.
        upstream_simulator: The versions upstream pins; `simulator` holds what runs here.
    """

    first_seed: int | None
    control_mode: str
    robot: str = ""
    state: str
    cameras: Mapping[str, str]
    camera_size: tuple[int, ...] = ()
    shader: str
    show_hidden: bool
    undrawn: tuple[str, ...] = field(default=(), metadata={"younger": True})
    instructions: Mapping[str, str] = field(default_factory=dict)
    success: str
    stop_at_success: bool
    upstream_simulator: str = field(metadata={"scored": False})

    def scene_seed(self, seed: int, episode: int) -> int:
        """Return the number that seeds the scene of an episode."""
        if self.first_seed is not None:
            return self.first_seed + episode
        drawn = np.random.SeedSequence([seed, episode]).generate_state(1)[0]
        return DERIVED + int(drawn) % DERIVED


@cache
def protocols() -> dict[str, ManiSkillProtocol]:
    """Return the cards by short name, stamped with the simulator that is installed."""
    simulator = ", ".join(f"{name} {number}" for name, number in catalog.versions().items())
    return {
        path.stem: ManiSkillProtocol.load(path, "maniskill", simulator=simulator)
        for path in sorted(CARDS.glob("*.yaml"))
    }
