"""Writes an ACT checkpoint with random weights, as LeRobot saves it, to try the example without training.

Run it in LeRobot's environment: python make_checkpoint.py FOLDER
"""

import sys

import torch
from lerobot.configs.types import FeatureType, PolicyFeature
from lerobot.policies.act.configuration_act import ACTConfig
from lerobot.policies.act.modeling_act import ACTPolicy
from lerobot.policies.factory import make_pre_post_processors

torch.manual_seed(0)
pictures = ("observation.images.image", "observation.images.image2")
inputs = {key: PolicyFeature(FeatureType.VISUAL, (3, 256, 256)) for key in pictures}
inputs["observation.state"] = PolicyFeature(FeatureType.STATE, (8,))
outputs = {"action": PolicyFeature(FeatureType.ACTION, (7,))}
small = {"dim_model": 64, "n_heads": 2, "dim_feedforward": 64, "pretrained_backbone_weights": None}
config = ACTConfig(input_features=inputs, output_features=outputs, chunk_size=8, n_action_steps=8, device="cpu", **small)
# LeRobot computes these from the training data.
statistics = {key: {"mean": torch.zeros(3, 1, 1), "std": torch.ones(3, 1, 1)} for key in pictures}
statistics["observation.state"] = {"mean": torch.zeros(8), "std": torch.ones(8)}
statistics["action"] = {"mean": torch.zeros(7), "std": torch.ones(7)}
ACTPolicy(config).save_pretrained(sys.argv[1])
for processor in make_pre_post_processors(config, dataset_stats=statistics):
    processor.save_pretrained(sys.argv[1])
