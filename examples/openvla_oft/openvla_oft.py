"""OpenVLA-OFT's own server, evaluated by Assay. This file needs NumPy alone.

Where OpenVLA-OFT is installed:
    python vla-scripts/deploy.py --pretrained_checkpoint moojink/openvla-7b-oft-finetuned-libero-object \
        --unnorm_key libero_object_no_noops --num_images_in_input 2
Where Assay is installed:
    python run_eval.py run --policy python:openvla_oft.py:OpenVLAOFT,weights=libero-object \
        --benchmark libero_object --protocol openvla-oft
"""

import base64
import http.client
import json

import numpy as np

from harness.contracts.vectors import EEF_AXIS_ANGLE_STATE, EEF_DELTA_ACTION


def encoded(array):
    """Return an array as json-numpy writes it."""
    data = base64.b64encode(np.ascontiguousarray(array)).decode()
    return {"__numpy__": data, "dtype": array.dtype.str, "shape": array.shape}


def decoded(value):
    """Return an action that json-numpy wrote, or a list of numbers, as an array."""
    if not isinstance(value, dict):
        return np.array(value, np.float64)
    dtype = np.dtype(str(value["dtype"]))
    if dtype.kind != "f":
        raise ValueError(f"an action has the dtype {dtype}")
    return np.frombuffer(base64.b64decode(value["__numpy__"]), dtype).reshape(value["shape"])


class OpenVLAOFT:
    cameras = ("main", "wrist")  # --num_images_in_input 2; the server takes every key with "wrist"
    image_size = (256, 256)  # The server makes 224 x 224 of it, by JPEG and Lanczos, and crops.
    chunk_length = 8
    state_layout, action_layout = EEF_AXIS_ANGLE_STATE, EEF_DELTA_ACTION

    def __init__(self, server="127.0.0.1:8777", timeout=60, weights=""):
        """Take the address. `weights` only becomes part of the policy's name, as the server has none."""
        self.server, self.timeout = server, timeout

    def __call__(self, observation):
        request = {
            "full_image": encoded(observation["image"]["main"]),
            "wrist_image": encoded(observation["image"]["wrist"]),
            "state": encoded(observation["state"]),  # not normalised: the server does that
            "instruction": observation["instruction"],  # the server writes the prompt, in lower case
        }
        connection = http.client.HTTPConnection(self.server, timeout=self.timeout)
        try:
            connection.request("POST", "/act", json.dumps(request), {"Content-Type": "application/json"})
            response = connection.getresponse()
            answer = json.loads(response.read(2**24))
        finally:
            connection.close()
        if response.status != 200 or not isinstance(answer, list):
            raise RuntimeError(f"the server answered {response.status}, {str(answer)[:300]!r}; see its log")
        actions = np.stack([decoded(action) for action in answer]).astype(np.float32)
        # The server's gripper is 1 = open, 0 = closed; LIBERO's is -1 = open, +1 = closed.
        actions[:, -1] = -np.sign(2 * actions[:, -1] - 1)
        return actions
