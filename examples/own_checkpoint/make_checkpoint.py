"""Writes a checkpoint with random weights, to try the example without training: python make_checkpoint.py FOLDER"""

import json
import sys
from pathlib import Path

import torch
from my_policy import Network
from safetensors.torch import save_file

folder = Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
torch.manual_seed(0)
save_file(Network().state_dict(), folder / "model.safetensors")
# Yours come from the training data: mean and std of the states, smallest and largest actions (or quantiles).
statistics = {
    "state": {"mean": [-0.1, 0.0, 0.2, 3.0, 0.0, 0.0, 0.03, -0.03], "std": [0.1] * 3 + [0.2] * 3 + [0.02] * 2},
    "action": {"low": [-0.9] * 3 + [-0.3] * 3 + [-1.0], "high": [0.9] * 3 + [0.3] * 3 + [1.0]},
}
(folder / "statistics.json").write_text(json.dumps(statistics))
