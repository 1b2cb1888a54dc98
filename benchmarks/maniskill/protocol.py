"""ManiSkill's protocol cards: RDT-1B's evaluation, which E0 follows, and ManiSkill's own."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np

from benchmarks.maniskill import catalog
from benchmarks.suites import require_image_size
from harness.contracts.protocol import Protocol

CARDS = Path(__file__).parent / "protocols"
DERIVED = 2**30
"""The lowest scene seed derived from a run's seed; demonstrations and RDT use lower ones."""


@dataclass(frozen=True, kw_only=True)
class ManiSkillProtocol(Protocol):
    """The fields that ManiSkill adds. A step limit of 0 means the task's registered limit.

    Attributes:
        first_seed: The scene seed of episode 0; each further episode adds one. None derives the
            seeds from the run's seed.
        control_mode: ManiSkill's name of the controller.
        robot: ManiSkill's name of the robot; empty for the task's own.
        state: The content of the state vector: ``qpos``, ``qpos[:-1]`` or ``eef``.
        cameras: ManiSkill's camera for each role. If a task lacks the camera, the role is left
            out, but ``main`` falls back to the task's first camera.
        camera_size: Height and width of the images; empty for each camera's own.
        shader: ManiSkill's name of the shaders, ``minimal`` or ``default``.
        show_hidden: Whether sensor cameras show goal markers, which ManiSkill hides there.
        undrawn: Links of the robot that are not rendered.
        instructions: The instruction by task; for other tasks, the task's documentation.
        success: ``once`` or ``at_end``: when the task's condition must hold.
        stop_at_success: Whether an episode ends at the first step where the condition holds.
        upstream_simulator: The versions that upstream pins; `simulator` holds the installed ones.
    """

    first_seed: int | None
    control_mode: str
    robot: str = ""
    state: Literal["qpos", "qpos[:-1]", "eef"]
    cameras: Mapping[str, str]
    camera_size: tuple[int, int] | tuple[()] = ()
    shader: str
    show_hidden: bool
    undrawn: tuple[str, ...] = ()
    instructions: Mapping[str, str] = field(default_factory=dict)
    success: Literal["once", "at_end"]
    stop_at_success: bool
    upstream_simulator: str = field(metadata={"scored": False})

    def check(self) -> None:
        """Refuse sizes that no image has."""
        super().check()
        if self.camera_size:
            require_image_size(self.name, self.camera_size)

    @property
    def rules(self) -> dict[str, Any]:
        """The fields that change a score; an empty `undrawn` is not part of a card's hash."""
        rules = super().rules
        if not self.undrawn:
            del rules["undrawn"]
        return rules

    def scene_seed(self, seed: int, episode: int) -> int:
        """Return the seed of an episode's scene."""
        if self.first_seed is not None:
            return self.first_seed + episode
        drawn = np.random.SeedSequence([seed, episode]).generate_state(1)[0]
        return DERIVED + int(drawn) % DERIVED


@cache
def protocols() -> dict[str, ManiSkillProtocol]:
    """Return the cards by short name, with the installed simulator's versions."""
    simulator = ", ".join(f"{name} {number}" for name, number in catalog.versions().items())
    return {
        path.stem: ManiSkillProtocol.load(path, "maniskill", simulator=simulator)
        for path in sorted(CARDS.glob("*.yaml"))
    }
