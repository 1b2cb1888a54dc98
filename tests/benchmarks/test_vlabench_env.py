"""VLABench lite's environments: physics, scores, images, experts and the command line."""

import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from numpy.typing import NDArray

import assay  # noqa: F401 - registers the ids
from benchmarks.vlabench import VLABenchLite
from benchmarks.vlabench.catalog import TASKS
from benchmarks.vlabench.control import CONTROLS
from benchmarks.vlabench.env import LiteEnv
from benchmarks.vlabench.protocol import NOTE, TRACKS_VARIABLE, LiteProtocol, protocols
from benchmarks.vlabench.rules import Rules, is_contained
from benchmarks.vlabench.world import SUBSTEPS, World
from harness.cli import main as run_eval
from harness.contracts.environment import StepOutcome
from harness.demonstrations.reader import Demonstrations
from harness.runs.folder import Run
from tests.benchmarks.test_vlabench_catalog import small_track

pytestmark = pytest.mark.vlabench
OPENPI = replace(protocols()["openpi"], camera_size=(64, 64), shadow_size=0)
PAPER = replace(OPENPI, process_score="paper")


def make(task: str, protocol: LiteProtocol = OPENPI) -> LiteEnv:
    return LiteEnv("vlabench_lite", TASKS[task], protocol)


def random_poses(env: LiteEnv, steps: int, seed: int = 0) -> NDArray[np.float32]:
    """Return random poses around the table's middle, which knock things over."""
    noise = np.random.default_rng(seed).uniform(-0.3, 0.3, (steps, 7))
    middle = np.array([0, 0.4, 0.1, np.pi, 0, 0, 0.5])
    return (middle + noise).astype(np.float32)


def played(env: LiteEnv, wrong: bool = False, episode: int = 0) -> list[StepOutcome]:
    """Play an expert and return the outcome of each of its actions."""
    outcomes = [env.begin(episode, 7)]
    expert = env.distractor_expert() if wrong else env.expert()
    while not outcomes[-1].success and env.steps < env.max_steps:
        action = expert.act()
        assert env.action_space.contains(action)
        outcomes.append(env.advance(action))
    return outcomes


@pytest.mark.parametrize("task", TASKS)
def test_the_expert_succeeds(task: str) -> None:
    outcomes = played(make(task))
    assert outcomes[-1].success
    assert outcomes[-1].progress == 1.0
    assert outcomes[0].progress == 0.0
    assert not outcomes[0].subgoals["intention"]


@pytest.mark.parametrize("task", ["select_toy", "select_fruit", "select_poker", "select_painting"])
def test_a_distractor_scores_nothing(task: str) -> None:
    env = make(task, replace(OPENPI, max_steps={"vlabench_lite": 70}, task_steps={}))
    outcomes = played(env, wrong=True)
    assert env.steps == env.max_steps
    assert {outcome.progress for outcome in outcomes} == {0.0}
    assert not any(outcome.success for outcome in outcomes)
    # The expert did with the distractor what the task asks for the target.
    world, wrong = env.world, env.scene.distractor()
    if env.scene.goal == "contain":
        assert is_contained(world, wrong, env.scene.container)
    elif env.scene.goal == "lift":
        assert world.holds(wrong)
        assert world.root(wrong)[2] > 0.9


@pytest.mark.parametrize("name", ["openvla", "joint"])
def test_the_expert_supports_every_action_format(name: str) -> None:
    env = make("select_poker", replace(protocols()[name], camera_size=(64, 64)))
    assert played(env)[-1].success
    assert env.observe([])["state"].shape == (env.state_layout.size,)


@pytest.mark.parametrize("task", ["select_poker", "select_fruit"])
def test_an_episode_does_not_depend_on_earlier_episodes(task: str) -> None:
    def states(env: LiteEnv, episode: int) -> list[bytes]:
        env.begin(episode, 7)
        seen = [env.state_bytes()]
        for action in random_poses(env, 12, episode):
            env.advance(action)
            seen.append(env.state_bytes())
        return seen

    used = make(task)
    before = states(used, 0)
    again = states(used, 3)
    assert again == states(make(task), 3)
    assert again[0] != before[0]
    assert states(used, 0) == before


@pytest.mark.rendering
def test_rendering_does_not_change_the_episode() -> None:
    looking, blind = make("select_painting"), make("select_painting")
    for env in (looking, blind):
        env.begin(2, 7)
    for action in random_poses(looking, 6):
        looking.observe()
        for env in (looking, blind):
            env.advance(action)
    assert looking.state_bytes() == blind.state_bytes()
    one, other = looking.observe()["image"], blind.observe()["image"]
    assert list(one) == ["main", "second", "wrist", "left"]
    for role, picture in one.items():
        np.testing.assert_array_equal(picture, other[role])
        assert picture.std() > 5
    assert len({picture.tobytes() for picture in one.values()}) == 4
    looking.close()
    blind.close()


@pytest.mark.rendering
def test_select_painting_has_a_camera_above_that_openvla_uses() -> None:
    card = replace(protocols()["openvla"], camera_size=(64, 64), shadow_size=0)
    painting, toy = make("select_painting", card), make("select_toy", card)
    for env, same in ((painting, True), (toy, False)):
        env.begin(0, 7)
        seen = env.observe(["main", "left"])["image"]
        assert np.array_equal(seen["main"], seen["left"]) is same
        env.close()
    model = painting.world.model
    assert model.cam("left").pos.tolist() == [0, 0, 2]
    assert toy.world.model.cam("left").pos.tolist() == [-0.775, -0.856, 1.209]


@pytest.mark.rendering
def test_the_quick_card_differs_from_small_in_the_images_edges_alone() -> None:
    small, quick, again = (
        make("select_mahjong", protocols()[n]) for n in ("small", *["quick"] * 2)
    )
    for env in (small, quick, again):
        env.begin(2, 7)
        for action in random_poses(env, 3):
            env.advance(action)
    assert small.state_bytes() == quick.state_bytes()
    assert small.world.model.vis.quality.offsamples == 4
    assert quick.world.model.vis.quality.offsamples == 0
    images, same = quick.observe()["image"], again.observe()["image"]
    for role, smooth in small.observe()["image"].items():
        assert images[role].shape == (128, 128, 3)
        np.testing.assert_array_equal(images[role], same[role])
        changed = (images[role] != smooth).any(axis=-1).mean()
        assert 0.001 < changed < 0.2
    # The hashes of cards with multisampling are as they were before there was a choice.
    assert "multisampling" not in small.protocol.rules
    assert quick.protocol.rules["multisampling"] is False


@pytest.mark.rendering
@pytest.mark.parametrize("card", ["small", "quick"])
def test_images_equal_those_of_mujocos_renderer(card: str) -> None:
    import mujoco  # After `benchmarks`, which chooses its GL backend.

    # One after the other, the models use the same GL context; MuJoCo's renderer makes its own.
    for task in ("select_toy", "select_mahjong", "select_fruit"):
        env = make(task, protocols()[card])
        for episode in (0, 1):
            env.begin(episode, 7)
            theirs = mujoco.Renderer(env.world.model, 128, 128)
            mine = env.observe()["image"]
            for role, camera in env.protocol.views(task).items():
                theirs.update_scene(env.world.data, camera)
                np.testing.assert_array_equal(mine[role], theirs.render(), role)
            theirs.close()
        env.close()


@pytest.mark.rendering
def test_two_threads_render_and_close_each_others_environments() -> None:
    def images(env: LiteEnv) -> bytes:
        return env.observe(["wrist"])["image"]["wrist"].tobytes()

    mine = make("select_poker", protocols()["quick"])
    mine.begin(1, 7)
    wanted, found = images(mine), []

    def beside() -> None:
        env = make("select_poker", protocols()["quick"])
        env.begin(1, 7)
        found.append(images(env))
        mine.close()
        found.append(images(env))
        env.close()

    thread = threading.Thread(target=beside)
    thread.start()
    thread.join()
    mine.begin(1, 7)
    assert [*found, images(mine)] == [wanted] * 3
    mine.close()


@pytest.mark.rendering
def test_the_small_card_changes_only_the_images() -> None:
    small, usual = (make("select_fruit", protocols()[name]) for name in ("small", "openpi"))
    for env in (small, usual):
        env.begin(2, 7)
    for action in random_poses(small, 3):
        for env in (small, usual):
            env.advance(action)
    assert small.state_bytes() == usual.state_bytes()
    assert small.observe(["main"])["image"]["main"].shape == (128, 128, 3)
    assert small.world.model.vis.quality.shadowsize == 0
    assert small.protocol.label != usual.protocol.label
    for env in (small, usual):
        env.close()


def test_ten_steps_last_a_second_and_the_idle_action_holds_the_arm() -> None:
    for name in CONTROLS:
        env = make("select_poker", replace(OPENPI, action=name))
        env.begin(0, 7)
        start, before = env.world.data.time, env.world.joints
        for _ in range(10):
            env.advance(env.idle_action)
        assert env.world.data.time - start == pytest.approx(10 / env.metadata["render_fps"])
        np.testing.assert_allclose(env.world.joints, before, atol=1e-3)


def test_the_state_follows_its_layout() -> None:
    env = make("select_toy")
    env.begin(0, 7)
    position, matrix = env.world.tool
    state = env.observe([])["state"]
    np.testing.assert_allclose(state[:3], position - (0, -0.4, 0.78), atol=1e-6)
    assert state[6] == 0
    close = env.idle_action
    close[6] = 0
    for _ in range(4):
        env.advance(close)
    assert env.observe([])["state"][6] == 1
    np.testing.assert_allclose(env.world.tool[1], matrix, atol=1e-2)


class FakeWorld(World):
    """A world with given facts and no simulation."""

    def __init__(self, goal: str) -> None:
        self.scene: Any = SimpleNamespace(target="it", container="box", goal=goal)
        self.touched, self.height, self.pressed_for, self.away = False, 0.83, 0, 1.0

    @property
    def tool(self) -> Any:
        return np.array([0, 0, self.height + self.away]), np.eye(3)

    def root(self, name: str) -> Any:
        return np.array([0, 0, self.height])

    def is_touched(self, name: str) -> bool:
        return self.touched


def test_the_process_score_of_lifting_follows_the_code_or_the_paper() -> None:
    found = {}
    for score in ("code", "paper"):
        world = FakeWorld("lift")
        rules = Rules(score, world)
        steps = []
        for touched, height in ((False, 0.83), (True, 0.83), (True, 0.91), (False, 0.91)):
            world.touched, world.height = touched, height
            outcome = rules.look()
            steps.append((outcome.success, round(outcome.progress, 3)))
        found[score] = steps
    two_thirds = round(2 / 3, 3)
    # After the fingers let go of the lifted thing, one condition and the earlier touch count.
    assert found["code"] == [(False, 0), (False, two_thirds), (True, 1), (False, two_thirds)]
    assert found["paper"] == [(False, 0), (False, 0.6), (True, 1), (False, 0.6)]
    world.height = 0.83
    assert Rules("code", world).look().progress == 0
    assert rules.look().progress == pytest.approx(0.2)


def test_a_button_is_pressed_after_more_than_ten_substeps() -> None:
    world = FakeWorld("press")
    rules = Rules("code", world)
    for substeps, success in ((0, False), (10, False), (11, True), (0, False)):
        world.pressed_for = substeps
        outcome = rules.look()
        assert (outcome.success, outcome.progress) == (success, float(success))
    world.away = 0.09
    assert rules.look().subgoals["intention"]
    world.away = 1.0
    assert rules.look().subgoals["intention"]


def test_a_press_with_too_much_force_does_not_count() -> None:
    env = make("select_painting")
    env.begin(0, 7)
    world, expert = env.world, env.expert()
    while not world.data.sensor(env.scene.target).data[0]:
        env.advance(expert.act())
    force = world.data.sensor(env.scene.target).data
    assert world.pressed_for > 0
    # The cap is at its stop, and the arm keeps pushing.
    hard = env.idle_action
    hard[2] -= 0.03
    for _ in range(5):
        outcome = env.advance(hard)
    assert force[0] > 100
    assert world.pressed_for == 0
    assert not outcome.success
    assert SUBSTEPS == 100


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.rendering
def test_a_task_is_a_gymnasium_environment() -> None:
    env = gymnasium.make("vlabench_lite/select_painting-v0", protocol="openpi")
    assert isinstance(env.unwrapped, LiteEnv)
    # Small images make the check faster.
    check_env(make("select_painting"), skip_render_check=True)


def test_an_episode_of_a_track_has_its_scene(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_track(tmp_path)
    monkeypatch.setenv(TRACKS_VARIABLE, str(tmp_path))
    env = make("select_fruit", protocols()["track4"])
    assert played(env)[-1].success
    assert env.instruction == "Something sweet, please."
    np.testing.assert_allclose(env.world.base("pear")[:2], [0.2, 0], atol=0.01)


@pytest.mark.slow
def test_inline_and_two_workers_record_the_same_with_the_note(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small_track(tmp_path)
    plan = tmp_path / "plan.yaml"
    plan.write_text(
        "policies: [oracle, oracle-wrong]\nepisodes: 1\nbenchmarks:\n"
        "  - {name: vlabench_lite, tasks: [select_poker, select_painting]}\n"
        "  - {name: vlabench_lite, tasks: [select_fruit], protocol: "
        f"'track4,tracks={tmp_path}'}}\n"
    )
    logs = {}
    for name, workers in (("inline", "0"), ("ray", "2")):
        arguments = ["run", "--plan", str(plan), "--out", str(tmp_path / name)]
        assert run_eval.main([*arguments, "--workers", workers]) == 0, capsys.readouterr().err
        records = Run.existing(tmp_path / name).records()
        logs[name] = [record.deterministic() for _, record in sorted(records.items())]
        assert NOTE in (tmp_path / name / "tables" / "summary.md").read_text()
    assert logs["inline"] == logs["ray"]
    scored = {(one["policy"], one["success"], one["progress"]) for one in logs["ray"]}
    assert scored == {("oracle", True, 1.0), ("oracle-wrong", False, 0.0)}


def test_demonstrations_are_recorded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "demos"
    command = [
        "record",
        "--benchmark",
        "vlabench_lite/select_poker",
        "--episodes",
        "2",
        "--out",
        str(out),
    ]
    assert run_eval.main(command) == 0
    assert NOTE in capsys.readouterr().out
    shown = Demonstrations(out).episode(0)
    family = VLABenchLite()
    env = family.make(
        "vlabench_lite", shown.task, family.demonstration_protocol(protocols()["openpi"])
    )
    env.begin(shown.episode, shown.seed)
    for step, action in enumerate(shown.action):
        np.testing.assert_array_equal(env.observe([])["state"], shown.state[step])
        outcome = env.advance(action)
    assert outcome.success
