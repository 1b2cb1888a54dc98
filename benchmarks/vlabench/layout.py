"""What lies on the table in an episode, and what is to be done with it."""

from dataclasses import dataclass

from benchmarks.vlabench.catalog import Goal

TABLE = 0.76
"""The height of the table's surface, as upstream's objects stand on theirs."""
FIXED_KINDS = ("button", "painting")
"""What upstream fastens to the world; all else lies loose."""


@dataclass(frozen=True)
class Thing:
    """Something on the table.

    Attributes:
        name: How instructions and conditions call it, unique in its scene.
        asset: What it looks like.
        position: Where its base's centre is, in the world.
        yaw: How far it is turned about the vertical, in radians.
    """

    name: str
    asset: str
    position: tuple[float, float, float]
    yaw: float = 0.0


@dataclass(frozen=True)
class Scene:
    """An episode's scene and task.

    Attributes:
        things: All that is on the table.
        instruction: What the policy is told.
        goal: What has to be done with the target.
        target: The thing to take, or the button to press.
        choices: What the target is chosen from, itself among them.
        container: Where the target has to go, or empty.
        table: Upstream's name of the table's material.
        floor: Upstream's name of the floor's texture.
    """

    things: tuple[Thing, ...]
    instruction: str
    goal: Goal
    target: str
    choices: tuple[str, ...]
    container: str = ""
    table: str = "wood"
    floor: str = "floorplane"

    def thing(self, name: str) -> Thing:
        """Return the thing of that name."""
        return next(thing for thing in self.things if thing.name == name)

    def wrong(self) -> str:
        """Return the choice after the target, which is a wrong one."""
        return self.choices[(self.choices.index(self.target) + 1) % len(self.choices)]
