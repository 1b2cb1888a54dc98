"""Reads runs into one table with a row for each episode."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import pandas as pd

from harness.contracts.errors import UsageError
from harness.contracts.spec import player_name
from harness.runs.folder import Run

PARTS = ("build", "reset", "env", "render", "policy", "queue")
"""The parts of an episode's time. `queue` is the way to a policy actor and the wait there."""

CELL = ["policy", "benchmark", "protocol", "task"]
"""The columns that name a table cell: the episodes of one policy on one task and protocol."""

Pairs = tuple[tuple[str, Any], ...]
"""A record's mapping, e.g. its sub-goals, as pairs that can be hashed."""

_BLOCK = 50_000
"""Rows that are held as Python objects at a time."""

_SPEC = ("key", "policy", "ablation", "benchmark", "task", "protocol", "episode", "seed")
_COUNTS = ("steps", "started", "gpu", "chunks", "evaluations")
_TEXTS = ("reason", "actions_sha256", "retries", "replica", "worker", "batching")
_RECORD = ("outcome", "progress", "clipped", *_COUNTS, *_TEXTS)
_MAPPINGS = ("subgoals", "batches")
_SECONDS = tuple(f"{kind}_{part}" for kind in ("wall", "cpu") for part in ("total", *PARTS))
_NUMBERS = ("progress", "clipped", *_COUNTS, *_SECONDS)
_TIDY = (
    *("policy", "ablation", "benchmark", "task", "episode", "seed", "protocol", "success"),
    *("outcome", "progress", "steps", "reason", "clipped", "seconds", "key"),
)


def read_frame(runs: Sequence[Run]) -> pd.DataFrame:
    """Return every wanted episode of the runs once, with its result and its cost.

    The column `policy` names the policy and its ablation, as tables do. If several runs hold an
    episode it counts once, and a score counts before an error. Lines of a log that no run writes
    are left out; each run's `refusals` then has them.

    Raises:
        UsageError: Two runs disagree about an episode.
    """
    frame = pd.concat([_read_run(run) for run in runs], ignore_index=True)
    for name in (*CELL, "ablation", "outcome", "run"):
        frame[name] = frame[name].astype("category")
    return _once(frame) if len(runs) > 1 else frame


def episodes_frame(runs: Sequence[Run]) -> pd.DataFrame:
    """Return every wanted episode of the runs as a row of a tidy table.

    A `UserWarning` says if lines of a log are left out.

    Columns:
        policy: The policy's identity.
        ablation: What the policy was denied, e.g. ``no-image``; empty for nothing.
        benchmark, task, episode, seed, protocol: The scene, and its protocol's label.
        success: True or False; missing for an error, so that means leave errors out.
        outcome: ``success``, ``failure`` or ``error``.
        progress: The process score from 0 to 1; nan if the task defines none.
        steps: Executed actions.
        reason: Why the episode ended: ``success``, ``step_limit``, ``policy_...`` or the error.
        clipped: The share of the actions with a number clearly outside the action space.
        seconds: Wall seconds, retries included.
        key: The episode's key, as in the log.

    Raises:
        UsageError: Two runs disagree about an episode.
    """
    frame = read_frame(runs)
    for text in refused_lines(runs):
        warnings.warn(text, stacklevel=2)
    outcome = frame["outcome"].astype(str)
    players = frame[["policy", "ablation"]].astype(str).itertuples(index=False, name=None)
    tidy = frame.assign(
        policy=[str(name).removesuffix(player_name("", str(of))) for name, of in players],
        outcome=outcome,
        success=outcome.eq("success").astype("boolean").mask(outcome.eq("error")),
        steps=frame["steps"].astype(int),
        seconds=frame["wall_total"],
    )
    texts = dict.fromkeys(("ablation", "benchmark", "task", "protocol", "reason"), str)
    return tidy[[*_TIDY]].astype(texts)


def refused_lines(runs: Sequence[Run]) -> Iterator[str]:
    """Yield a warning for each run of which lines were left out."""
    for run in runs:
        found = run.refusals
        if found.count:
            first = "; ".join(found.examples)
            lines = f"{found.count} lines are" if found.count > 1 else "1 line is"
            yield (
                f"{lines} left out of {run.path}: a run does not write such lines, so the log was "
                f"damaged or edited ({first}). Delete them, and run the command again."
            )


def wanted_cells(runs: Sequence[Run]) -> pd.DataFrame:
    """Return the planned episodes of each table cell and their seeds, sorted by policy."""
    wanted: dict[tuple[str, ...], dict[int, set[int]]] = {}
    positions: dict[tuple[str, ...], int] = {}
    for run in runs:
        order, seed = run.facts["task_order"], run.plans[0]["seed"]
        cells = run.wanted()
        for cell in sorted(cells, key=lambda cell: cell[0]):
            positions[cell] = order[cell[1]].index(cell[3])
            wanted.setdefault(cell, {}).setdefault(seed, set()).update(cells[cell])
    rows = [
        (*cell, positions[cell], sum(map(len, seeds.values())), tuple(sorted(seeds)))
        for cell, seeds in wanted.items()
    ]
    return pd.DataFrame(rows, columns=[*CELL, "position", "wanted", "seeds"])


def _read_run(run: Run) -> pd.DataFrame:
    rows = _rows(run)
    frames = [_frame(block) for block in iter(lambda: list(islice(rows, _BLOCK)), [])]
    frame = pd.concat(frames, ignore_index=True) if frames else _frame([])
    frame["run"] = str(run.path)
    # Of two results neither counts.
    frame = frame[~frame["key"].isin(run.refusals.contradicted)]
    # An episode that was played again is in the log twice; the last line counts.
    return frame.drop_duplicates("key", keep="last", ignore_index=True)


def _frame(rows: Sequence[tuple[Any, ...]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=[*_SPEC, *_RECORD, *_MAPPINGS, *_SECONDS])
    # An empty table has no types, and a missing progress is None.
    return frame.astype(dict.fromkeys(_NUMBERS, float))


def _rows(run: Run) -> Iterator[tuple[Any, ...]]:
    # Strings and mappings repeat, so one object is kept of each.
    kept: dict[Any, Any] = {}

    def one(value: Any) -> Any:
        value = tuple(value.items()) if isinstance(value, Mapping) else value
        return kept.setdefault(value, value) if isinstance(value, str | tuple) else value

    for record in run.counted():
        spec = record.spec
        yield (
            spec.key,
            one(spec.player),
            *(one(getattr(spec, name)) for name in _SPEC[2:]),
            *(one(getattr(record, name)) for name in (*_RECORD, *_MAPPINGS)),
            *_seconds(record.timing),
            *_seconds(record.cpu),
        )


def _seconds(parts: Mapping[str, float]) -> list[float]:
    return [parts.get(part, 0.0) for part in ("total", *PARTS)]


def _once(frame: pd.DataFrame) -> pd.DataFrame:
    """Keep one row of an episode that several runs hold."""
    scored = frame[frame["outcome"] != "error"]
    results = scored.groupby("key")[["outcome", "actions_sha256"]].nunique().max(axis=1)
    if (results > 1).any():
        row = scored[scored["key"] == results.idxmax()].iloc[0]
        raise UsageError(
            f"the runs disagree about {(results > 1).sum()} episodes, e.g. {row['policy']} on "
            f"{row['benchmark']} {row['task']} episode {row['episode']}; they ran different code"
        )
    order = frame["outcome"].eq("error").sort_values(kind="stable").index
    return frame.loc[order].drop_duplicates("key").sort_index(ignore_index=True)
