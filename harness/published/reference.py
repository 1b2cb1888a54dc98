"""Reads the published tables, to compare a run with the numbers that papers print.

Every value stays the text that the source prints, including its mistakes. `harness.published.audit`
finds those.
"""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass, fields
from fractions import Fraction
from pathlib import Path

import pandas as pd

from harness.contracts.errors import UsageError, require_known
from harness.published.decimals import decimals, same_number

REFERENCE = Path(__file__).parent / "tables"
DIFFERENCE = "_difference"
"""Suffix of the metric of a printed difference. Its method is written `A - B` or `A - B & C`."""
_RANGES = {"success": (0, 100), "progress": (0, 1)}
_KINDS = ("cell", "average")
_REQUIRED = ("source", "table", "method", "metric", "value", "protocol", "kind")
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")


@dataclass(frozen=True)
class PublishedNumber:
    """One printed number. The attributes from `source` on are the columns of a file.

    Attributes:
        file: The file of the number.
        line: Its line in the file.
        source: The publication.
        table: The table in the publication, also if a sentence quotes it.
        method: The evaluated policy; a variant of an ablation is written `E0 [bins=128]`.
        benchmark: The benchmark; empty only for an average over several.
        suite: The suite of the benchmark.
        task: The task.
        arm: RoboTwin's `single` or `dual`.
        metric: `success` in percent, `progress` from 0 to 1, or a difference of either.
        value: The number, exactly as printed.
        n: Episodes behind the number, if the source states them.
        protocol: How the source evaluated.
        kind: `cell` or `average`. An average is the mean of all cells in its scope.
        note: Remarks.
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
        """The printed value, without rounding errors."""
        return Fraction(self.value)

    @property
    def scope(self) -> tuple[str, str, str, str]:
        """Benchmark, suite, task and arm. An empty field stands for all of them."""
        return self.benchmark, self.suite, self.task, self.arm

    @property
    def quantity(self) -> tuple[str, ...]:
        """The fields that identify the number; several tables may print it."""
        return self.source, self.method, *self.scope, self.metric, self.kind

    def covers(self, other: "PublishedNumber") -> bool:
        """Return whether the other's scope is equal to this one's or inside it."""
        return all(
            mine in ("", theirs) for mine, theirs in zip(self.scope, other.scope, strict=True)
        )


COLUMNS = tuple(f.name for f in fields(PublishedNumber))[2:]


def read_tables(folder: Path = REFERENCE) -> list[PublishedNumber]:
    """Read every table of a folder.

    Raises:
        UsageError: A file is missing, unreadable or has an invalid row. The message names file and
            line.
    """
    files = sorted(folder.glob("*.csv"))
    if not files:
        raise UsageError(f"{folder} holds no published tables (*.csv)")
    rows: list[PublishedNumber] = []
    seen: dict[tuple[str, ...], PublishedNumber] = {}
    for path in files:
        for row in _rows(path):
            twin = seen.setdefault((row.table, *row.quantity), row)
            if twin is not row:
                raise UsageError(
                    f"{path}:{row.line}: the same number as {twin.file}:{twin.line}; "
                    f"a table prints one value for each method, scope and metric"
                )
            rows.append(row)
    return rows


def published_frame(folder: Path = REFERENCE) -> pd.DataFrame:
    """Return every published number as a row, with the columns of the files, file, line and number.

    `value` is the printed text and `number` is its float. `n` is missing if the source does not
    state it.
    """
    rows = read_tables(folder)
    names = [f.name for f in fields(PublishedNumber)]
    frame = pd.DataFrame([[getattr(row, name) for name in names] for row in rows], columns=names)
    frame["number"] = frame["value"].astype(float)
    frame["n"] = pd.to_numeric(frame["n"], errors="coerce").astype("Int64")
    return frame


def published(
    benchmark: str, *, metric: str = "success", variants: bool = False, folder: Path = REFERENCE
) -> pd.DataFrame:
    """Return the published numbers of a benchmark or a suite; empty if there are none.

    If a source prints a number in several tables, the frame has the one with the most decimals. If
    the tables disagree, it has each of them.

    Args:
        benchmark: The name of a benchmark or suite, as in the files.
        metric: `success` or `progress`.
        variants: Whether to include the variants of ablations.
        folder: The folder of the files.
    """
    frame = published_frame(folder)
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
    """Return the indices of the values, without those that are another value rounded."""
    kept: dict[int, str] = {}
    for index in sorted(values.index, key=lambda i: -decimals(values[i])):
        if not any(same_number(values[index], value) for value in kept.values()):
            kept[index] = values[index]
    return list(kept)


def _rows(path: Path) -> Iterator[PublishedNumber]:
    """Read one file."""
    # The csv module, because pandas accepts rows with too few or too many fields.
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


def _row(values: list[str], path: Path, line: int) -> PublishedNumber:
    """Build one row, or raise an error with its file and line."""
    where = f"{path}:{line}"
    if len(values) != len(COLUMNS):
        raise UsageError(f"{where}: {len(values)} fields, but there are {len(COLUMNS)} columns")
    for name, value in zip(COLUMNS, values, strict=True):
        if value != value.strip():
            raise UsageError(f"{where}: {name} {value!r} has spaces around it")
        if name in _REQUIRED and not value:
            raise UsageError(f"{where}: {name} is empty")
    row = PublishedNumber(path.name, line, *values)
    metric = row.metric.removesuffix(DIFFERENCE)
    try:
        require_known("metric", metric, _RANGES)
        require_known("kind", row.kind, _KINDS)
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from error
    if not _NUMBER.fullmatch(row.value):
        raise UsageError(f"{where}: value {row.value!r} is not a plain number")
    if row.n and not (row.n.isascii() and row.n.isdigit() and int(row.n) > 0):
        raise UsageError(f"{where}: n {row.n!r} is not a number of episodes; leave it empty")
    if row.kind == "cell" and not row.benchmark:
        raise UsageError(f"{where}: a cell needs its benchmark")
    low, high = _RANGES[metric]
    if row.metric != metric:
        if " - " not in row.method:
            raise UsageError(f"{where}: the method of a difference is written 'A - B'")
    elif not low <= row.exact <= high:
        raise UsageError(f"{where}: {metric} {row.value} is not between {low} and {high}")
    return row
