"""RoboTwin 2.0: five tasks with blocks that run anywhere, and all 50 with the user's files."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from benchmarks import vulkan
from benchmarks.robotwin import assets, panda
from benchmarks.robotwin.cameras import IMAGE_SIZE
from benchmarks.robotwin.catalog import BLOCKS, EPISODES, TASKS
from benchmarks.robotwin.layouts import arm_joints, layout
from benchmarks.robotwin.needs import SIMULATOR, VENV
from benchmarks.robotwin.protocol import (
    RoboTwinProtocol,
    full_protocols,
    protocols,
    require_known_scenes,
)
from benchmarks.suites import SuiteFamily
from harness.contracts.environment import EnvSpec
from harness.contracts.errors import UsageError
from harness.contracts.protocol import Protocol


class RoboTwinBlocks(SuiteFamily):
    """The five tasks that need no files of RoboTwin, with two Panda arms, on the CPU."""

    name = "robotwin_blocks"
    default_protocol = "blocks"
    env_class = "benchmarks.robotwin.env:RoboTwinEnv"
    venv = VENV

    def benchmarks(self) -> Sequence[str]:
        """Return the one benchmark."""
        return [self.name]

    def task_data(self, benchmark: str) -> Mapping[str, str]:
        """Return the tasks' names; each episode draws its own instruction."""
        return {name: name for name in BLOCKS}

    def protocols(self) -> Mapping[str, Protocol]:
        """Return the protocol cards by short name."""
        return protocols()

    def step_limit(self, benchmark: str, task: str, protocol: Protocol) -> int:
        """Return the task's own limit, or else the benchmark's."""
        assert isinstance(protocol, RoboTwinProtocol)
        return protocol.steps(benchmark, task)

    def protocol_from(self, card: Path) -> Protocol:
        """Return the protocol of a card by file; its scenes must be those of a bundled card."""
        protocol = super().protocol_from(card)
        assert isinstance(protocol, RoboTwinProtocol)
        require_known_scenes(protocol, assets.identity())
        return protocol

    def env_spec(self, benchmark: str, task: str, protocol: Protocol) -> EnvSpec | None:
        """Return the cameras and the layouts, which all tasks share; None without the robot."""
        assert isinstance(protocol, RoboTwinProtocol)
        robot = _embodiment(protocol)
        if robot is None:
            return None
        vector = layout(protocol.control, arm_joints(robot))
        return EnvSpec(dict.fromkeys(protocol.cameras, IMAGE_SIZE), vector, vector)

    def episodes(self, benchmark: str, task: str) -> int | None:
        """Return the number of evaluated scenes."""
        return EPISODES

    def problem(self, images: bool) -> str | None:
        """Return whether a Vulkan driver is missing; SAPIEN needs one even without images."""
        return vulkan.find_driver().problem

    def rendering(self) -> str:
        """Return the Vulkan driver."""
        return vulkan.find_driver().name

    def versions(self) -> Mapping[str, str]:
        """Return the versions in its virtual environment."""
        return SIMULATOR


class RoboTwin(RoboTwinBlocks):
    """All 50 tasks; they need the user's files and cuRobo."""

    name = "robotwin"
    default_protocol = "demo_clean"

    def task_data(self, benchmark: str) -> Mapping[str, str]:
        """Return the tasks' names; each episode draws its own instruction."""
        return {name: name for name in TASKS}

    def protocols(self) -> Mapping[str, Protocol]:
        """Return the protocol cards by short name."""
        return full_protocols(assets.identity())

    def problem(self, images: bool) -> str | None:
        """Return which is missing: RoboTwin's files, cuRobo or a Vulkan driver."""
        return assets.problem() or super().problem(images)


def _embodiment(protocol: RoboTwinProtocol) -> Mapping[str, Any] | None:
    """Return the description of a protocol's robot, or None if its file is not here."""
    if protocol.robot == panda.NAME:
        return panda.CONFIG
    try:
        text = (assets.robot(protocol) / "config.yml").read_text()
        return dict(yaml.safe_load(text))
    except (UsageError, OSError, yaml.YAMLError):
        return None
