"""VLABench's upstream backend with a stand-in checkout, and with a real one if it is there."""

import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.vlabench_upstream import VLABenchUpstream, checkout
from benchmarks.vlabench_upstream.catalog import BENCHMARKS
from benchmarks.vlabench_upstream.needs import VENV
from benchmarks.vlabench_upstream.protocol import UpstreamProtocol
from benchmarks.vlabench_upstream.source import source
from harness.cli import main as run_eval
from harness.cli.codes import EXIT_INCOMPLETE
from harness.contracts.environment import BenchmarkEnv, StepOutcome
from harness.contracts.registry import families
from harness.runs.folder import Run
from harness.venvs.build import build
from tests.helpers.upstream_episodes import BROKEN, copy_checkout
from tests.helpers.wheels import write_wheels

REAL = os.environ.get("VLABENCH_ROOT", "")
DOWN = (np.pi, 0.0, 0.0)


@pytest.fixture(scope="module")
def complete_checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_checkout(tmp_path_factory.mktemp("vlabench") / "checkout")


@pytest.fixture
def stand_in(complete_checkout: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("VLABENCH_ROOT", str(complete_checkout))
    path, modules = list(sys.path), set(sys.modules)
    source.cache_clear()
    yield complete_checkout
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]
    source.cache_clear()


def make(task: str = "select_poker", track: str = "track1") -> BenchmarkEnv:
    family = VLABenchUpstream()
    return family.make(f"vlabench_{track}", task, family.protocols()[track])


def go(env: BenchmarkEnv, position: np.ndarray[Any, Any], gripper: float) -> StepOutcome:
    return env.advance(np.array([*position, *DOWN, gripper], np.float32))


@pytest.mark.usefixtures("stand_in")
def test_an_episode_has_upstreams_scores() -> None:
    env = make()
    assert env.max_steps == 100
    first = env.begin(3, 7)
    assert env.instruction == "pick card 3"
    assert (first.success, first.progress) == (False, 0.0)
    assert first.subgoals == {
        "is_grasped": False,
        "lift": False,
        "touched": False,
        "intention": False,
    }
    card = env._sim.card - np.array([0.0, -0.4, 0.78])
    near = go(env, card + np.array([0.0, 0.0, 0.08]), 1.0)
    assert (near.progress, near.subgoals["intention"]) == (0.0, True)
    # In an action 0.09 closes the gripper and 0.1 opens it. In the state 1 means closed.
    held = go(env, card, 0.09)
    assert held.progress == pytest.approx(2 / 3)
    assert env.observe(())["state"][-1] == 1.0
    state = env.observe(())["state"]
    np.testing.assert_allclose(state[:3], card, atol=1e-6)
    np.testing.assert_allclose(np.abs(state[3]), np.pi, atol=1e-3)
    dropped = go(env, card, 0.1)
    assert (dropped.progress, dropped.subgoals["touched"]) == (pytest.approx(1 / 3), True)
    go(env, card, 0.0)
    lifted = go(env, card + np.array([0.0, 0.0, 0.2]), 0.0)
    assert (lifted.success, lifted.progress) == (True, 1.0)
    pictures = env.observe(("main", "wrist"))["image"]
    assert {role: int(image.mean()) for role, image in pictures.items()} == {
        "main": 20,
        "wrist": 30,
    }
    env.close()


@pytest.mark.usefixtures("stand_in")
def test_an_episode_does_not_depend_on_earlier_episodes() -> None:
    env = make("select_toy")
    env.begin(0, 7)
    fresh = env.state_bytes()
    other = make("select_poker")  # This changes upstream's global settings.
    other.begin(0, 7)
    env.begin(1, 7)
    assert env.state_bytes() != fresh
    env.begin(0, 7)
    assert env.state_bytes() == fresh
    env.advance(env.idle_action)
    moved = np.frombuffer(env.state_bytes()) - np.frombuffer(fresh)
    np.testing.assert_allclose(moved, 0, atol=1e-5)


def test_tracks_and_cards_are_listed_without_a_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VLABENCH_ROOT", raising=False)
    family = VLABenchUpstream()
    assert {len(family.tasks(name)) for name in family.benchmarks()} == {10}
    for name in family.benchmarks():
        card = family.protocols()[family.protocol_of(name)]
        assert isinstance(card, UpstreamProtocol)
        assert (card.limit(name), card.track) == (200, BENCHMARKS[name].file)
        assert card.label.startswith("vlabench/track")
        limited = {task for task in card.task_steps if card.task_steps[task] == 100}
        assert limited <= {task.name for task in family.tasks(name)}
    assert family.episodes("vlabench_track2", "insert_flower") == 10
    problem = family.problem(images=False)
    assert problem is not None
    assert "git clone https://github.com/OpenMOSS/VLABench" in problem


BUG = "success, action = env.robot.get_qpos_from_ee_pos"
FIXED = "_, action = env.robot.get_qpos_from_ee_pos"


def test_a_checkout_that_counts_solved_kinematics_is_refused(
    complete_checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not checkout.counts_plans_as_success(complete_checkout / "VLABench" / checkout.EVALUATOR)
    old = copy_checkout(tmp_path / "old")
    evaluator = old / "VLABench" / checkout.EVALUATOR
    evaluator.write_text(evaluator.read_text().replace(FIXED, BUG))
    monkeypatch.setenv("VLABENCH_ROOT", str(old))
    assert "counts a solved inverse kinematics" in str(checkout.problem())
    evaluator.write_text("def evaluate(:\n")
    assert "counts a solved inverse kinematics" in str(checkout.problem())


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("assets/scenes", "python scripts/download_assets.py"),
        ("assets/obj/meshes", "python scripts/download_assets.py"),
        ("envs", "holds no VLABench"),
        ("configs/evaluation/tracks", "lacks track_1_in_distribution.json"),
    ],
)
def test_the_error_names_the_missing_part_of_a_checkout(
    missing: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = copy_checkout(tmp_path / "checkout") / "VLABench"
    monkeypatch.setenv("VLABENCH_ROOT", str(root.parent))
    assert checkout.problem() is None
    (root / missing).rename(tmp_path / "gone")
    assert message in str(checkout.problem())


def test_the_label_depends_on_the_checkout(
    complete_checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = copy_checkout(tmp_path / "other")
    labels = []
    for root in (complete_checkout, other):
        monkeypatch.setenv("VLABENCH_ROOT", str(root))
        labels.append(VLABenchUpstream().protocols()["track1"].label)
    (other / "VLABench" / "tasks" / "__init__.py").write_text('"""Changed."""\n')
    checkout.sources_digest.cache_clear()
    assert labels[0] == labels[1] != VLABenchUpstream().protocols()["track1"].label
    checkout.sources_digest.cache_clear()


@pytest.mark.slow
def test_a_run_in_the_virtual_environment_records_every_crash(
    complete_checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_wheels(tmp_path / "wheels")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    monkeypatch.setenv("ASSAY_ENVS", str(tmp_path / "envs"))
    monkeypatch.setenv("VLABENCH_ROOT", str(complete_checkout))
    # The stand-in checkout does not import upstream's packages.
    bare = replace(VENV, packages=(), alone=(), constraints=None, imports=(), versions=())
    monkeypatch.setattr(families()["vlabench_upstream"], "venv", bare)
    assert build(bare, print)
    out = tmp_path / "run"
    arguments = ["run", "--policy", "zero", "--benchmark", "vlabench_track1", "--workers", "1"]
    arguments += ["--tasks", "select_toy", "--episodes", "3", "--out", str(out)]
    assert run_eval.main(arguments) == EXIT_INCOMPLETE
    records = sorted(Run.existing(out).records().values(), key=lambda r: r.spec.episode)
    assert [record.outcome for record in records] == ["failure", "failure", "error"]
    assert records[BROKEN].reason == "ValueError: this episode does not load"
    assert [record.steps for record in records] == [200, 200, 0]


@pytest.mark.skipif(not REAL, reason="VLABENCH_ROOT names no VLABench checkout")
def test_a_real_checkout_repeats_an_episode_exactly(tmp_path: Path) -> None:
    venv = families()["vlabench_upstream"].venv
    assert venv is not None
    if venv.problem():
        pytest.skip(str(venv.problem()))
    found = []
    for name in ("first", "second"):
        arguments = ["run", "--policy", "zero", "--benchmark", "vlabench_track1/select_poker"]
        assert run_eval.main([*arguments, "--episodes", "1", "--out", str(tmp_path / name)]) == 0
        (record,) = Run.existing(tmp_path / name).records().values()
        found.append(record.deterministic())
    assert found[0] == found[1]
    assert (found[0]["steps"], found[0]["outcome"]) == (100, "failure")
    assert set(found[0]["subgoals"]) == {"is_grasped", "lift", "touched", "intention"}
