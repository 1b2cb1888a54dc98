"""Reads runs into one table, a row an episode: a million of them in seconds."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson
import pandas as pd

from harness.contracts.errors import UsageError
from harness.runs.folder import Run, damaged

PARTS = ("build", "reset", "env", "render", "policy", "queue")
"""What a record's seconds are spent on; `queue` is the way to a policy actor and the wait there."""

CELL = ["policy", "benchmark", "protocol", "task"]
"""The columns that name a cell: the episodes of one policy on one task under one protocol."""

ZEROS = (0.0,) * len(PARTS)
BLOCK = 50_000
"""Rows that are held as Python objects at a time."""

COLUMNS = (
    *("key", "policy", "benchmark", "task", "protocol", "episode", "seed"),
    *("outcome", "progress", "steps", "reason", "subgoals", "actions_sha256"),
    *(
        "retries",
        "started",
        "gpu",
        "chunks",
        "evaluations",
        "replica",
        "batches",
        "wall_total",
        "cpu_total",
    ),
    *(f"{kind}_{part}" for kind in ("wall", "cpu") for part in PARTS),
)
NUMBERS = (
    "progress",
    "steps",
    "started",
    "gpu",
    "chunks",
    "evaluations",
    *COLUMNS[COLUMNS.index("wall_total") :],
)
Pairs = tuple[tuple[str, Any], ...]


def read_frame(runs: Sequence[Run]) -> pd.DataFrame:
    """Return every episode of the runs once: what was asked, what came of it, what it cost.

    An episode that is in several runs counts once; one that has a score wins over an error.

    Raises:
        UsageError: A log is damaged, or two runs disagree about an episode.
    """
    frame = pd.concat([_read_run(run) for run in runs], ignore_index=True)
    for name in (*CELL, "outcome", "run"):
        frame[name] = frame[name].astype("category")
    if len(runs) > 1:
        frame = _once(frame)
    return frame


def wanted_cells(runs: Sequence[Run]) -> pd.DataFrame:
    """Return how many episodes the runs' plans want of each cell, in the plans' order."""
    wanted: dict[tuple[str, ...], dict[int, int]] = {}
    positions: dict[tuple[str, ...], int] = {}
    for run in runs:
        facts = run.facts
        plan, order = facts["plan"], facts["task_order"]
        for policy in facts["policies"]:
            for request in plan["benchmarks"]:
                name, label = request["name"], _label(facts, request)
                for task in request["tasks"]:
                    cell = (policy, name, label, task)
                    positions[cell] = order[name].index(task)
                    seeds = wanted.setdefault(cell, {})
                    seeds[plan["seed"]] = max(seeds.get(plan["seed"], 0), plan["episodes"])
    rows = [(*cell, positions[cell], sum(seeds.values())) for cell, seeds in wanted.items()]
    return pd.DataFrame(rows, columns=[*CELL, "position", "wanted"])


def family(label: str) -> str:
    """Return the family of benchmarks that a protocol's label belongs to."""
    return label.partition("/")[0]


def _label(facts: Mapping[str, Any], request: Mapping[str, Any]) -> str:
    """Return the label of a request's protocol, which the plan names without family and hash."""
    for label in facts["protocols"]:
        short = label.partition("@")[0].partition("/")[2]
        if short == request["protocol"] and _same_family(facts, request["name"], label):
            return str(label)
    raise UsageError(f"run.json names no protocol {request['protocol']} of {request['name']}")


def _same_family(facts: Mapping[str, Any], benchmark: str, label: str) -> bool:
    limits = facts["protocols"][label]["rules"]["max_steps"]
    return any(benchmark.startswith(prefix) for prefix in limits)


def _read_run(run: Run) -> pd.DataFrame:
    blocks: list[pd.DataFrame] = []
    rows: list[tuple[Any, ...]] = []
    for row in _rows(run):
        rows.append(row)
        if len(rows) == BLOCK:
            blocks.append(_block(rows))
            rows = []
    frame = pd.concat([*blocks, _block(rows)], ignore_index=True) if blocks else _block(rows)
    frame["run"] = str(run.path)
    # An episode that was tried again is in the log twice; the last line counts.
    return frame.drop_duplicates("key", keep="last", ignore_index=True)


def _block(rows: Sequence[tuple[Any, ...]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    # Without rows pandas cannot tell, and a missing progress is None.
    frame = frame.astype(dict.fromkeys(NUMBERS, float))
    for kind in ("wall", "cpu"):  # Early records have no total.
        parts = frame[[f"{kind}_{part}" for part in PARTS]].sum(axis=1)
        frame[f"{kind}_total"] = frame[f"{kind}_total"].clip(lower=parts)
    return frame


def _rows(run: Run) -> Iterator[tuple[Any, ...]]:
    """Read a log line by line; a torn last line is left out, as a run would do."""
    names: dict[str, str] = {}
    groups: dict[Pairs, Pairs] = {}

    def one(text: str) -> str:
        return names.setdefault(text, text)

    def pairs(values: Mapping[str, Any]) -> Pairs:
        items = tuple(values.items())
        return groups.setdefault(items, items)

    if not run.log_path.exists():
        return
    with run.log_path.open("rb") as log:
        for number, line in enumerate(log, start=1):
            if not line.endswith(b"\n"):
                return
            try:
                record = orjson.loads(line)
                wall, cpu = record["timing"], record.get("cpu", {})
                yield (
                    record["key"],
                    *(one(record["policy"]), one(record["benchmark"]), one(record["task"])),
                    one(record["protocol"]),
                    *(record["episode"], record["seed"], one(record["outcome"])),
                    *(record["progress"], record["steps"], one(record["reason"])),
                    *(pairs(record["subgoals"]), record["actions_sha256"], record["retries"]),
                    *(record.get("started", 0.0), record.get("gpu", 0.0)),
                    *(record.get("chunks", 0), record.get("evaluations", 0)),
                    *(one(record.get("replica", "")), pairs(record.get("batches", {}))),
                    *(wall.get("total", 0.0), cpu.get("total", 0.0)),
                    *map(wall.get, PARTS, ZEROS),
                    *map(cpu.get, PARTS, ZEROS),
                )
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise damaged(run.log_path, number, error) from error


def _once(frame: pd.DataFrame) -> pd.DataFrame:
    """Keep an episode that several runs have only once."""
    scored = frame[frame["outcome"] != "error"]
    results = scored.groupby("key")[["outcome", "actions_sha256"]].nunique().max(axis=1)
    if (results > 1).any():
        row = scored[scored["key"] == results.idxmax()].iloc[0]
        raise UsageError(
            f"the runs disagree about {(results > 1).sum()} episodes, e.g. {row['policy']} on "
            f"{row['benchmark']} {row['task']} episode {row['episode']}; they cannot be of one code"
        )
    order = frame["outcome"].eq("error").sort_values(kind="stable").index
    return frame.loc[order].drop_duplicates("key").sort_index(ignore_index=True)
