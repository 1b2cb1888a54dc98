"""The figures: file names, equal bytes for equal results, fonts, and legible labels."""

from pathlib import Path
from typing import Any

import imageio.v2 as imageio
import numpy as np
import pytest
from scipy.ndimage import label

from harness.report.plots import MOST_SUITES, MOST_TASKS, WIDTHS, cost_plots, write_plots
from harness.report.summary import summarise
from tests.helpers.runs import BAD, ERROR, GOOD, listed_run


def plots(folder: Path, ends: Any, episodes: int, **measured: Any) -> list[Path]:
    run = listed_run(folder / "run", ends, episodes, **measured)
    return write_plots(summarise([run]), folder / "figures", {"column": WIDTHS["column"]})


@pytest.mark.slow
def test_equal_results_give_equal_files_in_every_format_and_width(tmp_path: Path) -> None:
    ends = {"able": {"left": [GOOD] * 3 + [BAD]}, "$poor$": {"left": [BAD, ERROR]}}
    summary = summarise([listed_run(tmp_path / "run", ends, 4)])
    first, second = (write_plots(summary, tmp_path / folder) for folder in ("1", "2"))
    names = {
        f"{figure}-{width}"
        for figure in ("success-points_two", "cost", "endings", "steps-points_two")
        for width in WIDTHS
    }
    assert {path.name for path in first} == {
        f"{name}.{end}" for name in names for end in ("png", "pdf")
    }
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    for path in first:
        content = path.read_bytes()
        if path.suffix == ".pdf":
            assert content.startswith(b"%PDF")
            assert b"/Type3" not in content
            assert b"CreationDate" not in content
        else:
            picture = np.asarray(imageio.imread(path))
            inches = WIDTHS[path.stem.rpartition("-")[2]]
            assert picture.shape[1] == pytest.approx(300 * inches, abs=1)
            assert picture.std() > 5


def test_any_name_can_be_a_label_and_a_file_name(tmp_path: Path) -> None:
    evil = "points_../../x $\\frac{1}$ <&>\x07"
    written = plots(tmp_path, {evil: {evil * 9: [GOOD], " ": [BAD]}}, 1, suite=evil)
    assert all(path.parent == tmp_path / "figures" for path in written)
    assert all(path.stat().st_size > 1000 for path in written)


@pytest.mark.slow
@pytest.mark.parametrize("letters", [9, 30, 90])
def test_no_name_is_cut_off_at_the_edge(tmp_path: Path, letters: int) -> None:
    names = [f"{index}" + "m" * letters for index in range(5)]
    run = listed_run(tmp_path / "run", {name: {"left": [GOOD]} for name in names}, 1)
    for path in write_plots(summarise([run]), tmp_path / "figures"):
        if path.suffix == ".png":
            picture = np.asarray(imageio.imread(path))[..., :3]
            edges = picture[:2], picture[-2:], picture[:, :2], picture[:, -2:]
            assert all(edge.min() == 255 for edge in edges), path.name


def test_many_tasks_are_split_over_figures(tmp_path: Path) -> None:
    tasks = {f"task {index}": [GOOD] for index in range(MOST_TASKS + 1)}
    names = {path.name for path in plots(tmp_path, {"able": tasks}, 1)}
    assert {"success-points_two-1-column.pdf", "success-points_two-2-column.pdf"} <= names


@pytest.mark.slow
@pytest.mark.parametrize("suites", [1, 2, MOST_SUITES + 1])
def test_each_suite_has_its_own_panel_in_the_cost_figure(tmp_path: Path, suites: int) -> None:
    ends = {"able": {"left": [GOOD]}, "poor": {"left": [BAD]}}
    runs = [listed_run(tmp_path / f"{i}", ends, 1, suite=f"points_{i}") for i in range(suites)]
    written = write_plots(summarise(runs), tmp_path / "figures", {"text": WIDTHS["text"]})
    costs = sorted(path for path in written if path.match("cost*.png"))
    assert [path.name for path in costs] == {
        1: ["cost-text.png"],
        2: ["cost-text.png"],
        MOST_SUITES + 1: ["cost-1-text.png", "cost-2-text.png"],
    }[suites]
    dots = [blobs(np.asarray(imageio.imread(path))[..., :3], "#0072B2") for path in costs]
    legends = len(costs)
    assert sum(dots) == suites + legends


def test_the_lowest_panel_of_each_column_has_tick_labels(tmp_path: Path) -> None:
    ends = {"able": {"left": [GOOD]}, "poor": {"left": [BAD]}}
    runs = [listed_run(tmp_path / f"{i}", ends, 1, suite=f"points_{i}") for i in range(3)]
    (plot,) = cost_plots(summarise(runs), WIDTHS["text"], legend=False)
    plot.figure.canvas.draw()
    labelled = [
        any(tick.label1.get_visible() and tick.label1.get_text() for tick in axes.xaxis.majorTicks)
        for axes in plot.figure.axes[:3]
    ]
    assert labelled == [False, True, True]


def blobs(picture: Any, colour: str) -> int:
    """Count the connected regions of a colour."""
    wanted = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return int(label((picture == wanted).all(-1))[1])


@pytest.mark.parametrize("ends", [[], [ERROR]])
def test_no_figure_is_drawn_without_a_score(tmp_path: Path, ends: list[str]) -> None:
    assert plots(tmp_path, {"able": {"left": ends}}, 2) == []


def test_no_cost_figure_is_drawn_without_policy_times(tmp_path: Path) -> None:
    names = {p.name for p in plots(tmp_path, {"able": {"left": [GOOD]}}, 1, timing={}, cpu={})}
    assert not [name for name in names if name.startswith("cost")]
