"""The meaning of each number of a state or an action."""

from dataclasses import dataclass

from harness.contracts.errors import UsageError


@dataclass(frozen=True)
class Part:
    """Consecutive numbers of a vector with one meaning.

    Attributes:
        name: Their name, e.g. ``eef_position``.
        size: Their count.
        meaning: Unit, frame, order and sign: ``m, world``, ``xyzw``, ``-1 open, +1 close``.
    """

    name: str
    size: int
    meaning: str

    def __str__(self) -> str:
        """Return the part as error messages show it."""
        return f"{self.name}[{self.size}] ({self.meaning})"


@dataclass(frozen=True)
class Layout:
    """The parts of a vector, in order."""

    parts: tuple[Part, ...]

    @property
    def size(self) -> int:
        """The length of the vector."""
        return sum(part.size for part in self.parts)

    def __str__(self) -> str:
        """Return the layout on one line."""
        return " + ".join(map(str, self.parts))


EEF_AXIS_ANGLE_STATE = Layout(
    (
        Part("eef_position", 3, "m, world"),
        Part("eef_orientation", 3, "axis-angle in rad of the xyzw quaternion"),
        Part("gripper_qpos", 2, "m, one number a finger"),
    )
)
"""The end-effector pose and the finger positions of an arm in robosuite."""

EEF_DELTA_ACTION = Layout(
    (
        Part("eef_translation", 3, "delta, 1 = 0.05 m"),
        Part("eef_rotation", 3, "delta axis-angle, 1 = 0.5 rad"),
        Part("gripper", 1, "-1 opens, +1 closes"),
    )
)
"""A change of the end-effector pose, scaled as robosuite's OSC_POSE does, and the gripper."""


def require_same(kind: str, policy: Layout | None, environment: Layout, policy_name: str) -> None:
    """Require that policy and environment give a vector the same meaning.

    Raises:
        UsageError: The layouts differ; the message names both sides.
    """
    if policy is not None and policy != environment:
        raise UsageError(
            f"{policy_name} and the environment disagree about the {kind}: "
            f"the policy has {policy}; the environment has {environment}"
        )
