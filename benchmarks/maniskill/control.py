"""Reads from ManiSkill's controllers what an action means and which action does nothing."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from benchmarks.maniskill.layouts import prefix, state_layout
from harness.contracts.vectors import Layout, Part

Vector = NDArray[np.float32]


class Control:
    """The controllers of one or more robots as one vector.

    For several robots, ManiSkill takes a dictionary of actions. Here they are joined in its order.
    """

    def __init__(self, sim: Any) -> None:
        """Read the controllers of a ManiSkill environment."""
        self._sim = sim
        boxes = {name: one.single_action_space for name, one in self._agents.items()}
        self.space = spaces.Box(
            np.concatenate([box.low for box in boxes.values()]),
            np.concatenate([box.high for box in boxes.values()]),
            dtype=np.float32,
        )
        ends = np.cumsum([box.shape[0] for box in boxes.values()])
        self._slices = {
            name: slice(end - box.shape[0], end)
            for (name, box), end in zip(boxes.items(), ends, strict=True)
        }
        self.layout = Layout(tuple(self._parts()))

    @property
    def _agents(self) -> Mapping[str, Any]:
        """The robots of the present episode; a reset creates new ones."""
        agent = self._sim.agent
        return getattr(agent, "agents_dict", None) or {"": agent}

    def command(self, action: Vector) -> Vector | dict[str, Vector]:
        """Return an action in the form that ManiSkill takes."""
        row = action[np.newaxis]
        if len(self._slices) == 1:
            return row
        return {name: row[:, part] for name, part in self._slices.items()}

    def idle(self) -> Vector:
        """Return the action that keeps the robots where they are."""
        parts = [_idle(controller) for _, _, controller in self._controllers()]
        return np.concatenate(parts).astype(np.float32)

    def positions(self) -> Vector:
        """Return the positions of all joints of all robots."""
        found = [agent.robot.get_qpos().cpu().numpy()[0] for agent in self._agents.values()]
        return np.concatenate(found, dtype=np.float32)

    def tool(self) -> Vector:
        """Return each robot's tool pose in its base frame, and its last two joint positions."""
        found = []
        for agent in self._agents.values():
            pose = (agent.robot.pose.inv() * agent.tcp.pose).raw_pose
            found += [pose.cpu().numpy()[0], agent.robot.get_qpos().cpu().numpy()[0, -2:]]
        return np.concatenate(found).astype(np.float32)

    def has_tool(self) -> bool:
        """Return whether ManiSkill knows the tool pose of every robot."""
        return all(hasattr(agent, "tcp") for agent in self._agents.values())

    def state_layout(self, kind: str) -> Layout:
        """Return the layout of a kind of state."""
        return state_layout(kind, tuple(self._agents), len(self.positions()))

    def _controllers(self) -> Iterator[tuple[str, str, Any]]:
        """Yield the robot's name, the controller's name and the controller, in action order."""
        for robot, agent in self._agents.items():
            parts = getattr(agent.controller, "controllers", None)
            for name, controller in (parts or {agent.control_mode: agent.controller}).items():
                yield robot, name, controller

    def _parts(self) -> Iterator[Part]:
        for robot, name, controller in self._controllers():
            for part in _meaning(name, controller):
                yield Part(prefix(robot) + part.name, part.size, part.meaning)


def _meaning(name: str, controller: Any) -> list[Part]:
    """Return the layout of one controller's part of an action."""
    config, size = controller.config, int(controller.single_action_space.shape[0])
    kind = type(controller).__name__
    delta = "delta" if getattr(config, "use_delta", False) else "absolute"
    if getattr(config, "use_target", False):
        delta = "delta of the last target"
    if kind in ("PDEEPoseController", "PDEEPosController"):
        frame = str(config.frame).replace(":", ", ")
        scale = f"1 = {config.pos_upper} m" if config.normalize_action else "m"
        parts = [Part("eef_translation", 3, f"{delta}, {scale}, {frame}")]
        if size == 6:
            # ManiSkill multiplies by the lower bound, so +1 turns by the negative angle.
            turn = f"1 = {config.rot_lower} rad" if config.normalize_action else "rad"
            parts.append(Part("eef_rotation", 3, f"{delta} XYZ Euler angles, {turn}"))
        return parts
    if kind in ("PDJointPosController", "PDJointPosMimicController"):
        if not config.normalize_action:
            return [Part(f"{name}_joints", size, f"{delta}, rad")]
        low, high = np.ravel(config.lower), np.ravel(config.upper)
        ends = f"-1 = {low[0]:g}, +1 = {high[0]:g}" if len(low) == 1 else "-1 to +1 of its range"
        return [Part(f"{name}_joints", size, f"{delta}, {ends}")]
    return [Part(name, size, f"{kind} of ManiSkill")]


def _idle(controller: Any) -> Vector:
    """Return one controller's part of the idle action."""
    space, config, kind = controller.single_action_space, controller.config, type(controller)
    here = np.zeros(space.shape, np.float32)
    # Velocity controllers have no `use_delta`; zero keeps them in place, too.
    if not getattr(config, "use_delta", True):
        tool = kind.__name__.startswith("PDEE")
        now = _tool_pose(controller) if tool else controller.qpos.cpu().numpy()[0]
        # A mimicked finger has no action, a velocity has no position.
        count = min(len(now), len(here))
        here[:count] = now[:count]
        if config.normalize_action:
            low = controller.action_space_low.cpu().numpy()
            high = controller.action_space_high.cpu().numpy()
            here = 2 * (here - low) / (high - low) - 1
    return np.clip(here, space.low, space.high)


def _tool_pose(controller: Any) -> Vector:
    """Return the tool's position and Euler angles, as an absolute controller takes them."""
    from mani_skill.utils.geometry.rotation_conversions import matrix_to_euler_angles

    matrix = controller.ee_pose_at_base.to_transformation_matrix().cpu()
    turn = matrix_to_euler_angles(matrix[:, :3, :3], "XYZ")
    return np.concatenate([matrix[0, :3, 3], turn[0]]).astype(np.float32)
