"""Comparing two policies: pairs of scenes, protocols, corrections, and published numbers."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from harness.cli import main as run_eval
from harness.contracts.errors import UsageError
from harness.report.compare import against_published, compare_runs, comparison_table
from harness.report.frame import read_frame
from harness.report.paper.grid import make_grid
from harness.report.paper.layout import load_layout
from harness.runs.folder import Run
from harness.statistics.compare import paired_success
from tests.helpers.runs import listed_run, summary_of


def episodes(
    successes: list[int], task: str = "t", start: int = 0, protocol: str = "f/p@1"
) -> pd.DataFrame:
    rows = [
        {
            "benchmark": "suite",
            "task": task,
            "protocol": protocol,
            "seed": 7,
            "episode": start + k,
            "outcome": "success" if success else "failure",
            "progress": 1.0 if success else 0.25,
        }
        for k, success in enumerate(successes)
    ]
    return pd.DataFrame(rows)


A = [1, 1, 1, 1, 1, 1, 1, 0, 1, 0]
B = [0, 0, 0, 0, 0, 1, 1, 0, 0, 0]


def test_shared_scenes_are_paired_in_any_order() -> None:
    (tasks,) = compare_runs(episodes(A), episodes(B).iloc[::-1], "success")
    assert tasks.comparison == paired_success(A, B)
    assert tasks.means == (0.8, 0.2)
    assert tasks.lost == 0


def test_an_error_removes_its_pair() -> None:
    spoilt = episodes(B)
    spoilt.loc[0, "outcome"] = "error"
    (tasks,) = compare_runs(episodes(A), spoilt, "success")
    expected = paired_success(A[1:], B[1:])
    assert (tasks.comparison.p, tasks.comparison.episodes) == (expected.p, 9)
    # Every scored episode counts in the difference, as in the tables.
    assert tasks.comparison.difference == expected.difference.around(8 / 10 - 2 / 9)
    assert tasks.lost == 1


def test_different_scenes_are_compared_unpaired() -> None:
    (tasks,) = compare_runs(episodes(A), episodes(B, start=100), "success")
    assert tasks.comparison.test == "Boschloo"
    (tasks,) = compare_runs(episodes(A), episodes(B, start=100), "progress")
    assert tasks.comparison.test == "permutation"


def test_p_is_corrected_over_tasks_but_not_for_the_benchmark() -> None:
    a = pd.concat([episodes(A, "t"), episodes(A, "u")])
    b = pd.concat([episodes(B, "t"), episodes(B, "u")])
    benchmark, one, two = compare_runs(a, b, "success")
    assert (benchmark.level, benchmark.name, benchmark.tasks) == ("benchmark", "suite", 2)
    assert benchmark.comparison.p == paired_success(A + A, B + B).p
    assert one.comparison.p == two.comparison.p == pytest.approx(2 * paired_success(A, B).p)


def test_the_table_names_the_test_of_every_row() -> None:
    few = episodes(B[:3], "u", start=7)
    compared = compare_runs(
        pd.concat([episodes(A, "t"), episodes(A, "u")]),
        pd.concat([episodes(B, "t"), few.assign(episode=few["episode"] + 100)]),
        "success",
    )
    rows = comparison_table(compared, ("a", "b"), "success").splitlines()[2:5]
    assert [row.split("|")[-2].strip() for row in rows] == [
        "exact permutation within tasks",
        "exact McNemar",
        "Boschloo",
    ]
    notes = comparison_table(compared, ("a", "b"), "success").split("\n\n")[1]
    assert "2 of 3 rows compare different scenes: less than 90% of the scenes are shared." in notes
    assert "p is Holm-corrected over the tasks." in notes


def test_the_verdict_and_the_table_have_one_unit() -> None:
    table = comparison_table(
        compare_runs(episodes(A), episodes(B), "success"), ("a", "b"), "success"
    )
    row, verdict = table.splitlines()[2], table.splitlines()[4]
    cell = row.split("|")[5].strip()
    assert cell.startswith("+60.0 [")
    assert f"(difference {cell.replace('+60.0 ', '+60.0 points ')}, p = 0.031" in verdict


def random_run(path: Path, policy: str, seed: int, sizes: list[int]) -> Run:
    """Write a run of one suite with another number of scored episodes on each task."""
    random = np.random.default_rng(seed)
    ends = {
        f"t{k}": [*random.choice([0.25, 1.0], n).tolist(), *([None] * (20 - n))]
        for k, n in enumerate(sizes)
    }
    return listed_run(path, {policy: ends}, 20)


@pytest.mark.parametrize("metric", ["success", "progress"])
@pytest.mark.parametrize("sizes", [[20, 2], [20, 19], [20, 3, 20, 11, 20, 20]])
def test_tables_and_comparison_agree_on_unequal_n(
    tmp_path: Path, metric: str, sizes: list[int]
) -> None:
    runs = [
        random_run(tmp_path / "a", "new", 1, sizes),
        random_run(tmp_path / "b", "old", 2, [20] * len(sizes)),
    ]
    summary, frames = summary_of(*runs), (read_frame(runs[:1]), read_frame(runs[1:]))
    for level in ("suite", "task"):
        table = summary.level(level).pivot(index="task", columns="policy", values=metric)
        compared = [
            each
            for each in compare_runs(*frames, metric)
            if each.level == ("task" if level == "task" else "benchmark")
        ]
        assert len(compared) == len(table)
        for each, (_, row) in zip(compared, table.iterrows(), strict=True):
            assert each.means == pytest.approx((row["new"], row["old"]))
            gap = each.comparison.difference
            assert gap.estimate == pytest.approx(row["new"] - row["old"])
            assert gap.low <= gap.estimate <= gap.high
    (tmp_path / "diff.yaml").write_text(
        f"title: T\nmetric: {metric}\nplaces:\n  - {{label: All, ours: points_two}}\n"
        "differences:\n  - {label: Diff, ours: new - old}\n"
    )
    cell = make_grid(summary, load_layout(str(tmp_path / "diff.yaml"))).cells[-1][0]
    assert cell is not None
    first = compare_runs(*frames, metric)[0]
    similar = first.compared.similar
    interval = similar if similar and len(sizes) >= 5 else first.comparison.difference
    assert (cell.estimate, cell.low, cell.high) == pytest.approx(
        (interval.estimate, interval.low, interval.high)
    )
    text = comparison_table([first], ("new", "old"), metric)
    assert ("for similar tasks" in text) == (len(sizes) >= 5)


def test_the_example_of_the_review_has_no_difference() -> None:
    a = pd.concat([episodes([1] * 10, "t"), episodes([0] * 2, "u")])
    b = pd.concat([episodes([1, 0] * 5, "t"), episodes([1, 0] * 5, "u")])
    first = compare_runs(a, b, "success")[0]
    assert first.means == (0.5, 0.5)
    assert first.comparison.difference.estimate == 0
    assert first.comparison.p > 0.5


def test_episodes_without_a_partner_count_in_the_means_alone() -> None:
    a = pd.concat([episodes([1] * 19 + [0], "t"), episodes([1] * 20, "u")])
    spoilt = pd.concat([episodes([1] * 19 + [0], "t"), episodes([0, 1] * 10, "u")])
    b = spoilt.iloc[:-1]
    first = compare_runs(a, b, "success")[0]
    assert first.lost == 1
    assert first.means == pytest.approx((0.975, (0.95 + 9 / 19) / 2))
    assert first.comparison.episodes == 39
    assert first.comparison.difference.estimate == pytest.approx(first.means[0] - first.means[1])
    table = comparison_table(compare_runs(a, b, "success"), ("a", "b"), "success")
    assert "- 1 episodes without a partner count in the means, but not in intervals" in table


def test_pairs_that_point_the_other_way_decide_nothing() -> None:
    # On the 10 shared scenes of `t` A always wins, but the unshared scenes outweigh them.
    a = pd.concat([episodes([1] * 30, "t"), episodes([0, 0, 0], "u")])
    b = pd.concat([episodes([0] * 30, "t"), episodes([0, 1, 1], "u", start=2)])
    b = b[~((b["task"] == "t") & (b["episode"] < 0))]
    first = compare_runs(a, b, "success")[0]
    assert first.means == pytest.approx((0.5, 1 / 3))
    a = pd.concat([episodes([1, 1, 1] + [0] * 97, "t"), episodes([0, 0], "u")])
    b = pd.concat([episodes([0] * 100, "t"), episodes([0, 1], "u", start=1)])
    opposite = compare_runs(a, b, "success")[0]
    assert opposite.compared.paired
    assert opposite.comparison.difference.estimate < 0
    assert opposite.comparison.p == 1


def test_no_row_spans_unrelated_benchmarks_or_protocols() -> None:
    two = [episodes(x, "t").assign(benchmark="other", protocol="g/q@2") for x in (A, B)]
    a, b = (pd.concat([episodes(x, "t"), more]) for x, more in zip((A, B), two, strict=True))
    compared = compare_runs(a, b, "success")
    assert [(each.level, each.name) for each in compared] == [
        ("benchmark", "suite, f/p@1"),
        ("benchmark", "other, g/q@2"),
        ("task", "suite t"),
        ("task", "other t"),
    ]
    assert compared[0].comparison.p == pytest.approx(2 * paired_success(A, B).p)
    table = comparison_table(compared, ("a", "b"), "success")
    assert table.count(" and b are not distinguishable") + table.count("a is better than b") == 2
    assert "Holm-corrected over the benchmarks and, separately, over the tasks" in table
    one, both = (pd.concat([x, x.assign(protocol="f/r@3")]) for x in (episodes(A), episodes(B)))
    assert [each.name for each in compare_runs(one, both, "success")[:2]] == [
        "suite, f/p@1",
        "suite, f/r@3",
    ]


def test_suites_of_one_benchmark_have_a_common_row() -> None:
    a, b = (
        pd.concat([episodes(x, "t"), episodes(x, "u").assign(benchmark="second")]) for x in (A, B)
    )
    compared = compare_runs(a, b, "success")
    assert [(each.level, each.name) for each in compared[:3]] == [
        ("benchmark", "f"),
        ("suite", "second"),
        ("suite", "suite"),
    ]
    assert compared[1].comparison.p == pytest.approx(2 * paired_success(A, B).p)


def test_protocols_are_mixed_only_with_force() -> None:
    other = episodes(B, protocol="f/q@2")
    with pytest.raises(UsageError, match=r"f/p@1 and f/q@2.*--force"):
        compare_runs(episodes(A), other, "success")
    (tasks,) = compare_runs(episodes(A), other, "success", force=True)
    assert tasks.comparison.test == "Boschloo"
    mixed = pd.concat([other, episodes(B, protocol="f/r@3")])
    with pytest.raises(UsageError, match="a mean never mixes protocols"):
        compare_runs(episodes(A), mixed, "success", force=True)
    assert compare_runs(episodes(A), pd.concat([mixed, episodes(B)]), "success")[0].lost == 0


def test_a_published_number_is_compatible_or_differs() -> None:
    ours = episodes([1] * 95 + [0] * 5).assign(benchmark="libero_spatial")
    assert "is compatible with the published 96.8" in against_published(ours, "π0")[0]
    ours["outcome"] = "failure"
    assert "differs from the published 96.8" in against_published(ours, "π0")[0]
    uneven = pd.concat([ours.iloc[:8].assign(outcome="success"), ours.iloc[8:10].assign(task="u")])
    (first, *_) = against_published(uneven.assign(benchmark="libero_spatial"), "π0")
    assert "Our 50.0 % [" in first
    assert "mean over 2 tasks, interval for these tasks" in first
    with pytest.raises(UsageError, match=r"no number of 'nobody'.*π0"):
        against_published(ours, "nobody")


def test_power_plans_in_percent(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_eval.main(["power", "--baseline", "80", "--difference", "10"]) == 0
    assert "199 episodes per policy" in capsys.readouterr().out  # Fleiss's table without correction
    assert run_eval.main(["power", "--baseline", "80", "--episodes", "199"]) == 0
    assert "+10.0 points" in capsys.readouterr().out
    assert run_eval.main(["power", "--baseline", "80", "--difference", "30"]) == 2
    assert run_eval.main(["power", "--baseline", "80"]) == 2
