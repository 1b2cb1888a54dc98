"""The scene of an episode: the things on the table and the goal."""

from dataclasses import dataclass

from benchmarks.vlabench.catalog import GoalKind

TABLE = 0.76
"""The height of the table's surface in metres, as in upstream's scenes."""
FIXED_KINDS = ("button", "painting")
"""The kinds of assets that upstream fixes to the world; all others can move."""


@dataclass(frozen=True)
class Thing:
    """A thing on the table.

    Attributes:
        name: Its name in instructions and conditions, unique in the scene.
        asset: The name of its asset.
        position: The centre of its base in world coordinates.
        yaw: Its rotation about the vertical in radians.
    """

    name: str
    asset: str
    position: tuple[float, float, float]
    yaw: float = 0.0


@dataclass(frozen=True)
class Scene:
    """An episode's scene and goal.

    Attributes:
        things: The things on the table.
        instruction: The policy's instruction.
        goal: The kind of goal.
        target: The thing to take, or the button to press.
        choices: The things among which the target must be found, with the target.
        container: The thing to put the target into or onto, or empty.
        table: Upstream's name of the table's material.
        floor: Upstream's name of the floor's texture.
    """

    things: tuple[Thing, ...]
    instruction: str
    goal: GoalKind
    target: str
    choices: tuple[str, ...]
    container: str = ""
    table: str = "wood"
    floor: str = "floorplane"

    def thing(self, name: str) -> Thing:
        """Return a thing by its name."""
        return next(thing for thing in self.things if thing.name == name)

    def distractor(self) -> str:
        """Return the choice after the target."""
        return self.choices[(self.choices.index(self.target) + 1) % len(self.choices)]
