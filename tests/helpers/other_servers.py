"""Servers of others, for the tests of examples/.

They stand in for the others' own, which need a GPU and their weights. Each follows the source that
its docstring names: keys, shapes, dtypes, and what it refuses.
"""

import base64
import io
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgpack
import numpy as np
import pytest
from numpy.typing import NDArray
from openpi_client import msgpack_numpy
from websockets.sync.server import ServerConnection, serve

Array = NDArray[Any]
MOTION = np.random.default_rng(0).uniform(-0.5, 0.5, (10, 7)).astype(np.float32)
"""The actions of every server; most set the gripper."""


def with_gripper(numbers: Array) -> Array:
    motion = MOTION.copy()
    motion[:, -1] = numbers
    return motion


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
