"""Ablations hide or change one input of a policy."""

from pathlib import Path

import pytest
from assay_points import PointEnv

from harness.cli import main as run_eval
from harness.contracts.ablation import ABLATIONS
from harness.runs.folder import Run

pytestmark = pytest.mark.usefixtures("points")


def run(out: Path, *extra: str, policy: str = "witness") -> int:
    arguments = ["run", "--policy", policy, "--benchmark", "points_two", "--episodes", "2"]
    return run_eval.main([*arguments, "--out", str(out), *extra])


def inputs(out: Path) -> dict[str, set[str]]:
    """Return the inputs of each policy and ablation in each task, as `witness` reports them."""
    reported: dict[str, set[str]] = {}
    for record in Run.existing(out).records().values():
        spec = record.spec
        reported.setdefault(f"{spec.player} {spec.task}", set()).add(record.reason)
    return reported


@pytest.mark.parametrize("extra", [(), ("--workers", "2")])
def test_ablation_changes_one_input_and_keeps_the_scenes(
    tmp_path: Path, extra: tuple[str, ...]
) -> None:
    assert run(tmp_path, "--ablate", *ABLATIONS, *extra) == 0
    assert inputs(tmp_path) == {
        "witness left": {"shown (8, 8, 3) 0, told reach left"},
        "witness right": {"shown (8, 8, 3) 0, told reach right"},
        "witness (no-image) left": {"shown (8, 8, 3) 127, told reach left"},
        "witness (no-image) right": {"shown (8, 8, 3) 127, told reach right"},
        "witness (no-instruction) left": {"shown (8, 8, 3) 0, told "},
        "witness (no-instruction) right": {"shown (8, 8, 3) 0, told "},
        "witness (shuffled-instruction) left": {"shown (8, 8, 3) 0, told reach right"},
        "witness (shuffled-instruction) right": {"shown (8, 8, 3) 0, told reach left"},
    }
    records = Run.existing(tmp_path).records().values()
    assert {r.instruction for r in records if r.spec.ablation == "no-instruction"} == {""}
    scenes = {r.spec.player: [] for r in records}
    for record in sorted(records, key=lambda r: r.spec.scene):
        scenes[record.spec.player].append(record.spec.scene)
    assert len({tuple(played) for played in scenes.values()}) == 1


def test_hidden_images_are_not_rendered(tmp_path: Path, points: type[PointEnv]) -> None:
    points.looks = 0
    run(tmp_path / "plain")
    plain, points.looks = points.looks, 0
    run(tmp_path / "both", "--ablate", "no-image")
    assert plain == points.looks == 4


def test_ablation_has_its_own_table_row_and_can_be_replayed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, "--ablate", "no-instruction", policy="homing") == 0
    assert "homing (no-instruction)" in (tmp_path / "tables/summary.md").read_text()
    for key in Run.existing(tmp_path).records():
        assert run_eval.main(["replay", str(tmp_path), key]) == 0


@pytest.mark.parametrize(
    ("policy", "ablation", "message"),
    [
        ("oracle", "no-image", "oracle reads the simulator's state"),
        ("homing", "no-images", "no-image"),
    ],
)
def test_impossible_ablation_is_refused(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    policy: str,
    ablation: str,
    message: str,
) -> None:
    assert run(tmp_path, "--ablate", ablation, policy=policy) == 2
    assert message in " ".join(capsys.readouterr().err.split())


def test_control_is_an_alias_of_ablate(tmp_path: Path) -> None:
    assert run(tmp_path, "--control", "no-image") == 0
    assert Run.existing(tmp_path).plans[0]["ablations"] == ["no-image"]


def test_ablation_named_twice_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, "--ablate", "no-image", "no-image") == 2
    assert "named twice" in capsys.readouterr().err
