"""Demonstrations from the real experts, through the real workers."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import demos
from benchmarks.demos import ELSEWHERE, LED
from benchmarks.libero import Libero
from benchmarks.libero.protocol import protocols as libero_protocols
from benchmarks.maniskill import ManiSkill
from benchmarks.maniskill.env import ManiSkillEnv
from benchmarks.maniskill.protocol import DERIVED, protocols
from harness.contracts.environment import BenchmarkEnv
from harness.demonstrations.demonstration import Demonstration
from harness.demonstrations.reader import Demonstrations
from harness.demonstrations.recording import Recording
from harness.runs.folder import Run
from policies.learned import LearnedPolicy
from policies.vla.preparation import as_bytes

ROOT = Path(__file__).parent.parent.parent
TASKS = ("PushCube-v1", "PlugCharger-v1")


def record(out: Path, *extra: str, benchmark: str = "maniskill_rdt", episodes: int = 3) -> int:
    arguments = ["--benchmark", benchmark, "--episodes", str(episodes), "--out", str(out)]
    return demos.main([*arguments, *extra])


def hashes(out: Path) -> dict[str, str]:
    return {
        str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest()
        for folder in ("data", "meta", "parts")
        for path in sorted((out / folder).rglob("*"))
        if path.is_file()
    }


def repeat(env: BenchmarkEnv, shown: Demonstration) -> None:
    """Play a demonstration's actions on its scene and compare what is sensed on the way."""
    env.begin(shown.episode, shown.seed)
    for step, action in enumerate(shown.action):
        observation = env.observe(tuple(shown.image) if step in shown.looked else ())
        np.testing.assert_array_equal(observation["state"], shown.state[step])
        for role, picture in observation["image"].items():
            at = shown.looked.tolist().index(step)
            np.testing.assert_array_equal(picture, shown.image[role][at])
        outcome = env.advance(action)
    assert outcome.success
    env.close()


@pytest.mark.libero
def test_an_expert_that_is_pushed_comes_back(tmp_path: Path) -> None:
    task = ("--tasks", "0", "--pushes", "0.05")
    for folder in ("one", "two"):
        assert record(tmp_path / folder, *task, benchmark="libero_object", episodes=2) == 0
    assert hashes(tmp_path / "one") == hashes(tmp_path / "two")
    shown = Demonstrations(tmp_path / "one").episode(0)
    assert 0 < len(shown.pushed) < len(shown) / 2
    # What is written is what the expert wants, not what was done.
    family, card = Libero(), libero_protocols()["openpi"]
    env = family.make("libero_object", shown.task, family.demonstration_protocol(card))
    env.begin(shown.episode, shown.seed)
    sensed = []
    for action in shown.action[: shown.pushed[0] + 1]:
        sensed.append(env.observe(())["state"])
        env.advance(action)
    np.testing.assert_array_equal(sensed, shown.state[: len(sensed)])
    assert np.abs(env.observe(())["state"] - shown.state[len(sensed)]).max() > 1e-3
    env.close()


@pytest.mark.maniskill
def test_the_expert_takes_over_from_a_policy(tmp_path: Path) -> None:
    after = ("--after", f"vla:{ROOT}/checkpoints/maniskill/blind", "--after-steps", "60")
    extra = ("--tasks", "PushCube-v1", "--protocol", "rdt-small", *after)
    for folder, workers in (("one", "0"), ("two", "1")):
        assert record(tmp_path / folder, *extra, "--workers", workers, episodes=2) == 0
    assert hashes(tmp_path / "one") == hashes(tmp_path / "two")
    data, run = Demonstrations(tmp_path / "one"), Run.existing(tmp_path / "one" / "attempts")
    played = {each.spec.episode: each.spec.key for each in run.records().values()}
    recording, family, led = Recording.load(tmp_path / "one"), ManiSkill(), []
    env = family.make(
        "maniskill_rdt", "PushCube-v1", family.demonstration_protocol(protocols()["rdt-small"])
    )
    for shown in map(data.episode, range(2)):
        assert shown.episode >= LED
        done = run.actions(played[shown.episode])
        led.append(recording.led(played[shown.episode]))
        np.testing.assert_array_equal(done[led[-1] :], shown.action)
        env.begin(shown.episode, shown.seed)
        for action in done[: led[-1]]:
            env.advance(action)
        np.testing.assert_array_equal(env.observe(())["state"], shown.state[0])
    assert 0 < max(led) <= 60
    env.close()
    told = json.loads((tmp_path / "one" / "provenance.json").read_text())["recording"]
    assert told["after"] == LearnedPolicy(after[1].partition(":")[2]).spec.name
    assert (told["after_steps"], told["pushes"], "identity" in told) == (60, 0, False)


@pytest.mark.libero
def test_who_may_play_before_the_expert(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blind = f"vla:{ROOT}/checkpoints/libero/blind"
    libero = {"benchmark": "libero_object"}
    assert record(tmp_path / "none", "--after", blind, "--after-steps", "0", **libero) == 2
    assert "--after-steps must be at least 1" in capsys.readouterr().err
    assert record(tmp_path / "none", "--after", blind, "--beginnings", "8", **libero) == 2
    assert "no --after" in capsys.readouterr().err
    assert record(tmp_path / "none", "--after", "oracle", **libero) == 2
    assert "a policy that is trained is wanted" in capsys.readouterr().err
    assert record(tmp_path / "other", "--after", blind) == 2
    assert "disagree about the state" in capsys.readouterr().err
    Recording((), after=blind, after_steps=9, identity="an-older-one").save(tmp_path)
    assert record(tmp_path, "--after", blind, "--after-steps", "9", **libero) == 2
    assert "another --out" in capsys.readouterr().err


@pytest.mark.maniskill
def test_a_plan_is_made_anew_after_a_push(tmp_path: Path) -> None:
    task = ("--tasks", "PickCube-v1", "--protocol", "rdt-small", "--pushes", "0.03")
    for folder in ("one", "two"):
        assert record(tmp_path / folder, *task, episodes=2) == 0
    assert hashes(tmp_path / "one") == hashes(tmp_path / "two")
    shown = next(
        each
        for each in map(Demonstrations(tmp_path / "one").episode, range(2))
        if len(each.pushed) and each.pushed[-1] + 2 < len(each)
    )
    # One step to see that it is over, and the targets begin again where the robot is.
    last = next(step for step in shown.pushed if step + 1 not in shown.pushed)
    apart = np.abs(shown.action[:, :7] - shown.state[:, :7]).max(axis=1)
    assert apart[last + 2] < apart[last + 1]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("demos") / "inline"
    # Seven attempts at PlugCharger give six successes, so three are had in one round.
    assert record(out, "--tasks", *TASKS) == 0
    return out


@pytest.mark.maniskill
def test_every_task_has_as_many_as_were_asked_for_and_they_repeat(recorded: Path) -> None:
    data = Demonstrations(recorded)
    shown = [data.episode(index) for index in range(len(data))]
    assert sorted(one.task for one in shown) == sorted(TASKS * 3)
    for task in TASKS:
        last = [one for one in shown if one.task == task][-1]
        family = ManiSkill()
        protocol = family.demonstration_protocol(protocols()["rdt"])
        assert last.protocol == protocol.label
        repeat(family.make("maniskill_rdt", task, protocol), last)


@pytest.mark.maniskill
@pytest.mark.rendering
def test_an_episode_that_ends_before_its_first_look_shows_how_it_began(tmp_path: Path) -> None:
    extra = ("--tasks", "PushCube-v1", "--protocol", "rdt-small", "--cameras", "main")
    assert record(tmp_path, *extra, "--every", "100000", episodes=1) == 0
    shown = Demonstrations(tmp_path).episode(0)
    assert shown.looked.tolist() == [0]
    assert shown.image["main"].shape == (1, 128, 128, 3)


@pytest.mark.maniskill
@pytest.mark.rendering
def test_who_succeeds_after_the_plan_s_end_has_all_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    extra = ("--tasks", "PushCube-v1", "--protocol", "rdt-small", "--cameras", "main")
    extra += ("--every", "9", "--pushes", "0.03")
    assert record(tmp_path / "one", *extra, episodes=1) == 0

    class AtItsEnd:
        over = True

        def __init__(self, env: ManiSkillEnv) -> None:
            self.act = planned(env).act

    planned = ManiSkillEnv.expert
    monkeypatch.setattr(ManiSkillEnv, "expert", lambda env: AtItsEnd(env))
    assert record(tmp_path / "two", *extra, episodes=1) == 0
    assert hashes(tmp_path / "one") == hashes(tmp_path / "two")


@pytest.mark.maniskill
def test_beginnings_are_short_and_of_scenes_that_no_whole_demonstration_has(
    recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Nothing is mastered in three steps, and yet they are kept, and no rate is shown.
    assert record(tmp_path, "--tasks", TASKS[0], "--beginnings", "3", episodes=2) == 0
    assert "2/2 episodes, beginnings, not scored" in capsys.readouterr().err
    data = Demonstrations(tmp_path)
    shown = [data.episode(index) for index in range(len(data))]
    assert [(len(one), one.episode) for one in shown] == [(3, ELSEWHERE), (3, ELSEWHERE + 1)]
    facts = json.loads((tmp_path / "provenance.json").read_text())["tasks"]
    assert "success_rate" not in facts[f"maniskill_rdt/{TASKS[0]}"]  # Nobody measured it.
    whole = Demonstrations(recorded)
    starts = {whole.episode(index).state[0].tobytes() for index in range(len(whole))}
    assert all(one.state[0].tobytes() not in starts for one in shown)
    assert record(tmp_path, "--tasks", TASKS[0], episodes=2) == 2


@pytest.mark.maniskill
def test_workers_record_the_same_bytes(recorded: Path, tmp_path: Path) -> None:
    assert record(tmp_path / "ray", "--tasks", *TASKS, "--workers", "2") == 0
    assert hashes(tmp_path / "ray") == hashes(recorded)


@pytest.mark.maniskill
def test_a_killed_recording_continues_to_the_same_bytes(recorded: Path, tmp_path: Path) -> None:
    out = tmp_path / "killed"
    command = [sys.executable, "-m", "benchmarks.demos", "--benchmark", "maniskill_rdt"]
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


@pytest.mark.maniskill
def test_what_the_expert_misses_is_tried_on_further_scenes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "peg"
    assert record(out, benchmark="maniskill/PegInsertionSide-v1", episodes=2) == 0
    assert " of 2 demonstrations so far; " in capsys.readouterr().err
    records = Run.existing(out / "attempts").records().values()
    assert len(records) > sum(bool(one.success) for one in records) >= 2
    assert len(Demonstrations(out)) == 2
    # More may be wanted later, or fewer.
    for episodes in (3, 1):
        assert record(out, benchmark="maniskill/PegInsertionSide-v1", episodes=episodes) == 0
        assert len(Demonstrations(out)) == episodes


@pytest.mark.libero
@pytest.mark.rendering
def test_libero_is_recorded_at_scenes_of_its_own_with_pictures(tmp_path: Path) -> None:
    out = tmp_path / "libero"
    extra = ("--cameras", "main", "wrist", "--every", "40", "--tasks", "1")
    assert record(out, *extra, benchmark="libero_object", episodes=1) == 0
    shown = Demonstrations(out).episode(0)
    assert set(shown.image) == {"main", "wrist"}
    assert shown.looked[0] == 0  # Where it has to be decided where to go.
    assert np.diff(shown.looked[1:]).tolist() == [40] * (len(shown.looked) - 2)
    family = Libero()
    card = libero_protocols()["openpi"]
    repeat(family.make("libero_object", shown.task, family.demonstration_protocol(card)), shown)
    official = family.make("libero_object", shown.task, card)
    official.begin(shown.episode, shown.seed)
    assert (official.observe([])["state"] != shown.state[0]).any()
    official.close()


def test_no_evaluation_has_the_scenes_of_demonstrations() -> None:
    for card in protocols().values():
        rehearsal = ManiSkill().demonstration_protocol(card)
        assert rehearsal.label != card.label
        seeds = [card.scene_seed(seed, 0) for seed in range(100)]
        assert min(seeds) >= (DERIVED if card.first_seed is None else 20241201)
        assert [rehearsal.scene_seed(7, episode) for episode in (0, 9999)] == [0, 9999]
    for libero in libero_protocols().values():
        assert (
            Libero().demonstration_protocol(libero).rules["init_states"]
            != libero.rules["init_states"]
        )


def test_mistakes_are_explained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert record(tmp_path / "none", episodes=0) == 2
    assert "--episodes must be at least 1" in capsys.readouterr().err
    assert record(tmp_path / "none", benchmark="points_two") == 2
    assert "points has no scenes for demonstrations" in capsys.readouterr().err
    assert record(tmp_path / "none", "--pushes", "0.9") == 2
    assert "--pushes must be from 0 to 0.5" in capsys.readouterr().err
    joints = ("--protocol", "joint", "--pushes", "0.1")
    assert record(tmp_path / "none", *joints, benchmark="vlabench_lite") == 2
    assert "the expert of vlabench_lite would not come back" in capsys.readouterr().err
    demos.Recording(("main",), 2).save(tmp_path)
    assert record(tmp_path) == 2
    assert "holds demonstrations of other pictures" in capsys.readouterr().err


def test_an_expert_that_masters_nothing_is_given_up() -> None:
    assert demos.further("easy", 10, 10, 10) == 0
    assert demos.further("half", 20, 32, 16) == 11
    assert demos.further("unlucky", 2, 2, 0) == 6
    with pytest.raises(demos.UsageError, match="mastered 1 of 20 episodes of hard"):
        demos.further("hard", 20, 20, 1)


@pytest.mark.rendering
def test_pictures_may_be_kept_as_small_as_a_policy_takes_them(tmp_path: Path) -> None:
    looks = ("--tasks", "select_toy", "--cameras", "main", "--every", "20")
    for folder, more in (("whole", ()), ("small", ("--pixels", "64"))):
        out = tmp_path / folder
        assert record(out, *looks, *more, benchmark="vlabench_lite", episodes=1) == 0
    whole, small = (Demonstrations(tmp_path / name).episode(0) for name in ("whole", "small"))
    assert small.image["main"].shape[1:] == (64, 64, 3)
    np.testing.assert_array_equal(small.image["main"], as_bytes(whole.image["main"], 64))
    np.testing.assert_array_equal(small.action, whole.action)
