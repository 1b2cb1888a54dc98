"""The examples that play somebody else's policy, each on LIBERO, and what reaches the other side.

The servers here stand in for the others' own, which need a GPU and their weights. Each follows the
source that its docstring names: keys, shapes, dtypes, and what it refuses.
"""

import base64
import importlib.util
import io
import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest
from numpy.typing import NDArray
from openpi_client import msgpack_numpy
from websockets.sync.server import ServerConnection, serve

from benchmarks.libero import Libero
from harness.contracts.ablation import Ablation
from harness.contracts.environment import BenchmarkEnv
from harness.contracts.errors import PolicyCrashed
from harness.contracts.policy import check_compatible, load
from harness.play.meter import Meter
from harness.play.rollout import run_episode
from harness.runs.plan import BenchmarkRequest, Plan, resolve

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
STEPS = 12
INSTRUCTION = "pick up the alphabet soup and place it in the basket"
Array = NDArray[Any]
MOTION = np.random.default_rng(0).uniform(-0.5, 0.5, (10, 7)).astype(np.float32)
"""The actions of every server; the gripper is set by each."""
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


def with_gripper(numbers: Array) -> Array:
    motion = MOTION.copy()
    motion[:, -1] = numbers
    return motion


def example(folder: str, file: str) -> Any:
    """Import a file of an example."""
    spec = importlib.util.spec_from_file_location(file[:-3], EXAMPLES / folder / file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@contextmanager
def websocket(talk: Callable[[ServerConnection], None]) -> Iterator[str]:
    with serve(talk, "127.0.0.1", 0, compression=None, max_size=None) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}"
        finally:
            server.shutdown()
            thread.join()


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
    upright, raw, mirrored = (
        kind(str(checkpoint), pictures=name).picture(seen)
        for name in ("upright", "raw", "mirrored")
    )
    assert upright.shape == (3, 64, 64)
    assert 0 <= upright.min() < upright.max() <= 1
    np.testing.assert_allclose(raw, upright[:, ::-1, ::-1], atol=1e-6)
    np.testing.assert_allclose(mirrored, upright[:, :, ::-1], atol=1e-6)
    closing = np.zeros((1, 7), np.float32)
    closing[0, -1] = -1  # The smallest action: 0 in data where 0 = closed.
    mine = kind(str(checkpoint), gripper="open01")
    mine.statistics["action"] = {"low": np.zeros(7, np.float32), "high": np.ones(7, np.float32)}
    assert mine.action(closing)[0, -1] == 1
    assert mine.action(-closing)[0, -1] == -1


# --- OpenVLA-OFT ---


@contextmanager
def openvla_oft(requests: list[Any], gripper: Array) -> Iterator[str]:
    """Follow moojink/openvla-oft@213c5ff vla-scripts/deploy.py; its arrays: json-numpy 2.1.1."""

    def decoded(value: Any) -> Any:
        if "__numpy__" not in value:
            return value
        data = base64.b64decode(value["__numpy__"])
        return np.frombuffer(data, np.dtype(value["dtype"])).reshape(value["shape"])

    def answer(payload: Any) -> Any:
        # get_vla_action: full_image, every key with "wrist", and the state, in that order.
        requests.append(payload)
        images = [payload["full_image"], *(payload[key] for key in payload if "wrist" in key)]
        for image in images:  # check_image_format
            assert image.ndim == 3
            assert image.shape[-1] == 3
            assert image.dtype == np.uint8
        assert len(images) == 2
        assert payload["state"].shape == (8,)
        assert payload["instruction"].lower()
        return [
            {
                "__numpy__": base64.b64encode(action.data).decode(),
                "dtype": action.dtype.str,
                "shape": action.shape,
            }
            for action in with_gripper(gripper)[:8].astype(np.float64)
        ]

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/act"
            assert self.headers["Content-Type"] == "application/json"
            body = self.rfile.read(int(self.headers["Content-Length"]))
            try:
                reply = json.dumps(answer(json.loads(body, object_hook=decoded)))
            except (KeyError, AssertionError):
                reply = '"error"'
            self.send_response(200)
            self.end_headers()
            self.wfile.write(reply.encode())

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


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


@contextmanager
def openpi(requests: list[Any]) -> Iterator[str]:
    """Follow Doo-mon/e0@9e32518 src/openpi/serving/websocket_policy_server.py, which is openpi's.

    The messages are read and written by openpi's own client library.
    """

    def talk(socket: ServerConnection) -> None:
        packer = msgpack_numpy.Packer()
        socket.send(packer.pack({}))
        for message in socket:
            requests.append(msgpack_numpy.unpackb(message))
            # LiberoOutputs keeps 7 numbers; e0_diff_hybrid_libero has chunks of 10.
            actions = with_gripper(np.where(np.arange(10) < 4, -0.9, 0.9)).astype(np.float64)
            socket.send(packer.pack({"actions": actions, "server_timing": {"infer_ms": 1.0}}))

    with websocket(talk) as address:
        yield address


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


@contextmanager
def vla_eval(messages: list[Any], wishes: Any) -> Iterator[str]:
    """Follow allenai/vla-evaluation-harness@e1ee9ad src/vla_eval/model_servers/serve.py.

    It keeps a chunk as PredictModelServer does: one action is the answer to one observation.
    """

    def encoded(array: Array) -> Any:
        data = {"data": array.tobytes(), "dtype": array.dtype.str, "shape": list(array.shape)}
        return {"__ndarray__": True, **data}

    def decoded(value: Any) -> Any:
        if "__ndarray__" not in value:
            return value
        return np.frombuffer(value["data"], np.dtype(value["dtype"])).reshape(value["shape"])

    def talk(socket: ServerConnection) -> None:
        seen = 0
        for raw in socket:
            message = msgpack.unpackb(raw, object_hook=decoded, raw=False)
            messages.append((message["type"], message["payload"]))
            kind, payload = None, {}
            if message["type"] == "hello":
                kind, payload = "hello", {"protocol_version": 1, "observation_params": wishes}
            elif message["type"] == "observation":
                kind, payload = "action", {"actions": MOTION[seen % 10]}
                seen += 1
            if "fail" in wishes and kind == "action":
                kind, payload = "error", {"error": "observation_failed: KeyError: 'wrist'"}
            if kind:
                answer = {"type": kind, "payload": payload, "seq": message["seq"], "timestamp": 0.0}
                socket.send(msgpack.packb(answer, default=encoded, use_bin_type=True))

    with websocket(talk) as address:
        yield address


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


@contextmanager
def gr00t(requests: list[Any], gripper: Array) -> Iterator[str]:
    """Follow NVIDIA/Isaac-GR00T@38624df gr00t/policy/server_client.py.

    It checks as Gr00tPolicy.check_observation does (226ca9b gr00t/policy/gr00t_policy.py), for the
    keys of the embodiment libero_panda.
    """
    zmq = pytest.importorskip("zmq", reason="GR00T's protocol needs pyzmq")

    def encoded(array: Array) -> Any:
        file = io.BytesIO()
        np.save(file, array, allow_pickle=False)
        return {"__ndarray_class__": True, "as_npy": file.getvalue()}

    def decoded(value: Any) -> Any:
        if "__ndarray_class__" in value:
            return np.load(io.BytesIO(value["as_npy"]), allow_pickle=False)
        return value

    def answer(endpoint: str, data: Any) -> Any:
        assert endpoint == "get_action"
        assert set(data) == {"observation", "options"}
        observation = data["observation"]
        requests.append(observation)
        for key in ("image", "wrist_image"):
            assert observation["video"][key].shape == (1, 1, 256, 256, 3)
            assert observation["video"][key].dtype == np.uint8
        for key in ("x", "y", "z", "roll", "pitch", "yaw", "gripper"):
            assert observation["state"][key].shape == (1, 1, 2 if key == "gripper" else 1)
            assert observation["state"][key].dtype == np.float32
        (prompt,) = observation["language"]["annotation.human.action.task_description"]
        assert isinstance(prompt[0], str)
        motion = with_gripper(gripper)
        parts = ("x", "y", "z", "roll", "pitch", "yaw", "gripper")
        return [{key: motion[None, :, [i]] for i, key in enumerate(parts)}, {}]

    context = zmq.Context()
    socket = context.socket(zmq.REP)
    port = socket.bind_to_random_port("tcp://127.0.0.1")
    stopped = threading.Event()

    def run() -> None:
        while not stopped.is_set():
            if socket.poll(50):
                request = msgpack.unpackb(socket.recv(), object_hook=decoded)
                try:
                    reply = answer(request["endpoint"], request["data"])
                except (AssertionError, KeyError) as error:
                    reply = {"error": f"wrong: {error}"}
                socket.send(msgpack.packb(reply, default=encoded))

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        stopped.set()
        thread.join()
        socket.close(0)
        context.term()


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
