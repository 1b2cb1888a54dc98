"""GR00T's inference server (N1.6), evaluated by Assay on LIBERO. It needs pyzmq beside Assay.

Where GR00T is installed, without --use-sim-policy-wrapper:
    python gr00t/eval/run_gr00t_server.py --model-path CHECKPOINT --embodiment-tag LIBERO_PANDA
Where Assay is installed:
    python run_eval.py run --policy python:gr00t.py:GR00T,weights=CHECKPOINT-NAME \
        --benchmark libero_object --replan 8
"""

import io

import msgpack
import numpy as np
import zmq

from harness.contracts.vectors import EEF_AXIS_ANGLE_STATE, EEF_DELTA_ACTION

VIDEO = {"image": "main", "wrist_image": "wrist"}
STATE = {"x": 1, "y": 1, "z": 1, "roll": 1, "pitch": 1, "yaw": 1, "gripper": 2}
ACTION = ("x", "y", "z", "roll", "pitch", "yaw", "gripper")
PROMPT = "annotation.human.action.task_description"


def encode(value):
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{type(value)} cannot be sent")
    file = io.BytesIO()
    np.save(file, value, allow_pickle=False)
    return {"__ndarray_class__": True, "as_npy": file.getvalue()}


def decode(value):
    return np.load(io.BytesIO(value["as_npy"]), allow_pickle=False) if "__ndarray_class__" in value else value


class GR00T:
    cameras = ("main", "wrist")
    state_layout, action_layout = EEF_AXIS_ANGLE_STATE, EEF_DELTA_ACTION

    def __init__(self, server="127.0.0.1:5555", timeout=60, weights=""):
        """Take the address. `weights` only becomes part of the policy's name, as the server has none."""
        self.server, self.timeout = server, timeout

    def ask(self, endpoint, **data):
        """Send a request on a socket of its own: one that got no answer cannot be used again."""
        with zmq.Context.instance().socket(zmq.REQ) as socket:
            socket.setsockopt(zmq.LINGER, 0)
            socket.setsockopt(zmq.RCVTIMEO, int(1000 * self.timeout))
            socket.connect(f"tcp://{self.server}")
            socket.send(msgpack.packb({"endpoint": endpoint, "data": data}, default=encode))
            answer = msgpack.unpackb(socket.recv(), object_hook=decode)
        if isinstance(answer, dict) and "error" in answer:
            raise RuntimeError(f"GR00T's server: {answer['error']}")
        return answer

    def __call__(self, observation):
        # Everything has two more dimensions in front: one episode, one moment.
        video = {key: observation["image"][role][None, None] for key, role in VIDEO.items()}
        parts = np.split(observation["state"][None, None], np.cumsum(list(STATE.values()))[:-1], axis=-1)
        request = {
            "video": video,
            "state": dict(zip(STATE, parts, strict=True)),
            "language": {PROMPT: [[observation["instruction"]]]},
        }
        chunk, _ = self.ask("get_action", observation=request, options=None)
        actions = np.concatenate([chunk[key][0] for key in ACTION], axis=-1).astype(np.float32)
        # GR00T's gripper is 1 = open, 0 = closed; LIBERO's is -1 = open, +1 = closed.
        actions[:, -1] = -np.sign(2 * actions[:, -1] - 1)
        return actions
