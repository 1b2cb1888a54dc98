"""Your own PyTorch checkpoint in Assay. Copy this file and replace Network and the three rules.

    python run_eval.py run --policy python:my_policy.py:Mine,checkpoint=checkpoint \
        --benchmark libero_object --tasks 0 --episodes 2
"""

import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

CHUNK = 8


class Network(torch.nn.Module):
    """Stands for yours: two pictures (2, 3, 64, 64) and the state in, CHUNK normalised actions out."""

    def __init__(self, states=8, actions=7):
        super().__init__()
        self.eyes = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 8, 8), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(2))
        self.head = torch.nn.Linear(2 * 32 + states, CHUNK * actions)
        self.actions = actions

    def forward(self, pictures, state):
        seen = self.eyes(pictures).flatten()
        return torch.tanh(self.head(torch.cat([seen, state]))).reshape(CHUNK, self.actions)


class Mine:
    cameras = ("main", "wrist")
    chunk_length = CHUNK

    def __init__(self, checkpoint="checkpoint", pictures="turned", gripper="close"):
        self.pictures, self.gripper = pictures, gripper
        self.statistics = {
            name: {key: np.array(numbers, np.float32) for key, numbers in group.items()}
            for name, group in json.loads((Path(checkpoint) / "statistics.json").read_text()).items()
        }
        self.network = Network()
        self.network.load_state_dict(load_file(Path(checkpoint) / "model.safetensors"))
        self.network.eval()

    def __call__(self, observation):
        seen = np.stack([self.picture(observation["image"][role]) for role in self.cameras])
        with torch.inference_mode():
            chunk = self.network(torch.from_numpy(seen), torch.from_numpy(self.state(observation["state"])))
        return self.action(chunk.numpy())

    # Rule 1: the pictures, as in your training data.
    def picture(self, picture):
        turned = {
            "turned": picture,  # as Assay, openpi and OpenVLA show it: the simulator's with [::-1, ::-1]
            "raw": picture[::-1, ::-1],  # as the simulator draws it; LIBERO's own HDF5 files hold this
            "flipped": picture[:, ::-1],  # the simulator's with [::-1] alone
        }[self.pictures]
        small = torch.from_numpy(turned.transpose(2, 0, 1).astype(np.float32) / 255)[None]
        return torch.nn.functional.interpolate(small, (64, 64), mode="area")[0].numpy()

    # Rule 2: the state and the actions, with the statistics of your training data.
    def state(self, state):
        known = self.statistics["state"]
        return (state - known["mean"]) / np.maximum(known["std"], 1e-6)

    def action(self, chunk):
        known = self.statistics["action"]
        actions = (chunk + 1) / 2 * (known["high"] - known["low"]) + known["low"]
        # Rule 3: LIBERO closes at +1. Data in the form of RLDS has 1 = open, 0 = closed.
        if self.gripper == "open01":
            actions[:, -1] = 1 - 2 * actions[:, -1]
        return actions
