"""`merge` joins the folders that several machines made."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from assay_points import PointEnv

from harness.cli import main as run_eval
from harness.runs.folder import Run

pytestmark = pytest.mark.usefixtures("points")


def run(out: Path, policy: str = "homing", *more: str) -> Path:
    command = ["run", "--policy", policy, "--benchmark", "points_two", "--out", str(out)]
    if "--episodes" not in more:
        more = (*more, "--episodes", "2")
    assert run_eval.main([*command, *more]) in (0, 3)
    return out


def merged(out: Path, *runs: Path) -> int:
    return run_eval.main(["merge", str(out), *map(str, runs)])


def outcomes(out: Path) -> list[dict[str, Any]]:
    return [r.deterministic() for _, r in sorted(Run.existing(out).records().items())]


def test_parts_of_several_machines_are_one_run(tmp_path: Path) -> None:
    whole = run(tmp_path / "whole", "homing", "--episodes", "4")
    parts = [
        run(tmp_path / "a", "homing", "--episodes", "0:3", "--tasks", "left"),
        run(tmp_path / "b", "homing", "--episodes", "2:4", "--tasks", "left"),
        run(tmp_path / "c", "homing", "--episodes", "4", "--tasks", "right", "--video", "failures"),
    ]
    out = tmp_path / "new" / "merged"
    assert merged(out, *parts) == 0
    assert outcomes(out) == outcomes(whole)
    assert len(list(Run.existing(out).log())) == 8
    assert Run.existing(out).wanted() == Run.existing(whole).wanted()
    assert len(Run.existing(out).sessions()) == 3
    assert {p.name for p in (out / "actions").iterdir()} == {
        p.name for p in (whole / "actions").iterdir()
    }
    assert len(list((out / "videos").iterdir())) == len(list((parts[2] / "videos").iterdir())) > 0
    key = outcomes(out)[0]["key"]
    assert run_eval.main(["replay", str(out), key]) == 0
    before = (out / "episodes.jsonl").read_bytes()
    run(out, "homing", "--episodes", "4")
    assert (out / "episodes.jsonl").read_bytes() == before
    assert run_eval.main(["report", str(out)]) == 0


def test_score_counts_before_an_error(tmp_path: Path, points: type[PointEnv]) -> None:
    good = run(tmp_path / "good")
    points.faults[:] = [RuntimeError("lost its mesh")] * 3
    bad = run(tmp_path / "bad")
    assert any(r["outcome"] == "error" for r in outcomes(bad))
    for number, pair in enumerate([(good, bad), (bad, good)]):
        assert merged(tmp_path / str(number), *pair) == 0
        assert outcomes(tmp_path / str(number)) == outcomes(good)
        assert not (tmp_path / str(number) / "errors").exists()


def test_disagreement_names_episode_and_fields(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = run(tmp_path / "one"), run(tmp_path / "other")
    log = other / "episodes.jsonl"
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    lines[1]["steps"] += 1
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    capsys.readouterr()
    assert merged(tmp_path / "out", one, other) == 2
    error = " ".join(capsys.readouterr().err.split())
    assert f"homing on points_two left episode 1 ({lines[1]['key']}): steps" in error
    assert not (tmp_path / "out").exists()


def test_costs_may_differ(tmp_path: Path) -> None:
    one, other = run(tmp_path / "one"), run(tmp_path / "other")
    assert one.joinpath("episodes.jsonl").read_bytes() != (other / "episodes.jsonl").read_bytes()
    assert merged(tmp_path / "out", one, other) == 0
    assert outcomes(tmp_path / "out") == outcomes(one)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--seed", "8"), "(seed: 7 there, 8 here); report them together instead"),
        (("--protocol", "short"), "protocol of points_two: points/plain there, points/short here"),
    ],
)
def test_runs_that_are_not_one_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], more: tuple[str, ...], message: str
) -> None:
    one, other = run(tmp_path / "one"), run(tmp_path / "other", "homing", *more)
    capsys.readouterr()
    assert merged(tmp_path / "out", one, other) == 2
    assert message in " ".join(capsys.readouterr().err.split())


def test_nothing_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, other = run(tmp_path / "one"), run(tmp_path / "other", "zero")
    capsys.readouterr()
    assert merged(one, one, other) == 2
    assert "exists already" in capsys.readouterr().err
    assert merged(tmp_path / "out", one) == 2
    assert "at least two" in capsys.readouterr().err
    assert merged(tmp_path / "out", one, tmp_path / "missing") == 2
    assert "holds no run" in capsys.readouterr().err


def test_actions_come_from_the_run_that_gives_the_episode(
    tmp_path: Path, points: type[PointEnv]
) -> None:
    points.faults[:] = [RuntimeError("lost its mesh")] * 3
    bad, good = run(tmp_path / "bad"), run(tmp_path / "good")
    assert merged(tmp_path / "out", bad, good) == 0
    for record in Run.existing(good).records().values():
        key = record.spec.key
        mine, theirs = (Run.existing(path).actions(key) for path in (tmp_path / "out", good))
        assert np.array_equal(mine, theirs)
