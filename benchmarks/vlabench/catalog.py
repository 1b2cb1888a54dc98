"""VLABench's selection tasks and the sets that their scenes are drawn from."""

import importlib.util
from dataclasses import dataclass
from functools import cache
from typing import Literal

from benchmarks.suites import installed_versions

GoalKind = Literal["contain", "lift", "press"]
_PACKAGES = ("mujoco", "robosuite")

SEEN_TOYS = (
    ("hawkeye", "ironman", "loki", "spiderman", "vision"),
    ("aquaman", "batman", "flashman"),
    ("mickey", "donald", "pluto"),
    ("buzz_lightyear", "jessie", "alien"),
    ("ace", "luffy", "nami", "sanji"),
)
UNSEEN_TOYS = (
    ("antman", "doctor_strange", "hulk", "thor", "thanos"),
    ("joker", "superman", "wonder_woman"),
    ("minnie", "daisy"),
    ("woody", "rex", "slinky_dog"),
    ("robin", "zoro", "chopper", "reiju"),
)
"""Toys by series. The distractors in a scene are never from the target's series."""
SEEN_FRUIT, UNSEEN_FRUIT = (
    ("apple", "banana", "orange", "pear"),
    ("peach", "lemon", "kiwi", "mango"),
)
SEEN_STYLES = (
    "Romanticism",
    "Realism",
    "Rococo",
    "Baroque",
    "Symbolism",
    "Minimalism",
    "Post-Impressionism",
    "Surrealism",
    "Ukiyo-e",
)
UNSEEN_STYLES = (
    "Academicism",
    "Expressionism",
    "Impressionism",
    "Neoclassicism",
    "Art Nouveau",
    "Cubism",
)
RANKS = ("2", "3", "4", "5", "6", "7", "8", "9", "10", "jack", "queen", "king", "ace")
"""The ranks of cards, from low to high."""
SUITS = ("spades", "clubs", "diamonds", "hearts")
TILE_SUITS = ("man", "sou", "pin")
TILES = tuple(f"{value}_{suit}" for value in range(1, 10) for suit in TILE_SUITS)[::2]
"""Upstream uses every other tile, the same for its seen and unseen sets."""


@dataclass(frozen=True)
class TaskFacts:
    """A task.

    Attributes:
        name: Upstream's name.
        instruction: An example of its instructions, for listings.
        goal: Whether to put the target into a container, to lift it, or to press its button.
    """

    name: str
    instruction: str
    goal: GoalKind


TASKS = {
    task.name: task
    for task in (
        TaskFacts("select_toy", "Put the mickey into the giftbox_seen", "contain"),
        TaskFacts("select_fruit", "Put the apple into the plate_seen", "contain"),
        TaskFacts("select_painting", "Please select the painting of style baroque.", "press"),
        TaskFacts("select_poker", "Please pick the poker ace of spades", "lift"),
        TaskFacts("select_mahjong", "Pick up the mahjong of 1 man", "contain"),
        TaskFacts("select_nth_largest_poker", "Please pick the the 2nd largest poker", "lift"),
        TaskFacts(
            "select_unique_type_mahjong", "Put the unique type mahjong on the placemat", "contain"
        ),
    )
}
_NAMES = tuple(TASKS)
SUITES = {
    "vlabench_lite": _NAMES[:5],
    "vlabench_lite_track3": (_NAMES[2], _NAMES[0], _NAMES[1], *_NAMES[5:]),
}
"""The five tasks of most tracks, and the five tasks of track 3 in the order of its file."""


@cache
def is_installed() -> bool:
    """Return whether the simulator's packages are installed, without importing them."""
    return all(importlib.util.find_spec(name) for name in _PACKAGES)


def versions() -> dict[str, str]:
    """Return the versions of the simulator's packages."""
    return installed_versions(_PACKAGES)
