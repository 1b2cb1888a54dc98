"""Reading the published tables, and their audit."""

import csv
import shutil
from collections.abc import Sequence
from dataclasses import replace
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.cli.audit import AuditCommand
from harness.contracts.errors import UsageError
from harness.published.audit import Audit, Finding, audit
from harness.published.decimals import denominators, successes
from harness.published.reference import (
    COLUMNS,
    REFERENCE,
    PublishedNumber,
    published,
    published_frame,
    read_tables,
)

ROW = PublishedNumber(
    file="invented.csv",
    line=2,
    source="paper",
    table="Table 1",
    method="ours",
    benchmark="blocks",
    suite="",
    task="",
    arm="",
    metric="success",
    value="50.0",
    n="",
    protocol="invented",
    kind="cell",
    note="",
)
TASKS = ("pick", "place", "push", "stack")


def table(values: Sequence[str], average: str, **changes: str) -> list[PublishedNumber]:
    """Return one method's row of a table: a cell for each task, and their printed average."""
    base = replace(ROW, **changes)
    cells = [replace(base, task=t, value=v) for t, v in zip(TASKS, values, strict=True)]
    return [*cells, replace(base, kind="average", value=average, n="")]


@pytest.fixture(scope="module")
def rows() -> list[PublishedNumber]:
    return read_tables()


@pytest.fixture(scope="module")
def result(rows: list[PublishedNumber]) -> Audit:
    return audit(rows)


# The data


def test_every_file_is_read_and_values_stay_as_printed(rows: list[PublishedNumber]) -> None:
    frame = published_frame()
    assert len(frame) == len(rows)
    assert set(frame["file"]) == {path.name for path in REFERENCE.glob("*.csv")}
    assert {f"e0-table-{number:02}.csv" for number in range(1, 14)} <= set(frame["file"])
    printed = [
        line[COLUMNS.index("value")]
        for path in sorted(REFERENCE.glob("*.csv"))
        for line in list(csv.reader(path.open(encoding="utf-8")))[1:]
    ]
    assert list(frame["value"]) == printed
    assert {"100.0", "100", "0.7733", "+13.0", "0.0", "53.6", "20.83"} <= set(printed)


def test_the_e0_tables_are_complete(rows: list[PublishedNumber]) -> None:
    cells = {"average": 0, "cell": 0}
    counts: dict[str, dict[str, int]] = {}
    for row in rows:
        if row.file.startswith("e0-") and not row.metric.endswith("_difference"):
            counts.setdefault(row.table, dict(cells))[row.kind] += 1
    assert {name: tuple(count.values()) for name, count in counts.items()} == {
        "Table 1": (4, 104),
        "Table 2": (3, 24),
        "Table 3": (8, 16),
        "Table 4": (7, 28),
        "Table 5": (3, 12),
        "Table 6": (3, 12),
        "Table 7": (8, 32),
        "Table 8": (2, 8),
        "Table 9": (11, 44),
        "Table 10": (8, 40),
        "Table 11": (4, 20),
        "Table 12": (4, 20),
        "Table 13": (6, 100),
    }


def test_published_accepts_a_suite_or_a_benchmark() -> None:
    suite = published("libero_spatial")
    assert set(suite["suite"]) == {"libero_spatial"}
    ours = suite[(suite["method"] == "E0") & (suite["source"] == "e0-paper-v2")]
    assert list(ours["number"]) == [97.2]
    family = published("libero")
    assert {"libero_spatial", "libero_10", ""} <= set(family["suite"])
    assert not family["method"].str.contains("=").any()
    assert published("libero", variants=True)["method"].str.contains("bins=128").any()
    assert published("nobody_evaluated_this").empty


def test_published_keeps_the_most_decimals_and_every_disagreement() -> None:
    # Table 1 rounds what Table 11 prints.
    mahjong = published("vlabench").query("task == 'select_mahjong'")
    assert sorted(mahjong["value"]) == ["18.75", "20.83", "6.52", "6.98"]
    push = published("maniskill").query("task == 'PushCube' and method == 'OpenVLA'")
    assert sorted(push["value"]) == ["8", "8.0", "88.0"]
    assert published("vlabench", metric="progress")["number"].max() <= 1


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        ("value", "97,2", "value '97,2' is not a plain number"),
        ("value", "nan", "value 'nan' is not a plain number"),
        ("value", "", "value is empty"),
        ("value", "100.1", "success 100.1 is not between 0 and 100"),
        ("value", " 9.0", "value ' 9.0' has spaces around it"),
        ("metric", "succes", "unknown metric 'succes'; did you mean success?"),
        ("metric", "success_difference", "the method of a difference is written 'A - B'"),
        ("kind", "mean", "unknown kind 'mean'"),
        ("n", "many", "n 'many' is not a number of episodes"),
        ("n", "0", "n '0' is not a number of episodes"),
        ("benchmark", "", "a cell needs its benchmark"),
        ("protocol", "", "protocol is empty"),
    ],
)
def test_an_invalid_row_is_reported_with_its_line(
    tmp_path: Path, column: str, value: str, expected: str
) -> None:
    good = [getattr(ROW, name) for name in COLUMNS]
    bad = [value if name == column else getattr(ROW, name) for name in COLUMNS]
    bad[COLUMNS.index("task")] = "pick"
    write(tmp_path / "table.csv", [list(COLUMNS), good, bad])
    with pytest.raises(UsageError) as error:
        read_tables(tmp_path)
    assert str(error.value).startswith(f"{tmp_path / 'table.csv'}:3: ")
    assert expected in str(error.value)


def test_invalid_files_are_reported(tmp_path: Path) -> None:
    good = [getattr(ROW, name) for name in COLUMNS]
    with pytest.raises(UsageError, match="holds no published tables"):
        read_tables(tmp_path)
    write(tmp_path / "a.csv", [list(COLUMNS), good[:-1]])
    with pytest.raises(UsageError, match=r"a\.csv:2: 12 fields, but there are 13 columns"):
        read_tables(tmp_path)
    write(tmp_path / "a.csv", [list(COLUMNS)[:-1], good[:-1]])
    with pytest.raises(UsageError, match=r"a\.csv:1: the columns must be source,table,"):
        read_tables(tmp_path)
    write(tmp_path / "a.csv", [list(COLUMNS), good])
    write(tmp_path / "b.csv", [list(COLUMNS), good])
    with pytest.raises(UsageError, match=r"b\.csv:2: the same number as a\.csv:2"):
        read_tables(tmp_path)
    (tmp_path / "b.csv").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match=r"cannot read .*b\.csv"):
        read_tables(tmp_path)


def write(path: Path, lines: Sequence[Sequence[str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(lines)


# The audit of the published tables


def test_only_known_averages_and_differences_are_wrong(result: Audit) -> None:
    assert {(row.table, row.method, row.arm, row.task, row.value) for row in result.refuted} == {
        ("Table 1", "E0 - π0 FAST & π0 & π0.5", "", "", "10.7"),
        ("Table 2", "E0", "", "", "45.6"),
        ("Table 3", "E0 + view - E0", "", "", "+22.6"),
        ("Table 10", "Diffusion Policy", "", "", "30.2"),
        ("Table 10", "OpenVLA", "", "", "4.8"),
        ("Table 10", "RDT", "", "", "53.6"),
        ("Table 12", "π0.5", "", "", "0.4577"),
        ("Table 13", "E0 - π0", "dual", "pick_dual_bottles", "-7.0"),
        ("Table 13", "E0", "dual", "", "39.9"),
        ("Table 13", "E0 - π0", "dual", "", "+1.3"),
        ("ManiSkill", "RDT", "", "", "53.6"),
        ("ManiSkill", "Diffusion Policy", "", "", "30.2"),
    }
    assert len(result.confirmed) == 134
    # Averages without printed cells: from the text of v2, leaderboards and abstracts.
    assert {row.source for row in result.unchecked} == {
        "e0-paper-v2",
        "openvla-oft-repository",
        "robotwin-leaderboard",
        "dvla-rl-paper",
    }
    assert {row.table for row in result.unchecked if row.source == "e0-paper-v2"} == {"Table 3"}


CONTRADICTIONS = [
    ("Table 1", "E0 - π0 FAST & π0 & π0.5", "9.531", "π0 FAST 8.56, π0 9.36, π0.5 10.68"),
    ("Table 1", "OpenVLA: cell of PushCube", "8", "Table 10 prints 8.0; rdt-readme"),
    ("Table 1", "OpenVLA: cell of StackCube", "8", "rdt-readme, ManiSkill has 8"),
    ("Table 2", "E0: average of franka_real", "48.125", "cells sum to 385"),
    ("Table 3", "E0 + view - E0", "17.45", "does not match the printed averages: 83.9 - 66.5"),
    ("Table 10", "Diffusion Policy: average", "41.6", "rdt-readme, ManiSkill prints the same"),
    ("Table 10", "RDT: average", "53.12", "rdt-readme, ManiSkill prints the same"),
    ("Table 10", "OpenVLA: average", "19.2", "correct if StackCube were 8 (rdt-readme"),
    ("Table 12", "π0.5: average of vlabench", "0.36612", "5 cells divided by 4"),
    ("Table 13", "cell of pick_dual_bottles", "-10", "correct if E0 were 45"),
    ("Table 13", "E0: average of robotwin (dual)", "39.783", "pick_dual_bottles (dual) were 45"),
    ("Table 13", "E0 - π0: average of robotwin (dual)", "1.174", "matches the printed averages"),
    ("Table 1", "24 of 54 values with n = 500", "no k/500", "cited or reproduced"),
]
CAUTIONS = [
    ("Table 1", "π0: row on libero", "4 equal", "described as retrained"),
    ("Table 1", "π0 FAST: row on libero", "4 equal", "described as retrained"),
    ("Table 1", "Discrete Diffusion VLA: row on libero", "3 equal", "E0 in e0-paper-v2"),
    ("Table 1", "E0: average of all benchmarks", "63.103", "libero 4, vlabench 5"),
    ("Table 7", "E0 [horizon=20]: best row", "90.8/95.8/84.4/66.2", "mean 76.25 instead of 84.30"),
    ("Table 9", "E0: best row", "90.8/95.8/84.4/66.2", "Table 4, Table 5, Table 6, Table 8"),
    (
        "Table 10",
        "E0 ahead of π0 FAST, π0.5: maniskill",
        "+10.4 [-2.0, 22.3], +12.0 [-0.4, 23.9]",
        "E0 69/125 [46.5, 63.6], π0 FAST 56/125 [36.4, 53.5], π0.5 54/125 [34.8, 52.0]; "
        "significant against the next, π0 53/125 [34.1, 51.2]; 25 episodes per cell (inferred)",
    ),
    ("Table 1", "E0: best in PegInsertionSide", "6/25 [11.5, 43.4]", "next best (RDT 13.2)"),
    (
        "Table 2",
        "π0: best in Close, Open & Put",
        "9/20 [25.8, 65.8], 11/20 [34.2, 74.2]",
        "E0 40.0",
    ),
    ("Table 11", "column select_mahjong", "3/43, 5/24, 3/46, 3/16", "denominators differ"),
]


@pytest.mark.parametrize(
    ("kind", "table", "what", "recomputed", "why"),
    [("contradictions", *expected) for expected in CONTRADICTIONS]
    + [("cautions", *expected) for expected in CAUTIONS],
)
def test_known_problems_are_found(
    result: Audit, kind: str, table: str, what: str, recomputed: str, why: str
) -> None:
    found = [f for f in getattr(result, kind) if f.row.table == table and what in f.what]
    assert [f.recomputed for f in found] == [recomputed]
    assert why in found[0].why


def test_correcting_the_data_removes_the_findings(tmp_path: Path) -> None:
    shutil.copytree(REFERENCE, tmp_path, dirs_exist_ok=True)
    change(tmp_path / "e0-table-13.csv", "E0,robotwin,,pick_dual_bottles,dual,success,42.0", "45.0")
    change(tmp_path / "e0-table-10.csv", "OpenVLA,maniskill,,StackCube,,success,80.0", "8.0")
    left = audit(read_tables(tmp_path)).contradictions
    assert not [f for f in left if f.row.table == "Table 13"]
    assert not [f for f in left if f.row.table == "Table 10" and f.row.method == "OpenVLA"]
    # Now two tables of the paper print different values for the cell.
    assert any(f.what == "OpenVLA: cell of StackCube" for f in left)


def change(path: Path, old: str, value: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, f"{old.rpartition(',')[0]},{value}"), encoding="utf-8")


def test_the_command_prints_both_tables(capsys: pytest.CaptureFixture[str]) -> None:
    assert AuditCommand()() == 0
    printed = capsys.readouterr().out
    assert "134 agree with their parts, 12 do not, and 19 have no printed parts" in printed
    assert "| source" in printed
    assert "| e0-paper-v2     | Table 2" in printed
    with pytest.raises(UsageError, match="holds no published tables"):
        AuditCommand(reference=Path("nowhere"))()


# The audit of invented tables

decimal = st.decimals(0, 100, places=2, allow_nan=False)
no_deadline = settings(deadline=None)
"""A slow example on a busy machine must not fail the test."""


@no_deadline
@given(
    st.lists(decimal, min_size=4, max_size=4),
    st.integers(0, 4),
    st.sampled_from([ROUND_HALF_UP, ROUND_HALF_EVEN]),
    st.integers(1, 300),
)
def test_wrong_averages_are_reported_and_correct_ones_are_not(
    values: list[Decimal], places: int, rounding: str, off: int
) -> None:
    unit = Decimal(1).scaleb(-places)
    exact = sum(values, Decimal(0)) / 4
    right = exact.quantize(unit, rounding)
    texts = [str(value) for value in values]
    good = audit(table(texts, str(right)))
    assert (len(good.confirmed), good.refuted, averages(good.contradictions)) == (1, (), [])
    for wrong in (right + off * unit, right - off * unit):
        halfway = abs(wrong - exact) == unit / 2
        if 0 <= wrong <= 100 and not halfway:
            bad = audit(table(texts, str(wrong)))
            assert [f.printed for f in averages(bad.contradictions)] == [str(wrong)]
            assert len(bad.refuted) == 1


@no_deadline
@given(st.lists(decimal, min_size=8, max_size=8), st.integers(-300, 300))
def test_differences_are_checked_against_both_methods(values: list[Decimal], off: int) -> None:
    ours, theirs = values[:4], values[4:]
    exact = (sum(ours) - sum(theirs)) / 4
    printed = exact.quantize(Decimal("0.01"), ROUND_HALF_UP) + off * Decimal("0.01")
    rows = [
        *table([str(v) for v in ours], "0")[:-1],
        *table([str(v) for v in theirs], "0", method="theirs")[:-1],
        replace(
            ROW,
            kind="average",
            method="ours - theirs",
            metric="success_difference",
            value=f"{printed:+}",
        ),
    ]
    found = averages(audit(rows).contradictions)
    distance = abs(printed - exact)
    if distance < Decimal("0.005"):
        assert not found
    elif distance > Decimal("0.005"):
        assert [f.printed for f in found] == [f"{printed:+}"]


def averages(findings: Sequence[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.row.kind == "average"]


@no_deadline
@given(st.integers(1, 500), st.data())
def test_every_count_is_recovered_from_its_percentage(n: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(0, n))
    places = data.draw(st.integers(1, 3))
    exact = Decimal(100 * count) / n
    text = str(exact.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP))
    found = successes(text, n)
    assert found is not None
    assert abs(Decimal(100 * found) / n - Decimal(text)) <= Decimal(1).scaleb(-places) / 2
    assert n in denominators(text, 500)


def test_a_mean_halfway_between_two_values_may_be_printed_as_either() -> None:
    cells = ["74.4", "85.2", "77.4", "28.8"]  # the mean is 66.45
    for average, right in (("66.5", True), ("66.4", True), ("66.6", False), ("66.3", False)):
        assert bool(audit(table(cells, average)).confirmed) is right


def test_an_average_covers_the_cells_in_its_scope() -> None:
    single = table(["10.0", "20.0", "30.0", "40.0"], "25.0", arm="single")
    dual = table(["50.0", "60.0", "70.0", "80.0"], "65.0", arm="dual")
    every = replace(ROW, kind="average", value="45.0")
    assert len(audit([*single, *dual, every]).confirmed) == 3
    assert audit([*single, *dual, replace(every, value="25.0")]).refuted[0].arm == ""


def test_copies_are_reported_and_independent_results_are_not() -> None:
    theirs = table(["12.0", "34.5", "56.1", "78.9"], "45.4", source="original")
    cited = table(["12.0", "34.5", "56.1", "78.9"], "45.4")
    assert not audit([*theirs, *cited]).cautions
    retrained = [replace(row, protocol="all retrained") for row in cited]
    assert [f.recomputed for f in audit([*theirs, *retrained]).cautions] == ["4 equal"]
    mistyped = table(["12.0", "34.5", "65.1", "78.9"], "47.6")
    assert [f.what for f in audit([*theirs, *mistyped]).contradictions if f.row.kind == "cell"] == [
        "ours: cell of push"
    ]
    different = table(["13.0", "35.5", "57.1", "78.9"], "46.1")
    assert not audit([*theirs, *different]).contradictions


def test_a_lead_is_tested_with_its_number_of_episodes() -> None:
    behind = table(["40.0", "40.0", "40.0", "40.0"], "40.0", method="theirs", n="20")
    ahead = table(["50.0", "50.0", "50.0", "50.0"], "50.0", n="20")
    found = audit([*behind, *ahead]).cautions
    assert [f.what for f in found] == [
        "ours ahead of theirs: blocks",
        "ours: best in pick, place, push, stack",
    ]
    assert "40/80" in found[0].why
    assert "10/20 [29.9, 70.1]" in found[1].recomputed
    assert not audit([replace(row, n="500") for row in (*behind, *ahead)]).cautions


def test_a_stated_number_of_episodes_is_used() -> None:
    found = audit(table(["50.0", "33.3", "25.0", "75.0"], "45.8", n="20")).contradictions
    assert [(f.what, f.printed) for f in found] == [("1 of 4 values with n = 20", "33.3")]
