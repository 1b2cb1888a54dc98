"""Policies in a user's own file: plain Python, and LeRobot's interface."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from assay_points import PointEnv

from harness.backends.inline import run_inline
from harness.contracts.errors import PolicyCrashed, UsageError
from harness.contracts.policy import Query
from harness.contracts.registry import make_policy
from harness.contracts.spec import keyed_stream
from harness.inference.batcher import Batcher, Request
from harness.inference.memories import Place
from harness.runs.plan import BenchmarkRequest, Plan, Work, resolve
from harness.serving.server import PolicyServer, Serving
from policies.seeded import seeded
from tests.helpers.plays import inline

PLAIN = """
import numpy as np

def act(observation, stream):
    noise = 0.5 * stream.normal(size=2)
    return np.tile(np.clip(-observation["state"] + noise, -1, 1).astype(np.float32), (6, 1))

def careless(observation):
    noise = np.random.normal(size=2)
    return np.tile(-observation["state"] + 0.1 * noise, (6, 1))

class Loaded:
    name = "loaded.5"
    cameras = ("main",)
    image_size, chunk_length = (8, 8), 6
    built = 0
    def __init__(self):
        Loaded.built += 1
    def __call__(self, observation):
        assert observation["image"]["main"].shape == (8, 8, 3)
        return np.tile(-observation["state"], (6, 1))

def not_callable():
    return object()

misnamed = lambda observation: None
misnamed.name = "a/b"
one_camera = lambda observation: None
one_camera.cameras = "main"
one_file = lambda observation: None
one_file.files = "no.pt"
number = 5

class Step:
    files = ["weights.txt"]
    def __init__(self, checkpoint="", gain=1):
        self.gain = gain
    def __call__(self, observation):
        return np.tile(-self.gain * observation["state"], (6, 1)).astype(np.float32)

class Needy(Step):
    def __init__(self, weights, gain):
        pass

class Lost(Step):
    files = ["no.pt"]

class Mean:
    def __call__(self, observation, memory):
        seen = memory.setdefault("seen", [])
        seen.append(observation["state"])
        return np.tile(np.clip(-0.2 * sum(seen), -1, 1), (6, 1)).astype(np.float32)

class NoisyMean(Mean):
    def __call__(self, observation, rng, memory):
        return super().__call__(observation, memory) + 0.01 * rng.normal(size=2)

class Optional(Mean):
    def __call__(self, observation, memory=None):
        return super().__call__(observation, memory)

class Batched:
    sizes = []
    def __call__(self, observation):
        return self.batch([observation])[0]
    def batch(self, observations):
        self.sizes.append(len(observations))
        return np.stack([np.tile(-o["state"], (6, 1)) for o in observations])

class Blind:
    cameras = ("main",)
    def __call__(self, observation):
        return observation["image"]["wrist"]
"""

KEY = np.array([1, 2], np.uint64)

LEROBOT = """
from collections import deque
import torch

class Act:
    '''Implements LeRobot's interface with a queue, and draws from PyTorch's generator.'''
    cameras = ("main",)
    keys = {"main": "observation.images.image"}
    def __init__(self):
        self.reset()
    def reset(self):
        self._queue = deque()
    @torch.no_grad()
    def predict_action_chunk(self, batch):
        image, (task,) = batch["observation.images.image"], batch["task"]
        assert image.shape == (1, 3, 8, 8) and image.dtype == torch.float32 and "reach" in task
        mean = -batch["observation.state"].unsqueeze(1).repeat(1, 8, 1)
        return mean + 0.2 * torch.randn(mean.shape)
    def select_action(self, batch):
        if not self._queue:
            self._queue.extend(self.predict_action_chunk(batch)[:, :4].transpose(0, 1))
        return self._queue.popleft()

def make():
    return Act()
make.cameras, make.name = Act.cameras, "made"

class Broken:
    def select_action(self, batch):
        return None
"""


EVERY_OBSERVATION = LEROBOT.replace("predict_action_chunk", "_predict").replace(
    "    cameras = (",
    "    class config:\n        device, n_obs_steps, n_action_steps = 'cpu', 2, 4\n    cameras = (",
    1,
)
"""A policy that has to see every observation."""


@pytest.fixture
def plain(tmp_path: Path) -> str:
    (tmp_path / "my_policy.py").write_text(PLAIN)
    (tmp_path / "weights.txt").write_text("1")
    return f"python:{tmp_path}/my_policy.py"


@pytest.fixture
def lerobot(tmp_path: Path) -> str:
    (tmp_path / "my_lerobot.py").write_text(LEROBOT)
    return f"{tmp_path}/my_lerobot.py"


def work(policy: str, episodes: int = 4) -> Work:
    return resolve(Plan((policy,), (BenchmarkRequest("points_two"),), episodes))


def in_order(plan: Work, order: Sequence[int]) -> list[dict[str, Any]]:
    """Play the episodes in the given order; return the records in the plan's order."""
    specs = [plan.specs[index] for index in order]
    records = {e.record.spec.key: e.record for e in run_inline(plan, specs, print)}
    return [records[spec.key].deterministic() for spec in plan.specs]


def test_function_with_two_arguments_gets_the_random_stream(plain: str) -> None:
    plan, built_in = work(f"{plain}:act"), work("homing")
    assert plan.specs[0].policy.startswith("act@")
    policy, homing = plan.policies[plan.specs[0].policy], built_in.policies["homing"]
    policy.load()
    env = PointEnv("left", 30)
    env.begin(0, 7)
    key = np.array([1, 2], np.uint64)
    (chunk,) = policy.infer([Query(env.observe(()), keyed_stream(key))])
    (expected,) = homing.infer([Query(env.observe(()), keyed_stream(key))])
    np.testing.assert_array_equal(chunk, expected)


@pytest.mark.parametrize(
    "name",
    ["act", "careless", "Loaded", "Step,gain=0.5", "Mean", "NoisyMean", "Optional", "Batched"],
)
def test_records_do_not_depend_on_the_order_of_episodes(plain: str, name: str) -> None:
    plan = work(f"{plain}:{name}")
    assert in_order(plan, range(7, -1, -1)) == inline(plan)


def test_class_attributes_give_the_spec_and_load_creates_the_object(plain: str) -> None:
    policy: Any = make_policy(f"{plain}:Loaded")
    assert policy.spec.name.startswith("loaded.5@")
    assert policy.spec.cameras == ("main",)
    assert (policy.spec.image_size, policy.spec.chunk_length) == ((8, 8), 6)
    assert policy._imported.target.built == 0
    policy.load()
    assert policy._imported.target.built == 1


def test_edited_file_is_another_policy(plain: str, tmp_path: Path) -> None:
    before = make_policy(f"{plain}:act").spec.name
    assert make_policy(f"{plain}:act").spec.name == before
    (tmp_path / "my_policy.py").write_text(PLAIN.replace("0.5 *", "0.4 *"))
    assert make_policy(f"{plain}:act").spec.name != before


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("atc", "unknown class or function in .*my_policy.py 'atc'; did you mean act"),
        ("Step,chekpoint=a", r"unknown argument of .* 'chekpoint'; did you mean checkpoint"),
        ("Needy", r"needs weights, gain; write .*:Needy,weights=VALUE,gain=VALUE"),
        ("Needy,gain=1", r"needs weights; write .*:Needy,gain=1,weights=VALUE"),
        ("Step,checkpoint", r"'checkpoint' in .* is not ARGUMENT=VALUE"),
        ("Step,gain=1,gain=2", "gives gain twice"),
        ("Lost", "names .*no.pt in files, and it does not exist"),
        ("one_file", r"write files = \['no.pt'\]"),
        ("number", "number in .* must be a class or a function"),
        ("misnamed", "the name 'a/b' of .* may only have letters"),
        ("one_camera", r"write cameras = \('main',\)"),
        ("not_callable", "cannot be called with an observation; give it __call__"),
    ],
)
def test_error_for_a_wrong_name_names_the_fix(plain: str, name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make_policy(f"{plain}:{name}").load()


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("python:", r"needs FILE.py:NAME\[,ARGUMENT=VALUE,...\]: write python:FILE.py:NAME"),
        ("python:mine.py", "'mine.py' is not FILE.py:NAME"),
        ("python:/nowhere/mine.py:act", "there is no file /nowhere/mine.py"),
        ("python:no.such.module:act", "cannot import no.such.module: No module named"),
    ],
)
def test_error_for_a_wrong_file_or_module_names_it(reference: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make_policy(reference)


def test_failed_import_shows_the_error_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("raise OSError('no weights')")
    for _ in range(2):
        with pytest.raises(PolicyCrashed, match=r"OSError: no weights \(mine.py:1\)"):
            make_policy(f"python:{tmp_path}/mine.py:act")


def test_identity_contains_arguments_and_the_files_that_are_named(
    plain: str, tmp_path: Path
) -> None:
    checkpoint = tmp_path / "20k.pt"
    checkpoint.write_text("1")

    def name(arguments: str) -> str:
        return make_policy(f"{plain}:Step{arguments}").spec.name

    plain_name, stepped = name(""), name(f",checkpoint={checkpoint},gain=2")
    assert stepped.startswith("Step,checkpoint=20k.pt,gain=2@")
    assert len({plain_name, stepped, name(",gain=2"), name(",gain=2.0")}) == 4
    checkpoint.write_text("2")
    assert name(f",checkpoint={checkpoint},gain=2") != stepped
    (tmp_path / "weights.txt").write_text("2")
    assert name("") != plain_name
    files = make_policy(f"{plain}:Step,checkpoint={checkpoint}").files
    assert sorted(Path(path).name for path in files) == ["20k.pt", "weights.txt"]


def test_a_policy_that_executes_another_number_of_actions_than_the_protocol_is_refused(
    tmp_path: Path,
) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    (tmp_path / "act.py").write_text(EVERY_OBSERVATION)
    plan = work(f"lerobot:{tmp_path}/act.py:Act", 1)
    assert len(list(run_inline(plan, plan.specs, print))) == 2  # This card executes 4.
    requests = (BenchmarkRequest("points_two", protocol="tenth"),)
    plan = resolve(Plan((f"lerobot:{tmp_path}/act.py:Act",), requests, 1))
    with pytest.raises(UsageError, match=r"executes 4 .* points/tenth says 10; add --replan 4"):
        list(run_inline(plan, plan.specs, print))


def test_batch_of_an_object_is_used_only_where_fast_batches_are_allowed(plain: str) -> None:
    observation: Any = {"image": {}, "state": np.ones(2, np.float32), "instruction": ""}
    chunks = {}
    for batching in ("exact", "fast"):
        batcher = Batcher(f"{plain}:Batched", 0.0, 4, 0.0, batching)
        requests = [Request(Query(observation, keyed_stream(KEY)), Place(str(k), 0)) for k in "ab"]
        answers: Any = batcher.infer_batch(requests)
        chunks[batching] = [answer.chunk for answer in answers]
        assert batcher._max_batch == (4 if batching == "fast" else 1)
        assert [answer.inexact for answer in answers] == [True, True]
    np.testing.assert_array_equal(chunks["exact"], chunks["fast"])


def test_a_missing_image_names_the_cameras(plain: str) -> None:
    plan = work(f"{plain}:Blind", 1)
    (episode, _) = run_inline(plan, plan.specs, print)
    hint = "'wrist' is not in the policy's cameras = ('main',); add it there"
    assert hint in episode.record.reason
    assert "(my_policy.py:" in episode.record.reason


def test_global_generators_are_seeded_from_the_stream_and_restored() -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")

    def draw() -> list[float]:
        return [random.random(), float(np.random.random()), float(torch.rand(()))]

    def seeded_draw(key: int) -> list[float]:
        with seeded(keyed_stream(np.array([key, 0], np.uint64))):
            return draw()

    def seed_all() -> None:
        for seed in (random.seed, np.random.seed, torch.manual_seed):
            seed(1)

    seed_all()
    undisturbed = [draw(), draw()]
    seed_all()
    first, drawn, second = draw(), seeded_draw(5), draw()
    assert [first, second] == undisturbed
    assert seeded_draw(5) == drawn
    assert not set(seeded_draw(6)) & set(drawn)


@pytest.mark.parametrize("code", [LEROBOT, EVERY_OBSERVATION])
@pytest.mark.parametrize("name", ["Act", "make"])
def test_lerobot_policy_keeps_no_state_between_episodes(
    tmp_path: Path, code: str, name: str
) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    (tmp_path / "act.py").write_text(code)
    plan = work(f"lerobot:{tmp_path}/act.py:{name}")
    expected = inline(plan)
    assert {record["outcome"] for record in expected} <= {"success", "failure"}
    assert in_order(plan, [3, 1, 2, 0, 7, 5, 6, 4]) == expected


def test_a_lerobot_policy_that_needs_every_observation_cannot_be_served(
    lerobot: str, tmp_path: Path
) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    (tmp_path / "act.py").write_text(EVERY_OBSERVATION)
    with pytest.raises(UsageError, match="needs the simulator, so it cannot be served"):
        PolicyServer(Serving(reference=f"lerobot:{tmp_path}/act.py:Act", port=0), print)
    assert not make_policy(f"lerobot:{lerobot}:Act").needs_env


def test_images_are_drawn_once_for_each_chunk_of_a_lerobot_policy(lerobot: str) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    plan = work(f"lerobot:{lerobot}:Act", 1)
    for episode in run_inline(plan, plan.specs, print):
        # The card executes 4 of a chunk's 8 actions.
        assert episode.record.chunks == -(-episode.record.steps // 4)


def test_a_lerobot_policy_that_needs_every_observation_must_say_so(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    (tmp_path / "act.py").write_text(EVERY_OBSERVATION.replace("_predict", "predict_action_chunk"))
    with pytest.raises(UsageError, match="leave out its predict_action_chunk"):
        make_policy(f"lerobot:{tmp_path}/act.py:Act").load()


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("lerobot:{}:Broken", r"Broken needs the method reset; give it LeRobot's select_action"),
        ("python:{}:Broken", "cannot be called with an observation; write lerobot:"),
    ],
)
def test_object_without_the_required_methods_is_refused(
    lerobot: str, reference: str, message: str
) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    with pytest.raises(UsageError, match=message):
        make_policy(reference.format(lerobot)).load()
