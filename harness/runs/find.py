"""Finds an episode of a run by policy, task and number."""

import re
from collections.abc import Callable, Iterable, Sequence

from harness.contracts.errors import UsageError, require_known
from harness.contracts.record import EpisodeRecord
from harness.runs.folder import Run

_DIGEST = re.compile(r"@[0-9a-f]+(?= \(|$)")


def find_episode(
    run: Run, policy: str, task: str, episode: int, benchmark: str = ""
) -> EpisodeRecord:
    """Return the record of an episode.

    Args:
        run: The run.
        policy: The policy's name in tables, with or without its digest. Empty if there is only one.
        task: The task's name, or its number in the benchmark. Empty if there is only one.
        episode: The episode's index.
        benchmark: The benchmark's name. Empty if there is only one.

    Raises:
        UsageError: No episode fits, or several; the message names the choices.
    """
    records = list(run.records().values())
    if not records:
        raise UsageError(f"{run.path} has no episodes yet")
    place = f"of {run.path}"
    records = _only(
        records, lambda r: r.spec.benchmark, benchmark, f"benchmark {place}", "--benchmark"
    )
    if task.isdecimal():
        order = run.facts["task_order"][records[0].spec.benchmark]
        if int(task) >= len(order):
            raise UsageError(f"task {task} is out of range: 0 to {len(order) - 1}")
        task = order[int(task)]
    records = _only(records, lambda r: r.spec.task, task, f"task {place}", "--task")
    policy = _whole_name(policy, [record.spec.player for record in records])
    records = _only(records, lambda r: r.spec.player, policy, f"policy {place}", "--policy")
    numbers = sorted({record.spec.episode for record in records})
    if episode not in numbers:
        raise UsageError(f"there is no episode {episode} of it; there are {_ranges(numbers)}")
    found = [record for record in records if record.spec.episode == episode]
    if len(found) > 1:
        keys = ", ".join(f"{r.spec.key} ({r.spec.protocol}, seed {r.spec.seed})" for r in found)
        raise UsageError(f"{len(found)} episodes fit; give the key of one: {keys}")
    return found[0]


def _only(
    records: Sequence[EpisodeRecord],
    value: Callable[[EpisodeRecord], str],
    wanted: str,
    kind: str,
    option: str,
) -> list[EpisodeRecord]:
    """Return the records with a value; it may be left out if all have the same."""
    known = list(dict.fromkeys(value(record) for record in records))
    if wanted:
        require_known(kind, wanted, known)
    elif len(known) > 1:
        raise UsageError(f"there is more than one {kind}; give {option}: {', '.join(known)}")
    return [record for record in records if value(record) == (wanted or known[0])]


def _whole_name(given: str, players: Iterable[str]) -> str:
    """Return the player's name for a name without its digest.

    Raises:
        UsageError: Several players have this name.
    """
    known = list(dict.fromkeys(players))
    fitting = [name for name in known if _DIGEST.sub("", name) == given]
    if given in known or not fitting:
        return given
    if len(fitting) > 1:
        raise UsageError(f"--policy {given} fits {' and '.join(fitting)}; give one of them")
    return fitting[0]


def _ranges(numbers: Sequence[int]) -> str:
    """Return sorted numbers as text, e.g. ``0 to 9, 12``."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][-1] + 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    return ", ".join(f"{p[0]} to {p[-1]}" if len(p) > 1 else f"{p[0]}" for p in parts)
