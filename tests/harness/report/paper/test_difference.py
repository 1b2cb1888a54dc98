"""Differences in a layout: their policies, episodes and intervals."""

from pathlib import Path

import pytest

from harness.report.paper.cells import Grid, TableCell
from harness.report.paper.formats import grid_csv, grid_markdown
from harness.report.paper.grid import make_grid
from harness.report.paper.latex import latex
from harness.report.paper.layout import load_layout
from harness.statistics.compare import newcombe_interval, paired_success
from harness.statistics.interval import Interval, mean_interval, sampled_tasks_interval
from harness.statistics.means import paired_means
from tests.helpers.runs import Score, summary_of, write_run

SUITES = {"fam_one": ["t0", "t1"], "fam_two": list("abcde")}
PLACES = """
title: Two suites
places:
  - {label: Task, ours: fam_one/t0}
  - {label: Few, ours: fam_one}
  - {label: Many, ours: fam_two}
  - {label: Mean, mean: [Few, Many], weigh: places}
differences:
  - {label: Diff, ours: "new* - old"}
"""
WON = {"new": 9, "new2": 8, "old": 4}


def score(policy: str, task: str, episode: int) -> Score:
    return 1.0 if (episode + len(policy) + ord(task[-1])) % 10 < WON[policy] else 0.25


def grid_of(tmp_path: Path, *policies: str, more: str = "", apart: bool = False) -> Grid:
    """Fill in the layout with one run of all policies, or a run for each on different scenes."""
    groups = [[name] for name in policies] if apart else [list(policies)]
    runs = [
        write_run(tmp_path / str(k), names, SUITES, score, seed=k) for k, names in enumerate(groups)
    ]
    tmp_path.mkdir(exist_ok=True)
    (tmp_path / "mine.yaml").write_text(PLACES + more)
    return make_grid(summary_of(*runs), load_layout(str(tmp_path / "mine.yaml")))


def row(grid: Grid, label: str) -> list[TableCell]:
    index = [head.label for head in grid.rows].index(label)
    cells = [cell for cell in grid.cells[index] if cell is not None]
    assert len(cells) == len(grid.columns)
    return cells


def scores(policy: str, *tasks: str) -> list[float]:
    return [score(policy, task, k) or 0.0 for task in tasks for k in range(10)]


def limits(cell: TableCell | Interval) -> tuple[float, float, float]:
    return cell.estimate, cell.low, cell.high


def test_shared_scenes_are_paired(tmp_path: Path) -> None:
    grid = grid_of(tmp_path, "new", "old")
    task, few, many, mean = row(grid, "Diff")
    won = {name: [float(s == 1) for s in scores(name, "t0")] for name in ("new", "old")}
    assert limits(task) == pytest.approx(limits(paired_success(won["new"], won["old"]).difference))
    played = {
        suite: [[float(s == 1) for s in scores(name, *tasks)] for name in ("new", "old")]
        for suite, tasks in SUITES.items()
    }
    names = {suite: [t for t in tasks for _ in range(10)] for suite, tasks in SUITES.items()}
    one, two = played["fam_one"]
    fixed = paired_means(one, two, names["fam_one"], success=True).comparison.difference
    assert limits(few) == pytest.approx(limits(fixed))
    gaps = [a - b for a, b in zip(*played["fam_two"], strict=True)]
    sampled = sampled_tasks_interval(gaps, names["fam_two"], (-1.0, 1.0))
    assert limits(many) == pytest.approx(limits(sampled))
    places = [suite for suite, tasks in names.items() for _ in tasks]
    one, two = ([*played["fam_one"][k], *played["fam_two"][k]] for k in (0, 1))
    by_place = paired_means(one, two, places, success=True).comparison.difference
    assert limits(mean) == pytest.approx(limits(by_place))
    assert (task.n, many.n, mean.n) == (10, 50, 70)
    assert not any(cell.bold for cell in (task, few, many, mean))
    text = "Diff: new - old, with 95 % intervals from pairs on the same scenes."
    assert ("", text) in grid.notes
    assert "n = 10 (Task); 20 (Few); 50 (Many); 70 (Mean)" in grid.notes[0][1]


def test_a_difference_equals_the_difference_of_its_columns(tmp_path: Path) -> None:
    grid = grid_of(tmp_path, "new", "old", more="rows: places\nmetric: progress\n")
    assert [head.label for head in grid.columns] == ["new", "old", "Diff"]
    for new, old, less in grid.cells:
        assert new is not None
        assert old is not None
        assert less is not None
        assert less.estimate == pytest.approx(new.estimate - old.estimate)
        assert less.low < less.estimate < less.high
    a, b = scores("new", "t0"), scores("old", "t0")
    expected = mean_interval([x - y for x, y in zip(a, b, strict=True)], (-1.0, 1.0))
    assert limits(grid.cells[0][2] or expected) == pytest.approx(limits(expected))
    assert f"{expected.estimate:+.3f} [{expected.low:+.3f}, " in grid_markdown(grid)
    assert ",progress_difference," in grid_csv(grid)
    backwards = grid_of(
        tmp_path / "other", "new", "old", more='  - {label: Back, ours: "old - new"}'
    )
    assert r"\ensuremath{-}50.0$_{" in latex(backwards)


def test_different_scenes_are_compared_unpaired(tmp_path: Path) -> None:
    grid = grid_of(tmp_path, "new", "old", apart=True)
    for new, old, less in zip(*(row(grid, name) for name in ("new", "old", "Diff")), strict=True):
        sides = (Interval(*limits(cell)) for cell in (new, old))
        assert limits(less) == pytest.approx(limits(newcombe_interval(*sides)))
    assert ("", "Diff: new - old, with 95 % intervals from different scenes.") in grid.notes


def test_only_comparable_policies_have_a_difference(tmp_path: Path) -> None:
    several = grid_of(tmp_path / "1", "new", "new2", "old")
    labels = [head.label for head in several.rows if head.difference]
    assert labels == ["Diff (new - old)", "Diff (new2 - old)"]
    assert not any(head.difference for head in grid_of(tmp_path / "2", "new", "new2").rows)
    runs = [
        write_run(tmp_path / "3" / name, [name], SUITES, score, f"fam/{name}@1")
        for name in ("new", "old")
    ]
    other = make_grid(summary_of(*runs), load_layout(str(tmp_path / "1" / "mine.yaml")))
    assert [head.label for head in other.rows] == ["new", "old"]


def test_a_printed_difference_is_shown_as_printed(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", ["new"], SUITES, score)
    grid = make_grid(summary_of(run), load_layout("e0-table-13"), reference=True)
    assert [head.label for head in grid.columns] == ["π0", "E0", "Diff"]
    # The paper prints another number than 42 - 52; the table does not correct it.
    index = [head.label for head in grid.rows].index("pick dual bottles")
    assert [cell and cell.text for cell in grid.cells[index]] == ["52.0", "42.0", "-7.0"]
    assert ("", "Diff: E0 - π0, as printed.") in grid.notes
