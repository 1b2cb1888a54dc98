"""The one file that serves a policy from any Python environment."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest
from openpi_client.websocket_client_policy import WebsocketClientPolicy
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from harness.serving.codec import pack, unpack
from policies.elsewhere.process import SERVER, PolicyProcess

OWN = """
import numpy as np

class Own:
    cameras = ("main", "left")
    state_layout = [("position", 2, "m")]
    def __init__(self, gain=1.0):
        self.gain = gain
        print("loaded")
    def __call__(self, observation, memory):
        image, state = observation["image"]["left"], observation["state"]
        assert not state.flags.writeable and not image.flags.writeable and image.shape == (4, 5, 3)
        memory["calls"] = memory.get("calls", 0) + 1
        return np.array([[self.gain, memory["calls"], image.sum(), np.random.random()]])

class Wrong:
    def __call__(self, observation):
        return {"nan": np.full((1, 2), np.nan), "list": [[1.0]], "flat": np.zeros(3),
                "whole": np.zeros((1, 2), int), "none": np.zeros((0, 2)),
                }[observation["instruction"]]
"""
REQUEST = {
    "observation/image": np.zeros((2, 2, 3), np.uint8),
    "observation/left_image": np.ones((4, 5, 3), np.uint8),
    "observation/state": np.array([1.0, 2.0]),
    "prompt": "reach",
}


@pytest.fixture
def own(tmp_path: Path) -> str:
    (tmp_path / "own.py").write_text(OWN)
    return f"{tmp_path}/own.py"


@pytest.fixture
def process(own: str) -> Iterator[PolicyProcess]:
    started = PolicyProcess(Path(sys.executable), f"{own}:Own,gain=2.5", "own@1")
    yield started
    started.close()


def port(process: PolicyProcess) -> int:
    return int(process.endpoint.address.rpartition(":")[2])


def client(process: PolicyProcess) -> WebsocketClientPolicy:
    return WebsocketClientPolicy("127.0.0.1", port(process), process.endpoint.api_key)


def test_the_file_is_small_and_needs_only_python_3_8_and_three_packages() -> None:
    text = SERVER.read_text()
    assert text.count("\n") <= 250
    tree = ast.parse(text, feature_version=(3, 8))
    names = {
        name
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [str(node.module)]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    packages = {name.partition(".")[0] for name in names}
    assert packages - set(sys.stdlib_module_names) == {"msgpack", "numpy", "websockets"}


def test_openpis_client_gets_answers_and_the_spec(process: PolicyProcess) -> None:
    openpis = client(process)
    stated = openpis.get_server_metadata()["assay"]
    assert stated["policy"] == "own@1"
    assert stated["cameras"] == ["main", "left"]
    assert stated["state_layout"] == [["position", 2, "m"]]
    assert stated["keys"]["images"]["left"] == "observation/left_image"
    answers = [openpis.infer(REQUEST)["actions"][0] for _ in range(2)]
    assert [list(answer[:3]) for answer in answers] == [[2.5, 1, 60], [2.5, 2, 60]]
    assert answers[0][3] != answers[1][3]
    again = client(process).infer(REQUEST)["actions"][0]  # Another connection, another episode.
    np.testing.assert_array_equal(again, answers[0])


def test_a_client_without_the_key_is_refused(process: PolicyProcess) -> None:
    with pytest.raises(InvalidStatus, match="401"):
        connect(process.endpoint.address)


@pytest.mark.parametrize(
    ("message", "error"),
    [
        (pack({"prompt": "x"}), "KeyError: 'observation/image'"),
        (b"\x00" * 100, "ExtraData"),
        (msgpack.packb(5), "AttributeError"),
        ("text", "TypeError"),
        (pack(REQUEST | {"observation/state": "words"}), "ValueError"),
    ],
)
def test_a_wrong_request_ends_only_its_own_connection(
    process: PolicyProcess, message: Any, error: str
) -> None:
    key = {"Authorization": f"Api-Key {process.endpoint.api_key}"}
    with connect(process.endpoint.address, additional_headers=key) as socket:
        socket.recv()
        socket.send(message)
        answer = socket.recv()
        assert isinstance(answer, str)
        assert error in answer
        assert len(answer) <= 20_000
        with pytest.raises(ConnectionClosed):
            socket.recv()
    assert client(process).infer(REQUEST)["actions"].shape == (1, 4)


def test_an_array_of_objects_is_never_made(process: PolicyProcess) -> None:
    evil = {b"__ndarray__": True, b"data": b"\x00" * 8, b"dtype": "|O8", b"shape": [1]}
    key = {"Authorization": f"Api-Key {process.endpoint.api_key}"}
    with connect(process.endpoint.address, additional_headers=key) as socket:
        socket.recv()
        socket.send(msgpack.packb({"observation/state": evil}))
        assert "an array must hold plain numbers" in socket.recv()


@pytest.mark.parametrize(
    ("prompt", "reason"),
    [
        ("nan", "policy_nan: the actions are not finite"),
        ("list", "policy_shape: expected floats of shape (length, action size), got list"),
        ("flat", "got (3,)"),
        ("whole", "policy_shape"),
        ("none", "got (0, 2)"),
    ],
)
def test_what_is_no_chunk_never_reaches_a_robot(own: str, prompt: str, reason: str) -> None:
    wrong = PolicyProcess(Path(sys.executable), f"{own}:Wrong", "wrong@1")
    try:
        with pytest.raises(RuntimeError, match="policy_"):
            client(wrong).infer({"prompt": prompt})
        key = {"Authorization": f"Api-Key {wrong.endpoint.api_key}"}
        with connect(wrong.endpoint.address, additional_headers=key) as socket:
            socket.recv()
            place = {"client": "a", "call": 0, "step": 0}
            socket.send(pack({"prompt": prompt, "assay/episode": place}))
            assert reason in unpack(bytes(socket.recv()))["assay/policy_error"]
    finally:
        wrong.close()


def test_memory_of_an_episode_that_is_unknown_here_is_lost(process: PolicyProcess) -> None:
    key = {"Authorization": f"Api-Key {process.endpoint.api_key}"}
    with connect(process.endpoint.address, additional_headers=key) as socket:
        socket.recv()

        def ask(name: str, call: int) -> Any:
            place = {"client": name, "call": call, "step": 0}
            socket.send(pack({**REQUEST, "assay/episode": place}))
            return unpack(bytes(socket.recv()))

        assert ask("a", 1)["assay/memory_lost"] is True
        assert [ask("b", 0)["actions"][0][1], ask("b", 1)["actions"][0][1]] == [1, 2]
        assert [ask("b", 0)["actions"][0][1], ask("c", 0)["actions"][0][1]] == [1, 1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{}:Oen"], "has no class or function Oen"),
        (["{}x:Own"], "there is no file"),
    ],
)
def test_a_mistake_by_hand_is_named(own: str, arguments: list[str], message: str) -> None:
    command = [sys.executable, str(SERVER), *(a.format(own) for a in arguments), "--port", "0"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_prints_of_the_policy_do_not_mix_with_the_answer(own: str) -> None:
    command = [sys.executable, str(SERVER), f"{own}:Own", "--describe"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert json.loads(done.stdout)["cameras"] == ["main", "left"]
