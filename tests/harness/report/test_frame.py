"""The tidy table of episodes, and the planned episodes of each cell."""

import json
from pathlib import Path

import pandas as pd
import pytest

from harness.report.frame import episodes_frame, wanted_cells
from harness.runs.folder import Run
from tests.helpers.runs import BAD, ERROR, GOOD, listed_run, write_run


def test_success_is_a_bool_and_missing_for_an_error(tmp_path: Path) -> None:
    run = listed_run(tmp_path / "run", {"able@1a2b": {"left": [GOOD, BAD, ERROR]}}, 3)
    frame = episodes_frame([run])
    assert frame["success"].dtype == "boolean"
    assert frame["success"].tolist() == [True, False, pd.NA]
    assert frame["success"].mean() == 0.5
    assert frame["outcome"].tolist() == ["success", "failure", "error"]
    assert frame["steps"].tolist() == [20, 60, 0]
    assert frame["seconds"].tolist() == [1.5] * 3
    assert frame["reason"].tolist() == ["success", "step_limit", "OSError: <b>gone"]
    assert frame["episode"].tolist() == [0, 1, 2]
    assert frame["key"].tolist() == list(run.records())
    assert frame["progress"].isna().tolist() == [False, False, True]


def test_policy_and_ablation_have_columns_of_their_own(tmp_path: Path) -> None:
    suites = {"fam_one": ["t0"]}
    run = write_run(tmp_path / "run", ["a (b)@1"], suites, lambda *_: GOOD, ablations=["no-image"])
    frame = episodes_frame([run])
    assert set(frame["policy"]) == {"a (b)@1"}
    assert frame["ablation"].value_counts().to_dict() == {"": 10, "no-image": 10}
    rates = frame.groupby(["policy", "ablation", "benchmark", "task"])["success"].mean()
    assert rates.tolist() == [1.0, 1.0], "no category without episodes"


def test_a_run_without_episodes_has_the_columns(tmp_path: Path) -> None:
    run = listed_run(tmp_path / "run", {"able": {"left": []}}, 1)
    frame = episodes_frame([run])
    assert frame.empty
    assert frame["success"].dtype == "boolean"


def test_measured_fields_are_read(tmp_path: Path) -> None:
    run = listed_run(tmp_path / "run", {"able": {"left": [GOOD]}}, 1, clipped=0.25)
    assert episodes_frame([run])["clipped"].tolist() == [0.25]


@pytest.mark.parametrize("episodes", [[3, 10], [10, 3]])
def test_the_wanted_episodes_are_the_union_of_a_runs_plans(
    tmp_path: Path, episodes: list[int]
) -> None:
    run = listed_run(tmp_path / "run", {"able": {"left": [GOOD] * 3, "right": [GOOD]}}, 3)
    facts = json.loads((run.path / "run.json").read_text())
    (plan,) = facts["plans"]
    few = plan["benchmarks"][0] | {"tasks": ["left"]}
    facts["plans"] = [plan | {"episodes": n} for n in episodes] + [plan | {"benchmarks": [few]}]
    (run.path / "run.json").write_text(json.dumps(facts))
    cells = wanted_cells([Run.existing(run.path)])
    assert cells["wanted"].tolist() == [10, 10]
    assert cells["seeds"].tolist() == [(7,), (7,)]


def test_seeds_of_several_runs_add_up(tmp_path: Path) -> None:
    ends = {"able": {"left": [GOOD]}}
    runs = [listed_run(tmp_path / str(seed), ends, 4, seed=seed) for seed in (8, 7)]
    cells = wanted_cells(runs)
    assert cells["wanted"].tolist() == [8]
    assert cells["seeds"].tolist() == [(7, 8)]
