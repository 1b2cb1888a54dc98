"""What a simulator states is checked before it is recorded."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from assay_points import Broken, PointEnv

from harness.cli import main as run_eval
from harness.contracts.environment import Action, StepOutcome
from harness.contracts.record import EpisodeRecord
from harness.runs.folder import Run

pytestmark = pytest.mark.usefixtures("points")


def stated(
    path: Path, monkeypatch: pytest.MonkeyPatch, policy: str = "homing", **values: Any
) -> tuple[int, EpisodeRecord]:
    """Play an episode of a simulator that states these values after each step."""
    advance = PointEnv._advance

    def states(self: PointEnv, action: Action) -> StepOutcome:
        outcome: StepOutcome = replace(advance(self, action), **values)
        return outcome

    monkeypatch.setattr(PointEnv, "_advance", states)
    command = ["run", "--policy", policy, "--benchmark", "points_two", "--tasks", "0"]
    code = run_eval.main([*command, "--episodes", "1", "--out", str(path)])
    (record,) = Run.existing(path).records().values()
    return code, record


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"progress": 2.0}, "ValueError: progress is 2.0, no number from 0 to 1"),
        ({"progress": float("inf")}, "ValueError: progress is inf, no number from 0 to 1"),
        ({"subgoals": {"x" * 501: True}}, "ValueError: a name in subgoals is"),
    ],
)
def test_an_impossible_statement_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, values: Mapping[str, Any], reason: str
) -> None:
    code, record = stated(tmp_path, monkeypatch, **values)
    assert (code, record.outcome) == (3, "error")
    assert record.reason.startswith(reason)


def test_numpy_types_of_a_simulator_are_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values: dict[str, Any] = {
        "success": np.True_,
        "progress": np.float32(0.5),
        "subgoals": {"near": np.True_},
    }
    code, record = stated(tmp_path, monkeypatch, **values)
    assert code == 0
    assert (record.success, record.progress, record.subgoals) == (True, 0.5, {"near": True})


def test_a_policy_error_is_a_failure_even_in_a_scene_that_begins_solved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PointEnv, "_begin", lambda *_: StepOutcome(True, 1.0))
    monkeypatch.setattr(PointEnv, "state_bytes", lambda _: b"")
    monkeypatch.setattr(PointEnv, "position", np.zeros(2), raising=False)
    monkeypatch.setattr(Broken, "answer", np.full((1, 2), np.nan, np.float32))
    _, record = stated(tmp_path, monkeypatch, policy="broken")
    assert record.outcome == "failure"
    assert record.reason.startswith("policy_nan")
