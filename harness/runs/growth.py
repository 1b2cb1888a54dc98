"""How a run grows: another plan joins those in its run.json.

A plan in run.json is resolved: it names policies by identity, tasks by name and protocols by label.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from harness.contracts.errors import UsageError
from harness.contracts.protocol import ProtocolLabel
from harness.contracts.spec import player_name

Cell = tuple[str, str, str, str]
"""Player, benchmark, protocol and task."""

Facts = dict[str, Any]
"""The content of run.json."""


def wanted_episodes(plans: Iterable[Mapping[str, Any]]) -> dict[Cell, list[int]]:
    """Return the indices of the episodes that plans want of each player on each task."""
    wanted: dict[Cell, set[int]] = {}
    for plan in plans:
        for player in players_of([plan]):
            for request in plan["benchmarks"]:
                for task in request["tasks"]:
                    cell = (player, request["name"], request["protocol"], task)
                    wanted.setdefault(cell, set()).update(_range(plan))
    return {cell: sorted(episodes) for cell, episodes in wanted.items()}


def players_of(plans: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the policies of plans and their ablations, as tables name them."""
    return list(
        dict.fromkeys(
            player_name(policy, ablation)
            for plan in plans
            for ablation in ("", *plan["ablations"])
            for policy in plan["policies"]
        )
    )


def grow(there: Facts, here: Facts) -> Facts:
    """Return run.json with the plans of `here` added to those of `there`.

    Raises:
        UsageError: They cannot be one run; the message names the differences.
    """
    differences = _differences(there, here)
    if differences:
        raise UsageError("; ".join(differences[:5]))
    plans = joined_plans(there["plans"], here["plans"])
    kept = {name for plan in plans for name in plan["policies"]}
    known = {**here["policies"], **there["policies"]}
    return there | {
        "plans": plans,
        "policies": {name: known[name] for name in sorted(kept)},
        "players": players_of(plans),
        "task_order": there["task_order"] | here["task_order"],
        "protocols": _used(there["protocols"] | here["protocols"], plans),
        "command": _command(there, here, plans),
    }


def with_session(there: Facts, here: Facts) -> Facts:
    """Return run.json with the versions and the commit that play more of its episodes."""
    versions = {
        name: joined_text(there["versions"].get(name), here["versions"].get(name))
        for name in dict.fromkeys([*there["versions"], *here["versions"]])
    }
    return there | {"versions": versions, "git": joined_text(there.get("git"), here.get("git"))}


def want_the_same(there: Facts, here: Facts) -> bool:
    """Return whether two run.json want the same episodes, plan by plan."""
    pairs = [(one, other) for one in there["plans"] for other in here["plans"]]
    return all(_covers(one, other) and _covers(other, one) for one, other in pairs)


def without_policies(facts: Facts, dropped: Iterable[str]) -> Facts:
    """Return run.json without some policies; a plan that has no other one is left out."""
    gone = set(dropped)
    plans = [
        plan | {"policies": [name for name in plan["policies"] if name not in gone]}
        for plan in facts["plans"]
    ]
    plans = [plan for plan in plans if plan["policies"]]
    policies = {name: each for name, each in facts["policies"].items() if name not in gone}
    return facts | {"plans": plans, "policies": policies, "players": players_of(plans)}


def joined_plans(
    old: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """Return the plans without those that another one covers."""
    plans = list(old)
    for plan in new:
        if any(_covers(known, plan) for known in plans):
            continue
        plans = [known for known in plans if not _covers(plan, known)] + [plan]
    return plans


def joined_text(old: str | None, new: str | None) -> str | None:
    """Return both texts, separated by a comma; the same one once."""
    if not (old and new):
        return old or new
    return old if new in old.split(", ") else f"{old}, {new}"


def _covers(plan: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Return whether a plan wants every episode that the other one wants."""
    tasks = _tasks(plan)
    return (
        set(plan["policies"]) >= set(other["policies"])
        and set(plan["ablations"]) >= set(other["ablations"])
        and set(_range(plan)) >= set(_range(other))
        and all(tasks.get(place, set()) >= names for place, names in _tasks(other).items())
    )


def _tasks(plan: Mapping[str, Any]) -> dict[tuple[str, str], set[str]]:
    return {(each["name"], each["protocol"]): set(each["tasks"]) for each in plan["benchmarks"]}


def _range(plan: Mapping[str, Any]) -> range:
    return range(plan["first"], plan["first"] + plan["episodes"])


def _differences(there: Facts, here: Facts) -> list[str]:
    """Return as text why two run.json cannot describe one run."""
    old, new = _seeds(there), _seeds(here)
    found = [f"seed: {old} there, {new} here"] if old != new else []
    old_rules, new_rules = _rules(there), _rules(here)
    found += [
        f"{rule}: {old_rules[rule]} there, {new_rules[rule]} here"
        for rule in old_rules
        if rule in new_rules and old_rules[rule] != new_rules[rule]
    ]
    old_names, new_names = _protocols(there), _protocols(here)
    for benchmark in [name for name in old_names if name in new_names]:
        mine, theirs = old_names[benchmark], new_names[benchmark]
        if not (mine <= theirs or theirs <= mine):
            found.append(
                f"protocol of {benchmark}: {', '.join(sorted(mine))} there, "
                f"{', '.join(sorted(theirs))} here"
            )
    return found or _rounds(there, here)


def _rounds(there: Facts, here: Facts) -> list[str]:
    """Return why a run that may stop early cannot grow: the order of its pairs would change."""
    old, new = (any(p["stop_when_decided"] for p in facts["plans"]) for facts in (there, here))
    if not (old or new):
        return []
    if old != new:
        return [f"stop_when_decided: {old} there, {new} here"]
    # A policy that never played was dropped; its successor does not change the rounds.
    (old_plan,), (new_plan,) = there["plans"], here["plans"]
    if len(players_of([old_plan])) < 2 and _covers(new_plan, old_plan):
        here = {"plans": [new_plan | {"policies": old_plan["policies"]}]}
    if want_the_same(there, here):
        return []
    return ["stop_when_decided: its rounds would change with another plan"]


def _seeds(facts: Facts) -> str:
    return ", ".join(sorted({str(plan["seed"]) for plan in facts["plans"]}))


def _protocols(facts: Facts) -> dict[str, set[str]]:
    """Return the names of the protocols of each benchmark."""
    found: dict[str, set[str]] = {}
    for plan in facts["plans"]:
        for request in plan["benchmarks"]:
            name = ProtocolLabel.parse(request["protocol"]).name
            found.setdefault(request["name"], set()).add(name)
    return found


def _rules(facts: Facts) -> dict[str, Any]:
    """Return every rule of every protocol, by name."""
    return {
        f"{rule} of {ProtocolLabel.parse(label).name}": value
        for label, card in facts["protocols"].items()
        for rule, value in card["rules"].items()
    }


def _used(protocols: Facts, plans: Sequence[Mapping[str, Any]]) -> Facts:
    labels = {request["protocol"] for plan in plans for request in plan["benchmarks"]}
    return {label: card for label, card in protocols.items() if label in labels}


def _command(there: Facts, here: Facts, plans: Sequence[Mapping[str, Any]]) -> str:
    """Return the commands whose plans run.json holds, one a line."""
    old, new = there.get("command", ""), here.get("command", "")
    if all(plan in there["plans"] for plan in plans):
        return str(old)
    if not any(plan in plans for plan in there["plans"]):
        return str(new)
    return "\n".join(filter(None, (old, new)))
