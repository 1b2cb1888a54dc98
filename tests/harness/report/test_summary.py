"""Summaries: which episodes count, and which numbers are never averaged."""

from math import nan
from pathlib import Path

import pytest

from harness.contracts.errors import UsageError
from harness.report.chart_data import iter_rows, widest_rows
from harness.report.markdown import summary_markdown
from harness.report.paper.formats import summary_tex
from harness.report.summary import summarise, summary_frame
from harness.runs.folder import Run
from harness.statistics.interval import fixed_tasks_interval, rate_interval, sampled_tasks_interval
from tests.helpers.runs import BAD, ERROR, GOOD, Score, summary_of, write_run

SCORES = {"s": GOOD, "f": BAD, "e": ERROR}


def played(
    path: Path,
    outcomes: dict[tuple[str, str], str],
    protocol: str = "f/p@1",
    episodes: int = 4,
    seed: int = 7,
) -> Run:
    """Write a run; each task's outcomes are letters: s(uccess), f(ailure), e(rror)."""
    suites: dict[str, list[str]] = {}
    for suite, task in outcomes:
        suites.setdefault(suite, []).append(task)
    letters = {task: text for (_, task), text in outcomes.items()}

    def score(policy: str, task: str, episode: int) -> Score:
        return SCORES[letters[task][episode]] if episode < len(letters[task]) else nan

    return write_run(path, ["mine"], suites, score, protocol, episodes, seed, steps=10)


def test_errors_and_missing_episodes_are_counted_and_never_scored(tmp_path: Path) -> None:
    summary = summary_of(played(tmp_path / "r", {("one", "t"): "sfe", ("one", "u"): "ss"}))
    assert not summary.complete
    t, u = summary.level("task").to_dict("records")
    assert (t["n"], t["errors"], t["missing"], t["successes"]) == (2, 1, 1, 1)
    assert (t["success"], t["progress"], t["steps"]) == (0.5, 0.75, 10)
    assert (t["success_low"], t["success_high"]) == (
        rate_interval(1, 2).low,
        rate_interval(1, 2).high,
    )
    assert (u["n"], u["missing"], u["success"]) == (2, 2, 1.0)
    (suite,) = summary.level("suite").to_dict("records")
    expected = fixed_tasks_interval([1, 0, 1, 1], ["t", "t", "u", "u"])
    assert (suite["success"], suite["success_low"]) == (expected.estimate, expected.low)
    assert (suite["tasks"], suite["n"], suite["errors"], suite["missing"]) == (2, 4, 1, 3)
    assert "INCOMPLETE: 4 of 8 episodes" in summary_markdown(summary)


def test_a_benchmark_is_the_mean_over_the_tasks_of_its_suites(tmp_path: Path) -> None:
    outcomes = {("one", "t"): "ssss", ("one", "u"): "ssff", ("two", "v"): "ffff"}
    summary = summary_of(played(tmp_path / "r", outcomes))
    assert summary.complete
    (benchmark,) = summary.level("benchmark").to_dict("records")
    assert benchmark["success"] == pytest.approx(0.5)
    assert (benchmark["family"], benchmark["tasks"], benchmark["n"]) == ("f", 3, 12)
    assert summary.level("overall").empty


def test_the_interval_of_five_tasks_covers_similar_tasks(tmp_path: Path) -> None:
    outcomes = {("five", task): "ssff" if task == "a" else "ssss" for task in "abcde"}
    (suite,) = summary_of(played(tmp_path / "r", outcomes)).level("suite").to_dict("records")
    successes = [1, 1, 0, 0] + [1] * 16
    expected = sampled_tasks_interval(successes, [task for task in "abcde" for _ in range(4)])
    assert (suite["success_low"], suite["success_high"]) == (expected.low, expected.high)


def test_several_runs_count_a_shared_episode_once(tmp_path: Path) -> None:
    a = played(tmp_path / "a", {("one", "t"): "sefs"})
    b = played(tmp_path / "b", {("one", "t"): "ssfs", ("two", "v"): "ffff"})
    summary = summary_of(a, b)
    t, v = summary.level("task").to_dict("records")
    assert (t["n"], t["successes"], t["errors"], t["missing"]) == (4, 3, 0, 0)
    assert v["n"] == 4
    assert summary.complete


def test_runs_that_disagree_are_refused(tmp_path: Path) -> None:
    a = played(tmp_path / "a", {("one", "t"): "ssss"})
    b = played(tmp_path / "b", {("one", "t"): "sssf"})
    with pytest.raises(UsageError, match=r"disagree about 1 episodes.*one t episode 3"):
        summary_of(a, b)


def test_protocols_are_never_averaged(tmp_path: Path) -> None:
    a = played(tmp_path / "a", {("one", "t"): "ssss", ("two", "v"): "ssss"})
    b = played(tmp_path / "b", {("one", "t"): "ffff"}, protocol="f/q@2")
    summary = summary_of(a, b)
    rates = {(r["suite"], r["protocol"]): r["success"] for _, r in summary.rows.iterrows()}
    assert rates["one", "f/p@1"] == 1
    assert rates["one", "f/q@2"] == 0
    assert rates["all", "f/p@1"] == 1
    assert summary.level("overall").empty


def test_a_run_without_episodes_has_a_table(tmp_path: Path) -> None:
    summary = summary_of(played(tmp_path / "r", {("one", "t"): ""}))
    assert not summary.complete
    assert "INCOMPLETE: 4 of 4" in summary_markdown(summary)


def test_run_json_is_read_once(tmp_path: Path) -> None:
    run = played(tmp_path / "r", {("one", "t"): "ssss"})
    facts = run.facts
    (run.path / "run.json").unlink()
    assert summarise([run]).facts == (facts,)


def test_a_damaged_line_is_told_and_an_incomplete_last_line_ignored(tmp_path: Path) -> None:
    run = played(tmp_path / "r", {("one", "t"): "ssss"})
    log = run.log_path
    log.write_text(log.read_text() + '{"key": "to')
    assert summary_of(run).level("task")["n"].item() == 4
    log.write_text("nonsense\n" + log.read_text())
    summary = summary_of(run)
    assert summary.level("task")["n"].item() == 4
    (told,) = summary.refused
    assert "1 line is left out" in told
    assert "episodes.jsonl:1: " in told


def test_unrelated_benchmarks_have_a_mean_only_if_asked(tmp_path: Path) -> None:
    a = played(tmp_path / "a", {("one", "t"): "ssss", ("two", "v"): "ffff"})
    b = played(tmp_path / "b", {("other", "w"): "ssss"}, protocol="g/p@1")
    summary = summary_of(a, b)
    assert summary.level("overall").empty
    assert "all benchmarks" not in summary_markdown(summary)
    assert "f (mean)" in summary_markdown(summary), "suites of one family keep their mean"
    shown = {(r.suite, r.level): r.success for r in iter_rows(widest_rows(summary))}
    assert shown == {("all", "benchmark"): 0.5, ("other", "suite"): 1.0}
    (overall,) = summarise([a, b], mean=True).level("overall").to_dict("records")
    assert overall["success"] == pytest.approx(2 / 3)
    assert "all benchmarks" in summary_markdown(summarise([a, b], mean=True))
    table, asked = (summary_tex(summary, mean)["success.tex"] for mean in (False, True))
    assert "f (mean)" in table
    assert "& Mean" not in table
    assert "& Mean" in asked


def test_pooled_seeds_are_said_in_their_row(tmp_path: Path) -> None:
    a = played(tmp_path / "a", {("one", "t"): "ssss"})
    b = played(tmp_path / "b", {("one", "t"): "ffff", ("two", "v"): "ssss"}, seed=8)
    rows = summary_of(a, b).rows
    seeds = {(row["level"], row["suite"], row["task"]): row["seeds"] for _, row in rows.iterrows()}
    assert seeds["task", "one", "t"] == "7, 8"
    assert seeds["suite", "one", "all"] == "7, 8"
    assert seeds["task", "two", "v"] == "8"
    assert "| seeds " in summary_markdown(summary_of(a, b))
    assert "| 7, 8 " in summary_markdown(summary_of(a, b))
    assert "| seeds " not in summary_markdown(summary_of(a))
    assert "| seeds " not in summary_markdown(summary_of(b))


def test_the_tidy_table_holds_fractions(tmp_path: Path) -> None:
    outcomes = {("one", "t"): "ssfe", ("one", "u"): "ss", ("two", "v"): "ffff"}
    frame = summary_frame([played(tmp_path / "a", outcomes)])
    task = frame[(frame["level"] == "task") & (frame["task"] == "t")].iloc[0]
    assert (task["policy"], task["ablation"], task["benchmark"]) == ("mine", "", "one")
    assert (task["n"], task["errors"], task["missing"], task["seeds"]) == (3, 1, 0, "7")
    expected = rate_interval(2, 3)
    assert (task["success"], task["low"], task["high"]) == (
        expected.estimate,
        expected.low,
        expected.high,
    )
    means = frame[frame["level"] != "task"]
    assert means["benchmark"].tolist() == ["one", "two", "f"]
    assert (means["task"] == "all").all()
    assert frame["success"].between(0, 1).all()


def test_the_tidy_table_tells_policy_and_ablation_apart(tmp_path: Path) -> None:
    suites = {"fam_one": ["t0"]}
    run = write_run(tmp_path / "r", ["a@1"], suites, lambda *_: 1.0, ablations=["no-image"])
    rows = summary_frame([run])[["policy", "ablation"]].drop_duplicates()
    assert [tuple(row) for row in rows.to_numpy()] == [("a@1", ""), ("a@1", "no-image")]
