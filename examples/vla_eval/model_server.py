"""A model server of vla-eval, evaluated by Assay on LIBERO. This file needs nothing beside Assay.

Where vla-eval and the model are installed:
    vla-eval serve --config configs/model_servers/pi0/libero.yaml
Where Assay is installed:
    python run_eval.py run --policy python:model_server.py:ModelServer,weights=pi05_libero \
        --benchmark libero_object --replan 1
"""

import contextlib
import time

import msgpack
import numpy as np
from websockets.sync.client import connect

from harness.contracts.vectors import EEF_AXIS_ANGLE_STATE, EEF_DELTA_ACTION


def encode(array):
    return {"__ndarray__": True, "data": array.tobytes(), "dtype": array.dtype.str, "shape": list(array.shape)}


def decode(value):
    return np.frombuffer(value["data"], value["dtype"]).reshape(value["shape"]) if "__ndarray__" in value else value


def shorter(state):
    """Return the state with the shorter of the two rotations to the same orientation."""
    state, angle = state.copy(), np.linalg.norm(state[3:6])
    state[3:6] *= 1 - 2 * np.pi / angle if angle > np.pi else 1
    return state


class Episode:
    """A connection, which the server takes for a session. It ends with the episode's memory."""

    def __init__(self, server, task):
        rules = {"compression": None, "proxy": None, "max_size": 2**26, "ping_interval": None, "close_timeout": 1}
        self.sent, self.stack = 0, contextlib.ExitStack()
        self.socket = self.stack.enter_context(connect(server, **rules))
        hello = self.ask("hello", {"harness_version": "assay", "protocol_version": 1}, "hello")
        self.wishes = hello.get("observation_params", {})
        if self.wishes.get("absolute_action"):
            raise RuntimeError("this server's actions are absolute; LIBERO's protocols here take differences")
        self.ask("episode_start", {"task": task})

    def ask(self, kind, payload, answered=None):
        self.sent += 1
        message = {"type": kind, "payload": payload, "seq": self.sent, "timestamp": time.time()}
        self.socket.send(msgpack.packb(message, default=encode))
        answer = msgpack.unpackb(self.socket.recv(timeout=60), object_hook=decode) if answered else message
        if (answer["type"], answer["seq"]) != (answered or kind, self.sent):
            raise RuntimeError(f"vla-eval's server answered {answer['type']}: {str(answer['payload'])[:500]}")
        return answer["payload"]

    def __del__(self):
        with contextlib.suppress(Exception):
            self.ask("episode_end", {})
            self.stack.close()


class ModelServer:
    cameras, state_layout, action_layout = ("main", "wrist"), EEF_AXIS_ANGLE_STATE, EEF_DELTA_ACTION

    def __init__(self, server="ws://127.0.0.1:8000", suite="libero_object", weights=""):
        self.server, self.suite = server, suite  # `weights` only becomes part of the policy's name.

    def __call__(self, observation, memory):
        text, state = observation["instruction"], observation["state"]
        episode = memory[0] = memory.get(0) or Episode(self.server, {"name": text, "suite": self.suite})
        sent = {"images": {"agentview": observation["image"]["main"]}, "task_description": text}
        if episode.wishes.get("send_wrist_image"):
            sent["images"]["wrist"] = observation["image"]["wrist"]
        if episode.wishes.get("send_state"):
            sent["states"] = state if episode.wishes.get("quat_no_antipodal") else shorter(state)
        actions = np.atleast_2d(episode.ask("observation", sent, "action")["actions"]).astype(np.float32)
        actions[:, -1] = np.where(actions[:, -1] < 0, -1, 1)  # as vla-eval's LIBERO does
        return actions
