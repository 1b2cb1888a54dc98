"""Recording with the benchmarks' own experts and the real workers."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.libero import Libero
from benchmarks.libero.protocol import protocols as libero_protocols
from benchmarks.maniskill import ManiSkill
from benchmarks.maniskill.env import ManiSkillEnv
from benchmarks.maniskill.protocol import DERIVED, protocols
from harness.cli.main import main
from harness.contracts.environment import BenchmarkEnv
from harness.contracts.errors import UsageError
from harness.demonstrations.demonstration import Demonstration
from harness.demonstrations.reader import Demonstrations
from harness.demonstrations.recorder import (
    AFTER_EPISODES,
    FIRST_FRAMES_EPISODES,
    further_episodes,
)
from harness.demonstrations.resize import resize_images
from harness.demonstrations.settings import RecordingSettings
from harness.runs.folder import Run
from policies.learned import LearnedPolicy

ROOT = Path(__file__).parents[3]
TASKS = ("PushCube-v1", "PlugCharger-v1")


def record(out: Path, *extra: str, benchmark: str = "maniskill_rdt", episodes: int = 3) -> int:
    arguments = ["--benchmark", benchmark, "--episodes", str(episodes), "--out", str(out)]
    return main(["record", *arguments, *extra])


def hashes(out: Path) -> dict[str, str]:
    return {
        str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest()
        for folder in ("data", "meta", "shards")
        for path in sorted((out / folder).rglob("*"))
        if path.is_file()
    }


def repeat(env: BenchmarkEnv, shown: Demonstration) -> None:
    """Play a demonstration's actions in its scene and compare every observation."""
    env.begin(shown.episode, shown.seed)
    for step, action in enumerate(shown.action):
        observation = env.observe(tuple(shown.image) if step in shown.image_steps else ())
        np.testing.assert_array_equal(observation["state"], shown.state[step])
        for role, image in observation["image"].items():
            row = shown.image_steps.tolist().index(step)
            np.testing.assert_array_equal(image, shown.image[role][row])
        outcome = env.advance(action)
    assert outcome.success
    env.close()


@pytest.mark.slow
@pytest.mark.libero
def test_an_expert_recovers_from_perturbations(tmp_path: Path) -> None:
    task = ("--tasks", "0", "--perturbations", "0.05")
    for folder in ("one", "two"):
        assert record(tmp_path / folder, *task, benchmark="libero_object", episodes=2) == 0
    assert hashes(tmp_path / "one") == hashes(tmp_path / "two")
    shown = Demonstrations(tmp_path / "one").episode(0)
    assert 0 < len(shown.perturbed_steps) < len(shown) / 2
    # The demonstration holds the expert's action, not the perturbed one.
    family, card = Libero(), libero_protocols()["openpi"]
    env = family.make("libero_object", shown.task, family.demonstration_protocol(card))
    env.begin(shown.episode, shown.seed)
    states = []
    for action in shown.action[: shown.perturbed_steps[0] + 1]:
        states.append(env.observe(())["state"])
        env.advance(action)
    np.testing.assert_array_equal(states, shown.state[: len(states)])
    assert np.abs(env.observe(())["state"] - shown.state[len(states)]).max() > 1e-3
    env.close()


@pytest.mark.slow
@pytest.mark.maniskill
def test_the_expert_takes_over_from_a_policy(tmp_path: Path) -> None:
    after = ("--after", f"vla:{ROOT}/checkpoints/maniskill/blind", "--after-steps", "60")
    extra = ("--tasks", "PushCube-v1", "--protocol", "rdt-small", *after)
    for folder, workers in (("one", "0"), ("two", "1")):
        assert record(tmp_path / folder, *extra, "--workers", workers, episodes=2) == 0
    assert hashes(tmp_path / "one") == hashes(tmp_path / "two")
    data, run = Demonstrations(tmp_path / "one"), Run.existing(tmp_path / "one" / "attempts")
    keys = {each.spec.episode: each.spec.key for each in run.records().values()}
    settings, family, takeovers = RecordingSettings.load(tmp_path / "one"), ManiSkill(), []
    env = family.make(
        "maniskill_rdt", "PushCube-v1", family.demonstration_protocol(protocols()["rdt-small"])
    )
    for shown in map(data.episode, range(2)):
        assert shown.episode >= AFTER_EPISODES
        done = run.actions(keys[shown.episode])
        takeovers.append(settings.takeover(keys[shown.episode]))
        np.testing.assert_array_equal(done[takeovers[-1] :], shown.action)
        env.begin(shown.episode, shown.seed)
        for action in done[: takeovers[-1]]:
            env.advance(action)
        np.testing.assert_array_equal(env.observe(())["state"], shown.state[0])
    assert 0 < max(takeovers) <= 60
    env.close()
    values = json.loads((tmp_path / "one" / "provenance.json").read_text())["recording"]
    assert values["after"] == LearnedPolicy(after[1].partition(":")[2]).spec.name
    assert (values["after_steps"], values["perturbations"], "identity" in values) == (60, 0, False)


@pytest.mark.libero
def test_after_takes_only_a_trained_policy_that_fits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    blind = f"vla:{ROOT}/checkpoints/libero/blind"
    libero = {"benchmark": "libero_object"}
    assert record(tmp_path / "none", "--after", blind, "--after-steps", "0", **libero) == 2
    assert "--after-steps must be at least 1" in capsys.readouterr().err
    assert record(tmp_path / "none", "--after", blind, "--first-frames", "8", **libero) == 2
    assert "leave out --after" in capsys.readouterr().err
    assert record(tmp_path / "none", "--after", "oracle", **libero) == 2
    assert "use a trained policy, not a scripted one" in capsys.readouterr().err
    assert record(tmp_path / "other", "--after", blind) == 2
    assert "disagree about the state" in capsys.readouterr().err
    RecordingSettings((), after=blind, after_steps=9, identity="an-older-one").save(tmp_path)
    assert record(tmp_path, "--after", blind, "--after-steps", "9", **libero) == 2
    assert "another --out" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.maniskill
def test_a_planner_plans_again_after_a_perturbation(tmp_path: Path) -> None:
    task = ("--tasks", "PickCube-v1", "--protocol", "rdt-small", "--perturbations", "0.03")
    for folder in ("one", "two"):
        assert record(tmp_path / folder, *task, episodes=2) == 0
    assert hashes(tmp_path / "one") == hashes(tmp_path / "two")
    shown = next(
        each
        for each in map(Demonstrations(tmp_path / "one").episode, range(2))
        if len(each.perturbed_steps) and each.perturbed_steps[-1] + 2 < len(each)
    )
    # The planner notices the end after one step; then its targets start at the robot's pose.
    last = next(step for step in shown.perturbed_steps if step + 1 not in shown.perturbed_steps)
    apart = np.abs(shown.action[:, :7] - shown.state[:, :7]).max(axis=1)
    assert apart[last + 2] < apart[last + 1]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("demos") / "inline"
    # The first round is enough: six of seven attempts at PlugCharger succeed.
    assert record(out, "--tasks", *TASKS) == 0
    return out


@pytest.mark.slow
@pytest.mark.maniskill
def test_every_task_has_the_wanted_number_and_replays_exactly(recorded: Path) -> None:
    data = Demonstrations(recorded)
    shown = [data.episode(index) for index in range(len(data))]
    assert sorted(one.task for one in shown) == sorted(TASKS * 3)
    for task in TASKS:
        last = [one for one in shown if one.task == task][-1]
        family = ManiSkill()
        protocol = family.demonstration_protocol(protocols()["rdt"])
        assert last.protocol == protocol.label
        repeat(family.make("maniskill_rdt", task, protocol), last)


@pytest.mark.slow
@pytest.mark.maniskill
@pytest.mark.rendering
def test_step_0_always_has_images(tmp_path: Path) -> None:
    extra = ("--tasks", "PushCube-v1", "--protocol", "rdt-small", "--cameras", "main")
    assert record(tmp_path, *extra, "--every", "100000", episodes=1) == 0
    shown = Demonstrations(tmp_path).episode(0)
    assert shown.image_steps.tolist() == [0]
    assert shown.image["main"].shape == (1, 128, 128, 3)


@pytest.mark.slow
@pytest.mark.maniskill
@pytest.mark.rendering
def test_images_after_the_plans_end_are_rendered_once_the_episode_succeeded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    extra = ("--tasks", "PushCube-v1", "--protocol", "rdt-small", "--cameras", "main")
    extra += ("--every", "9", "--perturbations", "0.03")
    assert record(tmp_path / "one", *extra, episodes=1) == 0

    class EndedPlan:
        over = True

        def __init__(self, env: ManiSkillEnv) -> None:
            self.act = planned(env).act

    planned = ManiSkillEnv.expert
    monkeypatch.setattr(ManiSkillEnv, "expert", lambda env: EndedPlan(env))
    assert record(tmp_path / "two", *extra, episodes=1) == 0
    assert hashes(tmp_path / "one") == hashes(tmp_path / "two")


@pytest.mark.slow
@pytest.mark.maniskill
def test_first_frames_are_short_and_of_scenes_without_whole_demonstrations(
    recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # No episode succeeds in three steps; all are recorded, and no success rate is shown.
    assert record(tmp_path, "--tasks", TASKS[0], "--first-frames", "3", episodes=2) == 0
    assert "2/2 episodes, not scored" in capsys.readouterr().err
    data = Demonstrations(tmp_path)
    shown = [data.episode(index) for index in range(len(data))]
    assert [(len(one), one.episode) for one in shown] == [
        (3, FIRST_FRAMES_EPISODES),
        (3, FIRST_FRAMES_EPISODES + 1),
    ]
    facts = json.loads((tmp_path / "provenance.json").read_text())["tasks"]
    assert "success_rate" not in facts[f"maniskill_rdt/{TASKS[0]}"]
    whole = Demonstrations(recorded)
    starts = {whole.episode(index).state[0].tobytes() for index in range(len(whole))}
    assert all(one.state[0].tobytes() not in starts for one in shown)
    assert record(tmp_path, "--tasks", TASKS[0], episodes=2) == 2


@pytest.mark.slow
@pytest.mark.maniskill
def test_workers_record_the_same_bytes(recorded: Path, tmp_path: Path) -> None:
    assert record(tmp_path / "ray", "--tasks", *TASKS, "--workers", "2") == 0
    assert hashes(tmp_path / "ray") == hashes(recorded)


@pytest.mark.slow
@pytest.mark.maniskill
def test_a_killed_recording_continues_to_the_same_bytes(recorded: Path, tmp_path: Path) -> None:
    out = tmp_path / "killed"
    command = [sys.executable, "run_eval.py", "record", "--benchmark", "maniskill_rdt"]
    command += ["--tasks", *TASKS, "--episodes", "3", "--out", str(out)]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    log = out / "attempts" / "episodes.jsonl"
    while not (log.exists() and log.read_text().count("\n") >= 2):
        assert process.poll() is None
    process.kill()
    process.communicate()
    assert not (out / "meta").exists()
    assert record(out, "--tasks", *TASKS) == 0
    assert hashes(out) == hashes(recorded)


@pytest.mark.slow
@pytest.mark.maniskill
def test_failed_episodes_are_replaced_by_further_scenes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "peg"
    assert record(out, benchmark="maniskill/PegInsertionSide-v1", episodes=2) == 0
    assert " of 2 demonstrations so far; " in capsys.readouterr().err
    records = Run.existing(out / "attempts").records().values()
    assert len(records) > sum(bool(one.success) for one in records) >= 2
    assert len(Demonstrations(out)) == 2
    # A later command may want more demonstrations, or fewer.
    for episodes in (3, 1):
        assert record(out, benchmark="maniskill/PegInsertionSide-v1", episodes=episodes) == 0
        assert len(Demonstrations(out)) == episodes


@pytest.mark.slow
@pytest.mark.libero
@pytest.mark.rendering
def test_libero_is_recorded_with_images_in_scenes_of_its_own(tmp_path: Path) -> None:
    out = tmp_path / "libero"
    extra = ("--cameras", "main", "wrist", "--every", "40", "--tasks", "1")
    assert record(out, *extra, benchmark="libero_object", episodes=1) == 0
    shown = Demonstrations(out).episode(0)
    assert set(shown.image) == {"main", "wrist"}
    assert shown.image_steps[0] == 0
    assert np.diff(shown.image_steps[1:]).tolist() == [40] * (len(shown.image_steps) - 2)
    family = Libero()
    card = libero_protocols()["openpi"]
    repeat(family.make("libero_object", shown.task, family.demonstration_protocol(card)), shown)
    official = family.make("libero_object", shown.task, card)
    official.begin(shown.episode, shown.seed)
    assert (official.observe([])["state"] != shown.state[0]).any()
    official.close()


def test_demonstrations_share_no_scene_with_an_evaluation() -> None:
    for card in protocols().values():
        recorded = ManiSkill().demonstration_protocol(card)
        assert recorded.label != card.label
        seeds = [card.scene_seed(seed, 0) for seed in range(100)]
        assert min(seeds) >= (DERIVED if card.first_seed is None else 20241201)
        assert [recorded.scene_seed(7, episode) for episode in (0, 9999)] == [0, 9999]
    for libero in libero_protocols().values():
        assert (
            Libero().demonstration_protocol(libero).rules["init_states"]
            != libero.rules["init_states"]
        )


def test_errors_name_the_option_and_the_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert record(tmp_path / "none", episodes=0) == 2
    assert "--episodes must be at least 1" in capsys.readouterr().err
    assert record(tmp_path / "none", benchmark="points_two") == 2
    assert "points has no scenes for demonstrations" in capsys.readouterr().err
    assert record(tmp_path / "none", "--perturbations", "0.9") == 2
    assert "--perturbations must be from 0 to 0.5" in capsys.readouterr().err
    joints = ("--protocol", "joint", "--perturbations", "0.1")
    assert record(tmp_path / "none", *joints, benchmark="vlabench_lite") == 2
    assert (
        "the expert of vlabench_lite cannot recover from perturbations" in capsys.readouterr().err
    )
    RecordingSettings(("main",), 2).save(tmp_path)
    assert record(tmp_path) == 2
    error = capsys.readouterr().err
    assert "was recorded with other settings" in error
    assert "every: 2 there, 1 here" in error
    (tmp_path / "recording.json").write_text('{"cameras": [], "pushes": 0.1}')
    assert record(tmp_path) == 2
    assert "is not a folder of run_eval.py record" in capsys.readouterr().err


def test_recording_stops_if_the_expert_hardly_ever_succeeds() -> None:
    assert further_episodes("easy", 10, 10, 10) == 0
    assert further_episodes("half", 20, 32, 16) == 11
    assert further_episodes("unlucky", 2, 2, 0) == 6
    with pytest.raises(UsageError, match="only 1 of 20 episodes of hard"):
        further_episodes("hard", 20, 20, 1)


@pytest.mark.slow
@pytest.mark.rendering
def test_images_are_resized_as_policies_resize_them(tmp_path: Path) -> None:
    options = ("--tasks", "select_toy", "--cameras", "main", "--every", "20")
    for folder, more in (("whole", ()), ("small", ("--pixels", "64"))):
        out = tmp_path / folder
        assert record(out, *options, *more, benchmark="vlabench_lite", episodes=1) == 0
    whole, small = (Demonstrations(tmp_path / name).episode(0) for name in ("whole", "small"))
    assert small.image["main"].shape[1:] == (64, 64, 3)
    np.testing.assert_array_equal(small.image["main"], resize_images(whole.image["main"], 64))
    np.testing.assert_array_equal(small.action, whole.action)
