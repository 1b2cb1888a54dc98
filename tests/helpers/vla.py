"""Small models and random observations for tests of the model."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from policies.heads import build
from policies.vla.config import VLAConfig, sized
from policies.vla.inputs import Inputs
from policies.vla.model import VLA
from policies.vla.normalize import Normalization, Scaling
from policies.vla.prompts import PromptTokenizer

CAMERAS = ("main", "wrist")
STATE, ACTION, HORIZON = 5, 3, 4
INSTRUCTIONS = ("push the cube to the goal", "pick up the red mug")


def network(size: str = "tiny", **options: Any) -> VLAConfig:
    return sized(size, cameras=CAMERAS, state_size=STATE, **options)


def model(config: VLAConfig, head: str = "regression", seed: int = 0, **options: Any) -> VLA:
    """Return a model with random weights, including those that training starts at zero."""
    torch.manual_seed(seed)
    options = {"horizon": HORIZON, "action_size": ACTION, **options}
    built = build(head, options, config.width)
    vla = VLA(replace(config, adaptive=built.adaptive), built).eval()
    for weight in vla.parameters():
        if not weight.any():
            torch.nn.init.normal_(weight, std=0.1)
    return vla


def inputs(config: VLAConfig, batch: int = 2, seed: int = 0) -> Inputs:
    """Return random observations, with padding tokens in all but the first."""
    generator = torch.Generator().manual_seed(seed)
    size = (batch, 3, config.images.pixels, config.images.pixels)
    mask = torch.ones(batch, 7, dtype=torch.bool)
    mask[1:, 5:] = False
    return Inputs(
        images={role: torch.rand(size, generator=generator) * 2 - 1 for role in config.cameras},
        present={role: torch.ones(batch, dtype=torch.bool) for role in config.cameras},
        tokens=torch.randint(2, 200, (batch, 7), generator=generator),
        token_mask=mask,
        state=torch.randn(batch, config.state_size, generator=generator),
        viewpoint={},
    )


def streams(batch: int) -> list[np.random.Generator]:
    return [np.random.default_rng(number) for number in range(batch)]


def tokenizer(config: VLAConfig) -> PromptTokenizer:
    return PromptTokenizer.fitted(INSTRUCTIONS, config)


def normalization() -> Normalization:
    scaling = (Scaling((0.5,) * size, (2.0,) * size) for size in (STATE, ACTION))
    return Normalization(*scaling)


def pictures(batch: int, pixels: int = 32, seed: int = 0) -> dict[str, NDArray[np.uint8]]:
    rng = np.random.default_rng(seed)
    shape = (batch, pixels, pixels, 3)
    return {role: rng.integers(0, 256, shape, dtype=np.uint8) for role in CAMERAS}
