"""Chooses the skill for a predicate about an articulated fixture or a plate.

No skill has memory: each action follows from the simulator's present state. So a policy without
memory can learn from the demonstrations. Each phase (align, reach, grip, pull) is a test of where
the hand is now.
"""

from benchmarks.libero.expert import drawers, hinges, pushing
from benchmarks.libero.expert.world import Predicate, World
from harness.contracts.environment import Action


def operate(world: World, predicate: Predicate) -> Action:
    """Return the next action toward a predicate.

    Args:
        world: The simulation.
        predicate: ``("open" | "close", drawer region or microwave)``, ``("turnon" | "turnoff",
            stove)`` or ``("on", plate, region)``, which pushes the plate along the table.

    Returns:
        A 7-D action in [-1, 1].

    Raises:
        ValueError: There is no skill for the predicate.
    """
    kind, name = predicate[:2]
    match kind:
        case "on":
            return pushing.push(world, predicate)
        case "open" if _is_drawer(world, name):
            return drawers.open_drawer(world, name)
        case "close" if _is_drawer(world, name):
            return drawers.close_drawer(world, name)
        case "open":
            return hinges.open_door(world, name)
        case "close":
            return hinges.close_door(world, name)
        case "turnon" | "turnoff":
            return hinges.turn_knob(world, name, 1.0 if kind == "turnon" else -1.0)
    raise ValueError(f"no skill for the predicate {predicate}")


def is_open_enough(world: World, name: str) -> bool:
    """Return whether an object can be put into a container now.

    While the hand pulls a drawer, this is stricter than the predicate ``open``: a drawer that has
    just become ``open`` is too narrow for a bowl.

    Args:
        world: The simulation.
        name: A drawer's region, or a microwave.
    """
    if _is_drawer(world, name):
        return drawers.is_pulled_out(world, name)
    return world.holds(("open", name))


def make_way(world: World, name: str, region: str) -> Action | None:
    """Return the action that pushes a dish to a place that the open drawer will not cover.

    Call it before a drawer is opened to put the dish in.

    Args:
        world: The simulation.
        name: A plate or a bowl on the table.
        region: The drawer's region, or a microwave.

    Returns:
        The action; None if the dish can stay and the hand is out of it.
    """
    if not _is_drawer(world, region):
        return None
    goal = drawers.way_out(world, name, region)
    if goal is None:
        return pushing.leave_dish(world, name)
    return pushing.push_toward(world, name, goal)


def retreat(world: World) -> Action | None:
    """Return the action that takes the hand off a handle or knob.

    Call it before any skill for another fixture or object. A hand that leaves in another direction
    would move the drawer or the knob.

    Args:
        world: The simulation.

    Returns:
        The action; None if the hand is free.
    """
    for name, site in world.env.object_sites_dict.items():
        if site.joints:
            action = drawers.leave_drawer(world, name)
            if action is not None:
                return action
    for name, fixture in world.env.fixtures_dict.items():
        if hasattr(fixture, "turn_on"):
            action = hinges.leave_knob(world, name)
        elif hasattr(fixture, "is_open") and not _has_drawers(world, name):
            action = hinges.leave_door(world, name)
        else:
            continue
        if action is not None:
            return action
    return None


def _is_drawer(world: World, name: str) -> bool:
    return name in world.env.object_sites_dict


def _has_drawers(world: World, fixture: str) -> bool:
    sites = world.env.object_sites_dict.values()
    return any(site.joints and site.parent_name == fixture for site in sites)
