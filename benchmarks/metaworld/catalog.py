"""Meta-World's tasks and suites, known without importing it."""

import importlib.util
from dataclasses import dataclass
from functools import cache

from benchmarks.suites import installed_versions

VERSION = "3.1.1"
_PACKAGES = ("metaworld", "mujoco")
GROUPS = ("easy", "medium", "hard", "very_hard")
"""The difficulty groups of Seo et al. (arXiv 2206.14244), as LeRobot 0.4.4 and Evo-1 use them."""


@dataclass(frozen=True)
class TaskFacts:
    """A task.

    Attributes:
        name: Meta-World's name.
        index: Its place in MT50.
        group: Its difficulty group.
        instruction: Our own words for it.
    """

    name: str
    index: int
    group: str
    instruction: str


_TABLE = """
assembly|hard|put the ring of the wrench over the peg
basketball|medium|throw the ball through the hoop
bin-picking|medium|move the puck from one bin to the other
box-close|medium|put the lid on the box
button-press-topdown|easy|press the button on top
button-press-topdown-wall|easy|reach over the wall and press the button on top
button-press|easy|press the button on the side
button-press-wall|easy|reach around the wall and press the button
coffee-button|easy|press the button of the coffee machine
coffee-pull|medium|pull the mug away from the coffee machine
coffee-push|medium|push the mug under the coffee machine
dial-turn|easy|turn the dial
disassemble|very_hard|lift the ring of the wrench off the peg
door-close|easy|close the door
door-lock|easy|turn the knob to lock the door
door-open|easy|open the door
door-unlock|easy|turn the knob to unlock the door
hand-insert|hard|put the hand into the hole
drawer-close|easy|close the drawer
drawer-open|easy|open the drawer
faucet-open|easy|turn the faucet on
faucet-close|easy|turn the faucet off
hammer|medium|drive the nail into the wall with the hammer
handle-press-side|easy|push the handle at the side down
handle-press|easy|push the handle down
handle-pull-side|easy|pull the handle at the side up
handle-pull|easy|pull the handle up
lever-pull|easy|pull the lever up
pick-place-wall|very_hard|carry the puck over the wall to the goal
pick-out-of-hole|hard|take the puck out of the hole
pick-place|hard|carry the puck to the goal
plate-slide|easy|slide the plate into the goal
plate-slide-side|easy|slide the plate sideways into the goal
plate-slide-back|easy|slide the plate back out of the goal
plate-slide-back-side|easy|slide the plate back sideways out of the goal
peg-insert-side|medium|put the peg into the hole in the side
peg-unplug-side|easy|pull the peg out of the hole in the side
soccer|medium|push the ball into the goal
stick-push|very_hard|push the thermos with the stick
stick-pull|very_hard|pull the thermos with the stick
push|hard|push the puck to the goal
push-wall|medium|push the puck around the wall to the goal
push-back|hard|push the puck back to the goal
reach|easy|move the hand to the goal
reach-wall|easy|move the hand over the wall to the goal
shelf-place|very_hard|put the block onto the shelf
sweep-into|medium|sweep the block into the hole
sweep|medium|sweep the block off the table
window-open|easy|open the window
window-close|easy|close the window
"""
TASKS = {
    f"{name}-v3": TaskFacts(f"{name}-v3", index, group, instruction)
    for index, (name, group, instruction) in enumerate(
        line.split("|") for line in _TABLE.split("\n") if line
    )
}
"""All tasks in the order of Meta-World's MT50."""
_MT10 = (
    "reach",
    "push",
    "pick-place",
    "door-open",
    "drawer-open",
    "drawer-close",
    "button-press-topdown",
    "peg-insert-side",
    "window-open",
    "window-close",
)
SUITES = {
    "metaworld_mt50": tuple(TASKS),
    "metaworld_mt10": tuple(f"{name}-v3" for name in _MT10),
    **{
        f"metaworld_{group}": tuple(task.name for task in TASKS.values() if task.group == group)
        for group in GROUPS
    },
}


@cache
def is_installed() -> bool:
    """Return whether the simulator's packages are installed, without importing them."""
    return all(importlib.util.find_spec(name) for name in _PACKAGES)


def versions() -> dict[str, str]:
    """Return the versions of the simulator's packages."""
    return installed_versions(_PACKAGES)
