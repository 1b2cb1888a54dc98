"""Wrong input gives one error line and exit code 2, before any simulator starts."""

from pathlib import Path

import pytest
from assay_points import PointEnv

from harness.cli import main as run_eval
from harness.runs.folder import Run

RUN = ["run", "--policy", "homing", "--benchmark", "points_two"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["run", "--policy", "homin", "--benchmark", "points_two"], "did you mean homing"),
        (["run", "--policy", "homing", "--benchmark", "point_two"], "did you mean points_two"),
        (["run", "--benchmark", "points_two"], "--policy is missing"),
        (["run", "--policy", "homing"], "--benchmark is missing"),
        ([*RUN, "--tasks", "2"], "task 2 of points_two is out of range: 0 to 1"),
        ([*RUN, "--tasks", "-1"], "task -1 of points_two is out of range"),
        ([*RUN, "--tasks", "lefft"], "did you mean left?"),
        ([*RUN, "--tasks", "0", "left"], "is named twice"),
        ([*RUN, "--episodes", "0"], "--episodes 0 is neither a number from 1"),
        ([*RUN, "--episodes", "-3"], "--episodes -3 is neither a number from 1"),
        ([*RUN, "--episodes", "21"], "has 20 distinct episodes"),
        ([*RUN, "--seed", "-1"], "seed must be at least 0, got -1"),
        ([*RUN, "--protocol", "plane"], "did you mean plain?"),
        ([*RUN, "--protocol", "libero/openpi"], "unknown protocol of points"),
        ([*RUN, "--workers", "-1"], "--workers must be"),
        ([*RUN, "--epsiodes", "3"], "run has no option --epsiodes; did you mean --episodes?"),
        ([*RUN, "--zzz=8"], "run has no option --zzz; see: run_eval.py run --help"),
        (["run", "homing"], "run does not take 'homing'"),
        (["rum", "--policy", "homing"], "unknown command 'rum'; did you mean run?"),
        (
            ["run", "--policy", "cnn.py:CNN,step=2", *RUN[3:]],
            "did you mean python:cnn.py:CNN,step=2?",
        ),
        (["run", "--policy", "a/cnn.py", *RUN[3:]], "did you mean python:a/cnn.py:NAME?"),
        ([*RUN, "--replan", "0"], "--replan must be at least 1, got 0"),
        ([*RUN[:4], "points_seen"], "homing and the environment disagree about the action"),
        (
            ["run", "--policy", "still", "--benchmark", "points_two"],
            "unknown camera of still 'wrist'",
        ),
        ([*RUN, "--out", "/proc/nowhere"], "cannot write to /proc/nowhere"),
        (["run", "--policy", "homing:x", "--benchmark", "points_two"], "takes no source"),
        (["run", "--plan", "missing.yaml"], "cannot read the plan missing.yaml"),
        ([*RUN, "--plan", "p.yaml"], "leave out --policy --benchmark"),
        (["report", "missing"], "missing holds no run"),
        (["replay", "missing", "abc"], "missing holds no run"),
    ],
)
def test_error_is_one_line_that_names_the_fix(
    points: type[PointEnv],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    expected: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_eval.main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert expected in error
    assert error.count("\n") == 1
    assert points.built == []


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("polices: [homing]\nbenchmarks: [points_two]", "did you mean policies"),
        ("policies: [homing]\nbenchmarks: [{name: points_two, task: [0]}]", "did you mean tasks?"),
        ("policies: [homing]\nbenchmarks: [{tasks: [0]}]", "has no name"),
        ("policies: [homing]\nbenchmarks: points_two\nepisodes: many", "must be a whole number"),
        ("policies: [homing]", "must name at least one"),
        (
            "policies: [homing]\nbenchmarks: points_two\nseed: 1\nseed: 2",
            "key seed stands twice",
        ),
        (
            "policies: [homing]\nbenchmarks: points_two\nepisodes: yes",
            "be a whole number, got",
        ),
        ("policies: [homing]\nbenchmarks: points_two\nstop_when_decided: 'no'", "true or false"),
        ("policies: yes\nbenchmarks: points_two", "policies in"),
        ("policies: [homing]\nbenchmarks: points_two\nepisodes: 5:50", "put it in quotes"),
        ("policies: [homing]\nbenchmarks: points_two\nepisodes: 1000000000000", "at most 1000000"),
        (
            "policies: [homing]\nbenchmarks: points_two\nseed: 9223372036854775808",
            "seed must be",
        ),
        ("policies: [homing]\nbenchmarks: [{name: points_two, tasks: [²]}]", "unknown task"),
        ("policies: [homing]\nbenchmarks: [{name: points_two, tasks: [yes]}]", "must be text, got"),
        ("- a\n- b", "must hold a mapping"),
        ("policies: [", "is not YAML"),
        ("policies: !!python/object/apply:os.system [true]", "is not YAML"),
    ],
)
@pytest.mark.usefixtures("points")
def test_plan_with_a_mistake_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, expected: str
) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text(content)
    assert run_eval.main(["run", "--plan", str(plan), "--out", str(tmp_path / "out")]) == 2
    assert expected in capsys.readouterr().err


@pytest.mark.usefixtures("points")
def test_run_from_a_plan_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text(
        "policies: [homing]\nepisodes: 2\nseed: 3\n"
        "benchmarks:\n  - {name: points_two, tasks: [1], protocol: short}\n"
    )
    assert run_eval.main(["run", "--plan", str(plan), "--out", str(tmp_path / "out")]) == 0
    shown = capsys.readouterr().out
    assert "points/short@" in shown
    assert "right" in shown


@pytest.mark.parametrize("text", ["0", "-1", "x", "5:5", "5:3", "-1:3", ":3", "3:", "1:2:3"])
def test_impossible_episodes_are_refused(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["run", "--policy", "homing", "--benchmark", "points_two", f"--episodes={text}"]
    assert run_eval.main([*command, "--out", str(tmp_path)]) == 2
    assert "FIRST:END" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("text", ["1000000000000", "0:1000000000000", "9" * 30, f"1:{'9' * 30}"])
def test_any_number_of_episodes_is_one_line(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["run", "--policy", "homing", "--benchmark", "points_two", f"--episodes={text}"]
    assert run_eval.main([*command, "--out", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert "episodes must be at most 1000000, got" in error
    assert error.count("\n") == 1


def test_a_range_of_episodes_is_played(tmp_path: Path) -> None:
    command = ["run", "--policy", "homing", "--benchmark", "points_two/left", "--episodes", "3:6"]
    assert run_eval.main([*command, "--out", str(tmp_path)]) == 0
    assert [r.spec.episode for r in Run.existing(tmp_path).records().values()] == [3, 4, 5]
