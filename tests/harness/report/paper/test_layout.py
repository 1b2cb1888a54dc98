"""Layouts: which numbers go where, which are bold, and which layouts are refused."""

import csv
import io
import math
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.contracts.errors import UsageError
from harness.published.decimals import same_number
from harness.published.reference import DIFFERENCE, read_tables
from harness.report.paper.best import Sample, best_policies
from harness.report.paper.cells import Grid, TableCell
from harness.report.paper.formats import grid_csv, grid_markdown
from harness.report.paper.grid import make_grid
from harness.report.paper.latex import latex
from harness.report.paper.layout import TableLayout, layout_names, load_layout, matches
from harness.report.paper.notes import POOLED
from harness.report.summary import Summary
from tests.helpers.runs import Scores, summary_of, write_run

PLACES = """
title: Two suites
places:
  - {label: One, group: Both, ours: fam_one}
  - {label: Two, group: Both, ours: fam_two/t2}
  - {label: Mean, mean: [Both]}
"""
SUITES = {"fam_one": ["t0", "t1"], "fam_two": ["t2"]}


def layout_of(tmp_path: Path, text: str, name: str = "mine.yaml") -> TableLayout:
    (tmp_path / name).write_text(text)
    return load_layout(str(tmp_path / name))


def by_rate(rates: dict[str, float], episodes: int = 10) -> Scores:
    """Succeed in the first episodes, as many as the policy's rate says; else progress 0.25."""
    return lambda policy, task, episode: 1.0 if episode < rates[policy] * episodes else 0.25


def made(tmp_path: Path, scores: Scores, policies: list[str], **options: Any) -> Summary:
    return summary_of(write_run(tmp_path / "run", policies, SUITES, scores, **options))


def cell(grid: Grid, policy: str, place: str) -> TableCell | None:
    row = [head.label for head in grid.rows].index(policy)
    column = [head.label for head in grid.columns].index(place)
    return grid.cells[row][column]


def ours(grid: Grid, policy: str, place: str) -> TableCell:
    found = cell(grid, policy, place)
    assert found is not None
    return found


def bold(grid: Grid, place: str) -> set[str]:
    return {head.label for head in grid.rows if (c := cell(grid, head.label, place)) and c.bold}


def notes(grid: Grid) -> str:
    return "\n".join(f"{mark} {text}" for mark, text in grid.notes)


def test_each_number_is_in_its_cell(tmp_path: Path) -> None:
    def scores(policy: str, task: str, episode: int) -> float:
        return 1.0 if episode < {"t0": 2, "t1": 4, "t2": 9}[task] else 0.0

    summary = made(tmp_path, scores, ["a"])
    grid = make_grid(summary, layout_of(tmp_path, PLACES))
    one, two, mean = (ours(grid, "a", place) for place in ("One", "Two", "Mean"))
    suite = summary.level("suite").iloc[0]
    assert (one.estimate, one.low, one.high) == pytest.approx(
        (suite["success"], suite["success_low"], suite["success_high"])
    )
    assert (one.estimate, two.estimate, mean.estimate) == pytest.approx((0.3, 0.9, 0.5))
    assert (one.n, two.n, mean.n) == (20, 10, 30)
    assert one.protocol == mean.protocol == "fam/card@1"
    # The three tasks are all that this family has, so its own mean is the same.
    family = summary.level("benchmark").iloc[0]
    assert (mean.low, mean.high) == pytest.approx((family["success_low"], family["success_high"]))
    assert [head.group for head in grid.columns] == ["Both", "Both", ""]
    assert "n = 20 (One); 10 (Two); 30 (Mean); seed 7." in notes(grid)
    assert not any(c.bold for row in grid.cells for c in row if c), "a single row is never bold"


def test_a_mean_over_places_is_the_mean_of_the_cells(tmp_path: Path) -> None:
    def scores(policy: str, task: str, episode: int) -> float | None:
        if (task, episode) == ("t0", 0):
            return None
        return 1.0 if episode < {"t0": 3, "t1": 9, "t2": 1}[task] else 0.0

    summary = made(tmp_path, scores, ["a"])
    grid = make_grid(summary, layout_of(tmp_path, PLACES.replace("[Both]", "all, weigh: places")))
    one, two, mean = (ours(grid, "a", place) for place in ("One", "Two", "Mean"))
    assert mean.estimate == pytest.approx((one.estimate + two.estimate) / 2)
    assert mean.low < mean.estimate < mean.high
    assert (one.n, one.errors, one.mark) == (19, 1, "*")
    assert two.mark == ""
    assert "* Incomplete" in notes(grid)


def test_a_missing_number_is_a_dash(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", ["a"], {"fam_two": ["t2"]}, by_rate({"a": 0.5}))
    summary = summary_of(run)
    grid = make_grid(summary, layout_of(tmp_path, PLACES))
    assert cell(grid, "a", "One") is None
    assert cell(grid, "a", "Mean") is None, "a mean needs all of its places"
    assert re.search(r"\| a +\| - +\| 50\.0 \[", grid_markdown(grid))


def test_progress_and_places_in_rows(tmp_path: Path) -> None:
    summary = made(tmp_path, by_rate({"a": 0.6, "b": 0.2}), ["a", "b"])
    grid = make_grid(summary, layout_of(tmp_path, PLACES + "metric: progress\nrows: places\n"))
    assert [head.label for head in grid.rows] == ["One", "Two", "Mean"]
    assert [head.label for head in grid.columns] == ["a", "b"]
    assert ours(grid, "One", "a").estimate == pytest.approx(0.6 + 0.4 * 0.25)


def test_bold_is_the_best_and_all_not_significantly_worse(tmp_path: Path) -> None:
    rates = {"good": 27 / 30, "similar": 26 / 30, "poor": 0.1}
    summary = made(tmp_path, by_rate(rates, 30), list(rates), episodes=30)
    grid = make_grid(summary, layout_of(tmp_path, PLACES))
    assert bold(grid, "One") == bold(grid, "Two") == bold(grid, "Mean") == {"good", "similar"}
    assert "exact McNemar on the same scenes" in notes(grid)
    score = make_grid(summary, layout_of(tmp_path, PLACES + "metric: progress\n"))
    assert bold(score, "Two") == {"good", "similar"}
    assert "paired permutation on the same scenes" in notes(score)


def test_nothing_is_bold_where_no_policy_is_worse(tmp_path: Path) -> None:
    # Three episodes cannot show a difference, not even between 100 and 0 %.
    rates = {"good": 1.0, "poor": 0.0}
    few = write_run(
        tmp_path / "few", list(rates), {"fam_two": ["t2"]}, by_rate(rates, 3), "fam/c@1", 3
    )
    layout = layout_of(tmp_path, PLACES)
    grid = make_grid(summary_of(few), layout)
    assert bold(grid, "Two") == set()
    assert "No bold in Two: with so few episodes, no difference can be significant." in notes(grid)
    rates = {"good": 0.9, "similar": 0.8}
    equal = write_run(tmp_path / "equal", list(rates), {"fam_two": ["t2"]}, by_rate(rates))
    grid = make_grid(summary_of(equal), layout)
    assert bold(grid, "Two") == set()
    assert "No bold in Two: no policy is significantly worse than the best." in notes(grid)
    assert "\\textbf" not in latex(grid)
    assert "Bold:" not in notes(grid), "there is none to explain"
    assert "Test: exact McNemar on the same scenes (p < 0.05, Holm-corrected)." in notes(grid)


@pytest.mark.parametrize("metric", ["success", "progress"])
@pytest.mark.parametrize(
    ("episodes", "policies", "possible"), [(5, 2, False), (6, 2, True), (6, 3, False), (7, 3, True)]
)
def test_a_difference_is_possible_from_some_number_of_pairs(
    metric: str, episodes: int, policies: int, possible: bool
) -> None:
    # The smallest p of the paired test is 2 / 2**n; Holm multiplies it by the number of pairs.
    assert (math.comb(policies, 2) * 2 / 2**episodes <= 0.05) is possible
    scenes, tasks = np.arange(episodes).astype(np.uint64), np.zeros(episodes, np.intp)
    equal = [Sample(scenes, tasks, np.full(episodes, 1.0)) for _ in range(policies)]
    best = best_policies(equal, np.ones(1), metric == "success")
    assert (best.members, best.possible) == (frozenset(), possible)


def test_several_seeds_in_a_row_are_marked(tmp_path: Path) -> None:
    rates = {"a": 0.9, "b": 0.1}
    runs = [
        write_run(tmp_path / "1", ["a", "b"], SUITES, by_rate(rates)),
        write_run(tmp_path / "2", ["a"], SUITES, by_rate(rates), seed=8),
    ]
    grid = make_grid(summary_of(*runs), layout_of(tmp_path, PLACES))
    assert {row.label: row.mark for row in grid.rows} == {"a": POOLED, "b": ""}
    assert (POOLED, "Several seeds in one row; a: 7, 8.") in grid.notes
    assert f"| a<sup>{POOLED}</sup> " in grid_markdown(grid)
    (apart,) = (make_grid(summary_of(runs[0]), layout_of(tmp_path, PLACES)),)
    assert not any(row.mark for row in apart.rows)


def test_fast_batches_are_said_under_the_table(tmp_path: Path) -> None:
    summary = made(tmp_path, by_rate({"a": 0.5}), ["a"], batching="fast")
    grid = make_grid(summary, layout_of(tmp_path, PLACES))
    assert "30 of 30 episodes ran with fast batching" in notes(grid)
    assert "fast batching" in latex(grid)


def test_different_scenes_are_compared_unpaired(tmp_path: Path) -> None:
    rates = {"good": 0.9, "poor": 0.1}
    runs = [
        write_run(tmp_path / name, [name], SUITES, by_rate(rates, 20), seed=seed, episodes=20)
        for seed, name in enumerate(rates)
    ]
    grid = make_grid(summary_of(*runs), layout_of(tmp_path, PLACES))
    assert bold(grid, "One") == {"good"}
    assert "Boschloo on different scenes" in notes(grid)
    assert "seeds 0, 1." in notes(grid)


def test_an_error_does_not_end_the_pairing(tmp_path: Path) -> None:
    def scores(policy: str, task: str, episode: int) -> float | None:
        lost = policy == "a" and episode == 3
        return None if lost else float(episode < {"a": 18, "b": 5}[policy])

    grid = make_grid(made(tmp_path, scores, ["a", "b"], episodes=20), layout_of(tmp_path, PLACES))
    assert "McNemar on the same scenes" in notes(grid)
    assert bold(grid, "Two") == {"a"}


def test_different_protocols_are_marked_and_not_compared(tmp_path: Path) -> None:
    rates = {"a": 0.9, "b": 0.1, "c": 0.5}
    runs = [
        write_run(tmp_path / "1", ["a", "b"], SUITES, by_rate(rates), "fam/card@1"),
        write_run(tmp_path / "2", ["c"], {"fam_one": SUITES["fam_one"]}, by_rate(rates), "fam/x@2"),
    ]
    grid = make_grid(summary_of(*runs), layout_of(tmp_path, PLACES))
    marks = {policy: ours(grid, policy, "One").mark for policy in rates}
    assert marks == {"a": "a", "b": "a", "c": "b"}
    assert "a Protocol fam/card@1." in notes(grid)
    assert "b Protocol fam/x@2." in notes(grid)
    assert bold(grid, "One") == set()
    assert "No bold in One: protocols or tasks differ" in notes(grid)
    # Policies with the same protocol are compared, and its letter still marks it.
    assert bold(grid, "Mean") == {"a"}
    assert ours(grid, "a", "Two").mark == "a"


def test_a_policy_under_two_protocols_has_two_rows(tmp_path: Path) -> None:
    runs = [
        write_run(tmp_path / label[-1], ["a"], SUITES, by_rate({"a": rate}), label)
        for label, rate in (("fam/card@1", 0.9), ("fam/x@2", 0.1))
    ]
    grid = make_grid(summary_of(*runs), layout_of(tmp_path, PLACES))
    assert [head.label for head in grid.rows] == ["a", "a"]
    means = [row[2] for row in grid.cells]
    assert [(c.estimate, c.protocol, c.mark) for c in means if c] == [
        (pytest.approx(0.9), "fam/card@1", "a"),
        (pytest.approx(0.1), "fam/x@2", "b"),
    ]


def test_suites_with_different_protocols_share_a_row(tmp_path: Path) -> None:
    rates = {"a": 0.9, "b": 0.1}
    runs = [
        write_run(tmp_path / suite, ["a", "b"], {suite: tasks}, by_rate(rates), f"fam/{suite}@1")
        for suite, tasks in SUITES.items()
    ]
    grid = make_grid(summary_of(*runs), layout_of(tmp_path, PLACES))
    assert [head.label for head in grid.rows] == ["a", "b"]
    assert [ours(grid, "a", p).mark for p in ("One", "Two", "Mean")] == ["a", "b", "a,b"]
    assert all(bold(grid, place) == {"a"} for place in ("One", "Two", "Mean"))


def test_different_tasks_of_a_suite_are_marked(tmp_path: Path) -> None:
    rates = {"a": 0.9, "b": 0.1}
    runs = [
        write_run(tmp_path / "1", ["a"], SUITES, by_rate(rates)),
        write_run(tmp_path / "2", ["b"], {"fam_one": ["t0"]}, by_rate(rates)),
    ]
    grid = make_grid(summary_of(*runs), layout_of(tmp_path, PLACES))
    assert (ours(grid, "a", "One").mark, ours(grid, "b", "One").mark) == ("a", "b")
    assert "a Protocol fam/card@1, on t0, t1." in notes(grid)
    assert ours(grid, "a", "Two").mark == ""
    assert "Protocol: fam/card@1." in notes(grid)


def test_the_test_uses_the_weights_of_the_mean() -> None:
    # A wins on the heaviest task and loses on another.
    scenes, tasks = list(range(100)), [0] * 20 + [1] * 20 + [2] * 20 + [3] * 20 + [4] * 20
    a = [1.0] * 20 + [0.0] * 20 + [1.0] * 60
    b = [0.0] * 20 + [1.0] * 80
    samples = [Sample(np.array(scenes, np.uint64), np.array(tasks), np.array(v)) for v in (a, b)]
    even = best_policies(samples, np.full(5, 0.2), success=True)
    assert (even.members, even.possible) == (frozenset(), True)
    heavy = best_policies(samples, np.array([0.8, 0.05, 0.05, 0.05, 0.05]), success=True)
    assert heavy.members == {0}


def test_ten_policies_on_different_scenes_are_compared_quickly() -> None:
    random_numbers = np.random.default_rng(0)
    samples = [
        Sample(
            np.arange(1000 * k, 1000 * k + 500).astype(np.uint64),
            np.zeros(500, np.intp),
            random_numbers.integers(0, 5, 500) / 4 * (0.5 if k == 9 else 1.0),
        )
        for k in range(10)
    ]
    assert 9 not in best_policies(samples, np.ones(1), success=False).members


def test_a_pattern_selects_variants(tmp_path: Path) -> None:
    text = PLACES + (
        "head: bins\n"
        "policies:\n"
        '  - {label: "128", ours: "*[bins=128]"}\n'
        '  - {label: "64", ours: "*[bins=64]"}\n'
    )
    names = ["x@1[bins=64]", "x@1[bins=128]", "other"]
    summary = made(tmp_path, by_rate(dict.fromkeys(names, 0.5)), names)
    grid = make_grid(summary, layout_of(tmp_path, text))
    assert [(h.label, h.name) for h in grid.rows] == [("128", names[1]), ("64", names[0])]
    assert grid.head == "bins"
    assert matches("a[1]*", "a[1] b")
    assert not matches("a[1]*", "a1")


def test_a_pattern_must_name_the_ablation() -> None:
    assert matches("flow@*", "flow@12ab")
    assert matches("flow@* (no-image)", "flow@12ab (no-image)")
    assert not matches("flow@*", "flow@12ab (no-image)")
    assert not matches("flow@* (no-image)", "flow@12ab")


def test_an_ablation_has_its_own_row(tmp_path: Path) -> None:
    rates = {"flow@1": 0.9, "flow@1 (no-image)": 0.1}
    text = PLACES + (
        "policies:\n"
        "  - {label: flow, ours: 'flow@*'}\n"
        "  - {label: blind, ours: 'flow@* (no-image)'}\n"
    )
    run = write_run(tmp_path / "run", ["flow@1"], SUITES, by_rate(rates), ablations=["no-image"])
    grid = make_grid(summary_of(run), layout_of(tmp_path, text))
    assert [(row.label, row.name) for row in grid.rows] == [
        ("flow", "flow@1"),
        ("blind", "flow@1 (no-image)"),
    ]
    assert [ours(grid, row, "One").estimate for row in ("flow", "blind")] == pytest.approx(
        [0.9, 0.1]
    )
    assert "McNemar on the same scenes" in notes(grid)


def test_published_numbers_do_not_change_ours(tmp_path: Path) -> None:
    suites = {"libero_spatial": ["s"], "libero_object": ["o"], "libero_goal": ["g"]}
    rates = {"good": 0.9, "poor": 0.1}
    run = write_run(tmp_path / "run", list(rates), suites, by_rate(rates))
    layout = load_layout("e0-table-09")
    without = make_grid(summary_of(run), layout)
    grid = make_grid(summary_of(run), layout, reference=True)
    assert [head.published for head in without.rows] == [False, False]
    assert grid.rows[:2] == without.rows
    assert grid.cells[:2] == without.cells
    published = [head.label for head in grid.rows if head.published]
    assert published[:2] == ["Diffusion Policy", "MDT"]
    # Two sources print different numbers, so each has a row.
    assert published.count("π0.5") == 2
    assert published.count("Dita") == 1
    assert not any(c.bold for row in grid.cells[2:] for c in row if c)
    assert ours(grid, "MDT", "Spatial").text == "78.5"
    assert "e0-paper-v2, Table 9. E0 paper: " in notes(grid)
    marks = {mark for mark, _ in grid.notes}
    used = [head.mark for head in grid.rows] + [c.mark for row in grid.cells for c in row if c]
    assert {m for mark in used if mark for m in mark.split(",")} <= marks


def test_contradictory_published_numbers_are_marked(tmp_path: Path) -> None:
    grid = make_grid(nothing(tmp_path), load_layout("e0-table-01"), reference=True)
    odd = ours(grid, "OpenVLA", "Push")
    assert odd.text == "88.0"
    mark = odd.mark.split(",")[-1]
    assert (mark, "e0-paper-v2, Table 10 has: Push 8.0.") in grid.notes


def nothing(tmp_path: Path) -> Summary:
    """Return a run that has no place of the installed layouts."""
    return made(tmp_path, by_rate({"a": 0.5}), ["a"])


def printed(layout: TableLayout) -> Iterator[tuple[str, str, str]]:
    """Yield method, place label and value of each number in a layout's first source."""
    first = layout.sources[0]
    differences = {difference.published for difference in layout.differences}
    for number in read_tables():
        difference = number.metric == layout.metric + DIFFERENCE and number.method in differences
        if (number.source, number.table) != (first.source, first.table):
            continue
        if number.metric != layout.metric and not difference:
            continue
        for place in layout.places:
            if place.published == number.scope:
                yield number.method, place.label, number.value


@pytest.mark.parametrize("name", layout_names())
def test_installed_layouts_print_every_number_of_the_paper(name: str, tmp_path: Path) -> None:
    layout = load_layout(name)
    grid = make_grid(nothing(tmp_path), layout, reference=True)
    rows = list(csv.DictReader(io.StringIO(grid_csv(grid))))
    shown: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        shown.setdefault((row["policy"], row["place"]), []).append(row["printed"])
    expected = list(printed(layout))
    assert len(expected) >= 10
    for method, place, value in expected:
        assert value in shown[method, place]
    assert {place.label for place in layout.places} == {row["place"] for row in rows}
    assert "Published numbers only" in grid_markdown(grid)
    # A paper prints one mean, a layout may have the other one, too.
    assert all(place.published is not None or place.mean for place in layout.places)


def test_the_average_weighs_places_as_the_paper_does(tmp_path: Path) -> None:
    """Runs with E0's success rates reproduce E0's printed average."""
    layout = load_layout("e0-table-01")
    value = {place: float(v) / 100 for m, place, v in printed(layout) if m == "E0"}
    rates = {
        place.ours.partition("/")[2] or place.ours: value[place.label] for place in layout.places
    }
    families: dict[str, dict[str, list[str]]] = {}
    for place in layout.places[:-1]:
        suite, _, task = place.ours.partition("/")
        tasks = [task] if task else [f"{suite}:{k}" for k in range(3)]
        families.setdefault(suite.partition("_")[0], {}).setdefault(suite, []).extend(tasks)
    runs = [
        write_run(
            tmp_path / family,
            ["e0"],
            suites,
            lambda _, task, k: float(k < round(500 * rates[task.partition(":")[0]])),
            f"{family}/card@1",
            episodes=500,
        )
        for family, suites in families.items()
    ]
    cells = make_grid(summary_of(*runs), layout).cells[0]
    texts = [f"{100 * c.estimate:.1f}" for c in cells if c]
    assert len(texts) == 15
    assert same_number(texts[-1], "60.8")


def test_csv_has_a_row_for_each_cell_in_either_orientation(tmp_path: Path) -> None:
    rng = random.Random(0)
    summary = made(tmp_path, lambda *_: rng.choice([0.5, 1.0]), ["a,b", "c"])
    texts = [
        grid_csv(make_grid(summary, layout_of(tmp_path, PLACES + f"rows: {rows}\n")))
        for rows in ("policies", "places")
    ]
    tables = [list(csv.DictReader(io.StringIO(text))) for text in texts]
    assert sorted(map(str, tables[0])) == sorted(map(str, tables[1]))
    assert [(row["policy"], row["place"]) for row in tables[0]][:3] == [
        ("a,b", "One"),
        ("a,b", "Two"),
        ("a,b", "Mean"),
    ]
    assert all(math.isfinite(float(row["low"])) for row in tables[0])


def test_unusable_layouts_are_refused(tmp_path: Path) -> None:
    summary = nothing(tmp_path)
    with pytest.raises(UsageError, match=r"unknown layout 'e0-table-9'; did you mean e0-table-09"):
        load_layout("e0-table-9")
    with pytest.raises(UsageError, match=r"cannot read the layout .*none\.yaml"):
        load_layout(str(tmp_path / "none.yaml"))
    with pytest.raises(UsageError, match=r"layout e0-table-09: the runs have none of its places"):
        make_grid(summary, load_layout("e0-table-09"))
    odd = layout_of(tmp_path, PLACES + "sources: [{source: e0-paper}]\n")
    with pytest.raises(UsageError, match=r"unknown source 'e0-paper'; did you mean e0-paper-v"):
        make_grid(summary, odd, reference=True)
