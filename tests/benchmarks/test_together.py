"""LIBERO and ManiSkill in one run, with images from both."""

from pathlib import Path
from typing import Any

import pytest

from harness.cli import main as run_eval
from harness.contracts.record import EpisodeRecord
from harness.runs.folder import Run

PLAN = """
policies: [watching]
episodes: 1
benchmarks:
  - {name: maniskill_rdt, tasks: [PlugCharger-v1], protocol: rdt-small}
  - {name: libero_object, tasks: [0]}
"""


def outcomes(out: Path) -> list[dict[str, Any]]:
    records: dict[str, EpisodeRecord] = Run.existing(out).records()
    assert len(records) == 2
    return [record.deterministic() for _, record in sorted(records.items())]


@pytest.mark.slow
@pytest.mark.libero
@pytest.mark.maniskill
@pytest.mark.rendering
def test_inline_and_two_workers_give_the_same_records(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text(PLAN)
    for name, workers in (("inline", "0"), ("ray", "2")):
        arguments = ["run", "--plan", str(plan), "--out", str(tmp_path / name)]
        assert run_eval.main([*arguments, "--workers", workers]) == 0, capsys.readouterr().err
    first = outcomes(tmp_path / "inline")
    assert first == outcomes(tmp_path / "ray")
    assert {record["outcome"] for record in first} == {"failure"}
    assert (tmp_path / "inline/tables/summary.csv").read_bytes() == (
        tmp_path / "ray/tables/summary.csv"
    ).read_bytes()
