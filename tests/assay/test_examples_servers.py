"""The examples that play one's own or somebody else's policy, each on LIBERO."""

import importlib.util
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.libero import Libero
from harness.contracts.ablation import Ablation
from harness.contracts.environment import BenchmarkEnv
from harness.contracts.errors import PolicyCrashed
from harness.contracts.policy import check_compatible, load
from harness.play.meter import Meter
from harness.play.rollout import run_episode
from harness.runs.plan import BenchmarkRequest, Plan, resolve
from tests.helpers.other_servers import MOTION, Array, gr00t, openpi, openvla_oft, vla_eval

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
STEPS = 12
INSTRUCTION = "pick up the alphabet soup and place it in the basket"
pytestmark = [pytest.mark.libero, pytest.mark.rendering, pytest.mark.slow]


@pytest.fixture(scope="module")
def table() -> Iterator[BenchmarkEnv]:
    """A simulator of libero_object's first task, for short episodes."""
    family = Libero()
    task = family.tasks("libero_object")[0].name
    env = family.make("libero_object", task, family.protocols()["openpi"])
    env.max_steps = STEPS
    yield env
    env.close()


def played(env: BenchmarkEnv, reference: str, protocol: str = "openpi", replan: str = "") -> Array:
    """Play one short episode, as a run does; return the executed actions."""
    request = BenchmarkRequest("libero_object", ("0",), protocol + replan)
    work = resolve(Plan((reference,), (request,), 1))
    (spec,), (setup,) = work.specs, work.setups
    policy = work.policies[spec.policy]
    check_compatible(policy.spec, env)
    load(policy)
    episode = run_episode(env, policy, Ablation(spec), setup.protocol, Meter())
    assert episode.record.steps == STEPS
    return episode.actions


def first_look(env: BenchmarkEnv) -> Any:
    """Return what a policy sees first in the episode that `played` plays."""
    env.begin(0, 7)
    return env.observe(("main", "wrist"))


def example(folder: str, file: str) -> Any:
    """Import a file of an example."""
    spec = importlib.util.spec_from_file_location(file[:-3], EXAMPLES / folder / file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "file", sorted(EXAMPLES.glob("*/*.*")), ids=lambda f: f"{f.parent.name}-{f.name}"
)
def test_an_example_is_short_and_explained(file: Path) -> None:
    if file.parent.name in ("add_a_benchmark", "__pycache__"):
        return
    assert len(file.read_text().splitlines()) <= 80
    assert f"examples/{file.parent.name}" in (ROOT / "docs" / "examples.md").read_text()


# --- Your own checkpoint ---


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own") / "checkpoint"
    script = EXAMPLES / "own_checkpoint" / "make_checkpoint.py"
    subprocess.run([sys.executable, str(script), str(folder)], check=True)
    return folder


def test_own_checkpoint_acts_on_what_it_was_trained_on(
    table: BenchmarkEnv, checkpoint: Path
) -> None:
    reference = f"python:{EXAMPLES}/own_checkpoint/my_policy.py:Mine,checkpoint={checkpoint}"
    done = played(table, reference)
    assert np.abs(done[:, :3]).max() > 0
    assert not np.array_equal(done, played(table, f"{reference},pictures=raw"))
    mine = example("own_checkpoint", "my_policy.py").Mine(str(checkpoint))
    observation = first_look(table)
    np.testing.assert_allclose(done[:5], mine(observation)[:5], atol=1e-6)
    statistics = json.loads((checkpoint / "statistics.json").read_text())
    # -1 and +1 of the network are the smallest and the largest action.
    np.testing.assert_allclose(
        mine.action(-np.ones((1, 7), np.float32))[0], statistics["action"]["low"]
    )
    np.testing.assert_allclose(
        mine.action(np.ones((1, 7), np.float32))[0], statistics["action"]["high"]
    )
    mean = np.array(statistics["state"]["mean"], np.float32)
    np.testing.assert_allclose(mine.state(mean), np.zeros(8), atol=1e-6)


def test_own_checkpoint_turns_pictures_and_the_gripper(
    table: BenchmarkEnv, checkpoint: Path
) -> None:
    kind = example("own_checkpoint", "my_policy.py").Mine
    seen = first_look(table)["image"]["main"]
    turned, raw, flipped = (
        kind(str(checkpoint), pictures=name).picture(seen) for name in ("turned", "raw", "flipped")
    )
    assert turned.shape == (3, 64, 64)
    assert 0 <= turned.min() < turned.max() <= 1
    np.testing.assert_allclose(raw, turned[:, ::-1, ::-1], atol=1e-6)
    np.testing.assert_allclose(flipped, turned[:, :, ::-1], atol=1e-6)
    closing = np.zeros((1, 7), np.float32)
    closing[0, -1] = -1  # The smallest action: 0 in data where 0 = closed.
    mine = kind(str(checkpoint), gripper="open01")
    mine.statistics["action"] = {"low": np.zeros(7, np.float32), "high": np.ones(7, np.float32)}
    assert mine.action(closing)[0, -1] == 1
    assert mine.action(-closing)[0, -1] == -1


# --- OpenVLA-OFT ---


OFT = f"python:{EXAMPLES}/openvla_oft/openvla_oft.py:OpenVLAOFT"


def test_openvla_oft_gets_its_keys_and_its_gripper_is_inverted(table: BenchmarkEnv) -> None:
    requests: list[Any] = []
    gripper = np.array([0, 0.1, 0.4, 0.6, 0.9, 1, 1, 0, 0, 0])
    with openvla_oft(requests, gripper) as server:
        done = played(table, f"{OFT},server={server}", "openvla-oft")
    assert len(requests) == 2  # 12 steps, 8 of a chunk
    seen = first_look(table)
    np.testing.assert_array_equal(requests[0]["full_image"], seen["image"]["main"])
    np.testing.assert_array_equal(requests[0]["wrist_image"], seen["image"]["wrist"])
    np.testing.assert_array_equal(requests[0]["state"], seen["state"])
    assert requests[0]["instruction"] == INSTRUCTION
    np.testing.assert_allclose(done[:8, :6], MOTION[:8, :6], atol=1e-6)
    np.testing.assert_array_equal(done[:8, -1], [1, 1, 1, -1, -1, -1, -1, 1])


def test_openvla_oft_that_fails_stops_the_run(table: BenchmarkEnv) -> None:
    refusing = example("openvla_oft", "openvla_oft.py").OpenVLAOFT
    with openvla_oft([], np.zeros(10)) as server:
        observation = first_look(table) | {"state": np.zeros(3, np.float32)}
        with pytest.raises(RuntimeError, match="answered 200, 'error'"):
            refusing(server)(observation)
    with pytest.raises(PolicyCrashed, match="refused"):
        played(table, f"{OFT},server={server}", "openvla-oft")


# --- openpi and E0 ---


@pytest.mark.parametrize(
    ("folder", "protocol", "asked"), [("openpi", "openpi", 3), ("e0", "e0", 2)]
)
def test_the_command_for_openpi_and_e0_plays_their_server(
    table: BenchmarkEnv, folder: str, protocol: str, asked: int
) -> None:
    script = (EXAMPLES / folder / "evaluate.sh").read_text()
    found = re.search(r'--policy "(remote:.*)" .*\n.*--protocol (\w+) "\$@"', script)
    assert found is not None
    reference, named = found.groups()
    assert named == protocol
    requests: list[Any] = []
    with openpi(requests) as server:
        address = reference.replace("${SERVER:-ws://127.0.0.1:8000}", server)
        done = played(table, address, protocol)
    assert len(requests) == asked
    seen = first_look(table)
    np.testing.assert_array_equal(requests[0]["observation/image"], seen["image"]["main"])
    np.testing.assert_array_equal(requests[0]["observation/wrist_image"], seen["image"]["wrist"])
    np.testing.assert_array_equal(requests[0]["observation/state"], seen["state"])
    assert requests[0]["observation/image"].dtype == np.uint8
    assert requests[0]["prompt"] == INSTRUCTION
    executed = {"openpi": 5, "e0": 10}[protocol]
    np.testing.assert_allclose(done[:executed, :6], MOTION[:executed, :6], atol=1e-6)
    np.testing.assert_array_equal(np.sign(done[:5, -1]), [-1, -1, -1, -1, 1])


# --- vla-eval ---


VLA_EVAL = f"python:{EXAMPLES}/vla_eval/model_server.py:ModelServer"
EVERYTHING = {"send_wrist_image": True, "send_state": True, "quat_no_antipodal": True}


@pytest.mark.parametrize("wishes", [EVERYTHING, {}])
def test_vla_eval_gets_what_it_wishes_and_sees_episodes(table: BenchmarkEnv, wishes: Any) -> None:
    messages: list[Any] = []
    with vla_eval(messages, wishes) as server:
        done = played(table, f"{VLA_EVAL},server={server}", replan=",replan=1")
        deadline = time.monotonic() + 30
        while messages[-1][0] != "episode_end":
            assert time.monotonic() < deadline
            time.sleep(0.01)
    kinds = [kind for kind, _ in messages]
    assert kinds == ["hello", "episode_start", *["observation"] * STEPS, "episode_end"]
    assert messages[1][1] == {"task": {"name": INSTRUCTION, "suite": "libero_object"}}
    look, sent = first_look(table), messages[2][1]
    assert sent["task_description"] == INSTRUCTION
    np.testing.assert_array_equal(sent["images"]["agentview"], look["image"]["main"])
    assert ("wrist" in sent["images"], "states" in sent) == (bool(wishes), bool(wishes))
    if wishes:
        np.testing.assert_array_equal(sent["images"]["wrist"], look["image"]["wrist"])
        np.testing.assert_array_equal(sent["states"], look["state"])
    np.testing.assert_allclose(done[:10, :6], MOTION[:, :6], atol=1e-6)
    np.testing.assert_array_equal(done[:10, -1], np.where(MOTION[:, -1] < 0, -1, 1))


def test_vla_eval_folds_the_rotation_as_its_own_libero_does() -> None:
    shorter = example("vla_eval", "model_server.py").shorter
    state = np.array([1, 2, 3, 0, 4, 0, 5, 6], np.float32)
    np.testing.assert_allclose(shorter(state)[3:6], [0, 4 - 2 * np.pi, 0], atol=1e-6)
    np.testing.assert_array_equal(np.delete(shorter(state), [3, 4, 5]), [1, 2, 3, 5, 6])
    state[4] = 3
    np.testing.assert_array_equal(shorter(state), state)


@pytest.mark.parametrize(
    ("wishes", "message"), [({"absolute_action": True}, "absolute"), ({"fail": True}, "KeyError")]
)
def test_vla_eval_that_cannot_be_played_stops_the_run(
    table: BenchmarkEnv, wishes: Any, message: str
) -> None:
    with vla_eval([], wishes) as server, pytest.raises(PolicyCrashed, match=message):
        played(table, f"{VLA_EVAL},server={server}", replan=",replan=1")


# --- GR00T ---


def test_gr00t_gets_its_nested_observation(table: BenchmarkEnv) -> None:
    requests: list[Any] = []
    gripper = np.array([0, 0.1, 0.4, 0.6, 0.9, 1, 1, 0, 0, 0])
    policy = f"python:{EXAMPLES}/gr00t/gr00t.py:GR00T"
    with gr00t(requests, gripper) as server:
        done = played(table, f"{policy},server={server}", replan=",replan=8")
        asking = example("gr00t", "gr00t.py").GR00T(server)
        with pytest.raises(RuntimeError, match="wrong"):
            asking(first_look(table) | {"state": np.zeros(8)})
    look = first_look(table)
    np.testing.assert_array_equal(requests[0]["video"]["image"][0, 0], look["image"]["main"])
    np.testing.assert_array_equal(requests[0]["video"]["wrist_image"][0, 0], look["image"]["wrist"])
    state = np.concatenate([part[0, 0] for part in requests[0]["state"].values()])
    np.testing.assert_array_equal(state, look["state"])
    assert requests[0]["language"]["annotation.human.action.task_description"] == [[INSTRUCTION]]
    np.testing.assert_allclose(done[:8, :6], MOTION[:8, :6], atol=1e-6)
    np.testing.assert_array_equal(done[:8, -1], [1, 1, 1, -1, -1, -1, -1, 1])
