"""LIBERO's protocol cards: how openpi, OpenVLA, LeRobot and others evaluate its suites."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal
from zlib import crc32

from benchmarks.libero import catalog
from benchmarks.suites import require_image_size
from harness.contracts.environment import EnvSpec
from harness.contracts.errors import UsageError
from harness.contracts.protocol import Protocol
from harness.contracts.vectors import EEF_AXIS_ANGLE_STATE, EEF_DELTA_ACTION

CARDS = Path(__file__).parent / "protocols"
CAMERAS = {"main": "agentview", "wrist": "robot0_eye_in_hand"}
"""LIBERO's camera for each role."""
_CONTROL = {"controller": "OSC_POSE", "hz": 20, "absolute": False}


@dataclass(frozen=True, kw_only=True)
class LiberoProtocol(Protocol):
    """The fields that LIBERO adds.

    Attributes:
        wait_steps: Uncounted steps with `wait_action` before the episode, while objects settle.
        wait_action: The action during the wait steps.
        env_seed: The scene's seed before every reset: ``run`` (the run's seed), ``run+episode``,
            ``run+episode+task`` (different in every task), or a fixed number.
        init_states: ``official``: the fixed states, by the episode's index. ``drawn``, for
            demonstrations: the task's definition draws them from the scene's seed. In the object
            suites the objects also exchange their places, and in all suites the hand starts near
            its usual place, as in the official states.
        camera_size: Height and width of both cameras' images.
        flip: How images are turned: ``rotate180``, or ``none`` for the simulator's own images,
            which are upside down.
        control: The controller, its rate, and whether actions are absolute.
        instruction: ``filename``: as `catalog.TaskFiles.instruction` describes.
        success: ``any_step``: the episode ends at the first step where the goal holds.
        gripper: How upstream converts a policy's gripper action. Documentation only: here the
            action layout defines it.
        seed_before_reset: Whether upstream seeds before every reset; here it is always done.
        upstream_simulator: The versions that upstream pins; `simulator` holds the installed ones.
    """

    wait_steps: int
    wait_action: tuple[float, ...]
    env_seed: int | Literal["run", "run+episode", "run+episode+task"]
    init_states: Literal["official", "drawn"]
    camera_size: tuple[int, int]
    flip: Literal["rotate180", "none"]
    control: Mapping[str, Any]
    instruction: Literal["filename"]
    success: Literal["any_step"]
    gripper: str = field(metadata={"scored": False})
    seed_before_reset: bool = field(metadata={"scored": False})
    upstream_simulator: str = field(metadata={"scored": False})

    def check(self) -> None:
        """Refuse another controller than LIBERO's own, and wait actions of another length."""
        super().check()
        require_image_size(self.name, self.camera_size)
        if dict(self.control) != _CONTROL:
            raise UsageError(f"control of {self.name} must be {_CONTROL}; there is no other here")
        if len(self.wait_action) != EEF_DELTA_ACTION.size or self.wait_steps < 0:
            raise UsageError(f"{self.name} needs a wait_action of 7 numbers and wait_steps from 0")

    @property
    def env_spec(self) -> EnvSpec:
        """The cameras and layouts of every task."""
        cameras = dict.fromkeys(CAMERAS, self.camera_size)
        return EnvSpec(cameras, EEF_AXIS_ANGLE_STATE, EEF_DELTA_ACTION)

    def scene_seed(self, seed: int, episode: int, task: str) -> int:
        """Return the seed of an episode's scene."""
        if isinstance(self.env_seed, int):
            return self.env_seed
        if self.env_seed == "run+episode+task":
            return crc32(f"{seed} {episode} {task}".encode())
        return seed + episode if self.env_seed == "run+episode" else seed


@cache
def protocols() -> dict[str, LiberoProtocol]:
    """Return the cards by short name, with the installed simulator's versions."""
    installed = catalog.versions()
    simulator = ", ".join(
        f"{name} {installed[name]}" for name in catalog.SIMULATOR_PACKAGES if name in installed
    )
    return {
        path.stem: LiberoProtocol.load(path, "libero", simulator=simulator)
        for path in sorted(CARDS.glob("*.yaml"))
    }
