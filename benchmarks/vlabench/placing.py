"""Places things on the table, for drawn scenes and for scenes of a track."""

import math

from benchmarks.vlabench.assets import asset
from benchmarks.vlabench.scene import TABLE, Thing


def on_table(name: str, asset_name: str, x: float, y: float, yaw: float = 0.0) -> Thing:
    """Return a thing on the table; at a yaw of 0 its face is visible along y."""
    facing = math.radians(asset(asset_name).facing)
    return Thing(name, asset_name, (x, y, TABLE), facing + yaw)


def in_holder(card: str, holder: Thing) -> Thing:
    """Return a card that stands in a holder."""
    x, y, z = holder.position
    return Thing(card, card, (x, y, z + asset(holder.asset).grasp_height), holder.yaw)


def holder_at(name: str, x: float, y: float) -> Thing:
    """Return a card holder with its card's face visible along y."""
    return Thing(name, "card_holder", (x, y, TABLE), math.pi / 2)


def painting_of(style: str) -> str:
    """Return upstream's entity name for a painting in a style."""
    return f"{style.lower()}_painting"
