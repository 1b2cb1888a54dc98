"""Published results: tidy tables of what papers print, to set beside a run's own numbers.

Every value stays the text that the source prints, its errors included: `harness/audit.py` finds
those. No benchmark is known here by name; the files say which number belongs to which.
"""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass, fields
from fractions import Fraction
from pathlib import Path

import pandas as pd

from harness.contracts.errors import UsageError, require_known
from harness.published.decimals import decimals, same

REFERENCE = Path(__file__).parent / "tables"
DIFFERENCE = "_difference"
"""Ends the metric of a printed difference; its method is then written `A - B` or `A - B & C`."""
RANGES = {"success": (0, 100), "progress": (0, 1)}
KINDS = ("cell", "average")
REQUIRED = ("source", "table", "method", "metric", "value", "protocol", "kind")
NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")


@dataclass(frozen=True)
class Published:
    """One printed number; the attributes from `source` on are the columns of a file.

    Attributes:
        file: The file that holds it.
        line: The line there.
        source: The publication.
        table: The table in it, or the one that a sentence speaks about.
        method: What was evaluated; a variant of an ablation is written `E0 [bins=128]`.
        benchmark: The family of tasks; empty only for an average over several.
        suite: The part of the benchmark.
        task: The task.
        arm: Another division of the tasks.
        metric: `success` in percent, `progress` from 0 to 1, or either's difference.
        value: The number, exactly as printed.
        n: Episodes behind the number, where the source says how many.
        protocol: How the source evaluated.
        kind: A `cell`, or the printed `average` of the cells that agree with it on each of
            benchmark, suite, task and arm that it names.
        note: Anything odd.
    """

    file: str
    line: int
    source: str
    table: str
    method: str
    benchmark: str
    suite: str
    task: str
    arm: str
    metric: str
    value: str
    n: str
    protocol: str
    kind: str
    note: str

    @property
    def exact(self) -> Fraction:
        """The number."""
        return Fraction(self.value)

    @property
    def place(self) -> tuple[str, str, str, str]:
        """What was evaluated on."""
        return self.benchmark, self.suite, self.task, self.arm

    @property
    def measured(self) -> tuple[str, ...]:
        """What the number says, whichever table prints it."""
        return self.source, self.method, *self.place, self.metric, self.kind

    def covers(self, other: "Published") -> bool:
        """Return whether the other's place is the same, or within this one's."""
        return all(
            mine in ("", theirs) for mine, theirs in zip(self.place, other.place, strict=True)
        )


COLUMNS = tuple(f.name for f in fields(Published))[2:]


def read(folder: Path = REFERENCE) -> list[Published]:
    """Read every table of a folder.

    Raises:
        UsageError: A file is missing, unreadable or has a bad row; the message names file and line.
    """
    files = sorted(folder.glob("*.csv"))
    if not files:
        raise UsageError(f"{folder} holds no published tables (*.csv)")
    rows: list[Published] = []
    seen: dict[tuple[str, ...], Published] = {}
    for path in files:
        for row in _rows(path):
            twin = seen.setdefault((row.table, *row.measured), row)
            if twin is not row:
                raise UsageError(
                    f"{path}:{row.line}: the same number as {twin.file}:{twin.line}; "
                    f"a table prints one value for each method, place and metric"
                )
            rows.append(row)
    return rows


def load(folder: Path = REFERENCE) -> pd.DataFrame:
    """Return every published number, a row each: the files' columns, file, line and `number`.

    `value` is the text as printed and `number` the same as a float; `n` is missing where the source
    does not say.
    """
    rows = read(folder)
    names = [f.name for f in fields(Published)]
    frame = pd.DataFrame([[getattr(row, name) for name in names] for row in rows], columns=names)
    frame["number"] = frame["value"].astype(float)
    frame["n"] = pd.to_numeric(frame["n"], errors="coerce").astype("Int64")
    return frame


def published(
    benchmark: str, *, metric: str = "success", variants: bool = False, folder: Path = REFERENCE
) -> pd.DataFrame:
    """Return what was published about a benchmark, or about one suite of it.

    A number that a source prints in several tables comes once, with the most decimals; if the
    tables disagree, all come. Nothing published gives an empty frame.

    Args:
        benchmark: A name that the files use as benchmark or as suite.
        metric: What was measured.
        variants: Whether to include the variants of ablations.
        folder: Where the files are.
    """
    frame = load(folder)
    wanted = (frame["benchmark"] == benchmark) | (frame["suite"] == benchmark)
    wanted &= frame["metric"] == metric
    if not variants:
        wanted &= ~frame["method"].str.endswith("]")
    frame = frame[wanted]
    key = ["source", "method", "benchmark", "suite", "task", "arm", "kind"]
    kept = [
        index for _, group in frame.groupby(key, sort=False) for index in _distinct(group["value"])
    ]
    return frame.loc[sorted(kept)].reset_index(drop=True)


def _distinct(values: "pd.Series[str]") -> list[int]:
    """Return the places of the values that are not another one, rounded."""
    kept: dict[int, str] = {}
    for index in sorted(values.index, key=lambda i: -decimals(values[i])):
        if not any(same(values[index], value) for value in kept.values()):
            kept[index] = values[index]
    return list(kept)


def _rows(path: Path) -> Iterator[Published]:
    """Read one file."""
    # The csv module and not pandas, which guesses about a row with too few or too many fields.
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = next(reader, [])
            if tuple(header) != COLUMNS:
                raise UsageError(f"{path}:1: the columns must be {','.join(COLUMNS)}")
            for values in reader:
                yield _row(values, path, reader.line_num)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"cannot read {path}: {error}") from error


def _row(values: list[str], path: Path, line: int) -> Published:
    """Build one row, or say what is wrong with it."""
    where = f"{path}:{line}"
    if len(values) != len(COLUMNS):
        raise UsageError(f"{where}: {len(values)} fields, but there are {len(COLUMNS)} columns")
    for name, value in zip(COLUMNS, values, strict=True):
        if value != value.strip():
            raise UsageError(f"{where}: {name} {value!r} has spaces around it")
        if name in REQUIRED and not value:
            raise UsageError(f"{where}: {name} is empty")
    row = Published(path.name, line, *values)
    metric = row.metric.removesuffix(DIFFERENCE)
    try:
        require_known("metric", metric, RANGES)
        require_known("kind", row.kind, KINDS)
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from error
    if not NUMBER.fullmatch(row.value):
        raise UsageError(f"{where}: value {row.value!r} is not a plain number")
    if row.n and not (row.n.isascii() and row.n.isdigit() and int(row.n) > 0):
        raise UsageError(f"{where}: n {row.n!r} is not a number of episodes; leave it empty")
    if row.kind == "cell" and not row.benchmark:
        raise UsageError(f"{where}: a cell needs its benchmark")
    low, high = RANGES[metric]
    if row.metric != metric:
        if " - " not in row.method:
            raise UsageError(f"{where}: the method of a difference is written 'A - B'")
    elif not low <= row.exact <= high:
        raise UsageError(f"{where}: {metric} {row.value} is not between {low} and {high}")
    return row
