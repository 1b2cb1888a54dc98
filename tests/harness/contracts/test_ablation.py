"""Control arms: what the policy is not shown or not told."""

from pathlib import Path

import pytest
from assay_points import PointEnv

from harness.cli import main as run_eval
from harness.contracts.ablation import CONTROLS
from harness.runs.folder import Run

pytestmark = pytest.mark.usefixtures("points")


def run(out: Path, *extra: str, policy: str = "witness") -> int:
    arguments = ["run", "--policy", policy, "--benchmark", "points_two", "--episodes", "2"]
    return run_eval.main([*arguments, "--out", str(out), *extra])


def witnessed(out: Path) -> dict[str, set[str]]:
    """Return what each policy said of each task."""
    said: dict[str, set[str]] = {}
    for record in Run.existing(out).records().values():
        spec = record.spec
        said.setdefault(f"{spec.policy} {spec.task}", set()).add(record.reason)
    return said


@pytest.mark.parametrize("extra", [(), ("--protocol", "four"), ("--workers", "2")])
def test_an_arm_changes_what_is_shown_or_told_and_nothing_else(
    tmp_path: Path, extra: tuple[str, ...]
) -> None:
    assert run(tmp_path, "--control", *CONTROLS, *extra) == 0
    assert witnessed(tmp_path) == {
        "witness left": {"shown (8, 8, 3) 0, told reach left"},
        "witness right": {"shown (8, 8, 3) 0, told reach right"},
        "witness+no-image left": {"shown (8, 8, 3) 127, told reach left"},
        "witness+no-image right": {"shown (8, 8, 3) 127, told reach right"},
        "witness+no-instruction left": {"shown (8, 8, 3) 0, told "},
        "witness+no-instruction right": {"shown (8, 8, 3) 0, told "},
        "witness+shuffled-instruction left": {"shown (8, 8, 3) 0, told reach right"},
        "witness+shuffled-instruction right": {"shown (8, 8, 3) 0, told reach left"},
    }
    records = Run.existing(tmp_path).records().values()
    assert {r.instruction for r in records if "no-instruction" in r.spec.policy} == {""}
    scenes = {r.spec.policy: [] for r in records}
    for record in sorted(records, key=lambda r: r.spec.scene):
        scenes[record.spec.policy].append(record.spec.scene)
    assert len({tuple(met) for met in scenes.values()}) == 1


def test_what_would_be_grey_is_not_drawn(tmp_path: Path, points: type[PointEnv]) -> None:
    points.looks = 0
    run(tmp_path / "plain")
    plain, points.looks = points.looks, 0
    run(tmp_path / "both", "--control", "no-image")
    assert plain == points.looks == 4


def test_an_arm_has_a_row_of_its_own_and_replays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, "--control", "no-instruction", policy="homing") == 0
    assert "homing+no-instruction" in (tmp_path / "tables/summary.md").read_text()
    for key in Run.existing(tmp_path).records():
        assert run_eval.main(["replay", str(tmp_path), key]) == 0


@pytest.mark.parametrize(
    ("policy", "control", "message"),
    [
        ("oracle", "no-image", "oracle reaches into the environment"),
        ("homing", "no-images", "no-image"),
    ],
)
def test_what_cannot_be_an_arm_is_refused(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    policy: str,
    control: str,
    message: str,
) -> None:
    assert run(tmp_path, "--control", control, policy=policy) == 2
    assert message in " ".join(capsys.readouterr().err.split())
