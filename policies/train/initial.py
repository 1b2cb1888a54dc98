"""The checkpoint that a training starts from (`--init`)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from policies.heads import build
from policies.heads.head import Head
from policies.train.settings import Settings
from policies.vla.checkpoint import Checkpoint, fill
from policies.vla.config import VLAConfig
from policies.vla.model import VLA
from policies.vla.prompts import PromptTokenizer

_ACTOR = "actor."
"""Prefix of the names of the acting stack's weights."""


@dataclass(frozen=True)
class InitialCheckpoint:
    """A checkpoint with its weights in memory.

    Attributes:
        checkpoint: The checkpoint.
        model: Its model.
    """

    checkpoint: Checkpoint
    model: VLA

    @classmethod
    def load(cls, checkpoint: Checkpoint) -> "InitialCheckpoint":
        """Read a checkpoint's weights.

        Raises:
            UsageError: A file is missing or has changed.
        """
        return cls(checkpoint, checkpoint.load(torch.device("cpu"))[0])

    def origin(self, head_kept: bool) -> str:
        """Return the text for people: the checkpoint, and whether the head's weights are kept."""
        name, identity = self.checkpoint.folder.name, self.checkpoint.identity[:10]
        return f"{name} ({identity}), the head's weights {'kept' if head_kept else 'drawn anew'}"

    def tokenizer(self, config: VLAConfig) -> PromptTokenizer:
        """Return its tokenizer, whose vocabulary the weights know."""
        return PromptTokenizer.read(self.checkpoint.folder, config)

    def network(self, wanted: VLAConfig) -> VLAConfig:
        """Return the configuration for the settings, with the old order of cameras and prompts."""
        old = self.model.config
        cameras = sorted(
            wanted.cameras,
            key=lambda role: old.cameras.index(role) if role in old.cameras else len(old.cameras),
        )
        return replace(
            wanted,
            cameras=tuple(cameras),
            text_length=max(old.text_length, wanted.text_length),
            prompts=old.prompts,
        )

    def head(self, settings: Settings, options: Mapping[str, Any], width: int) -> Head:
        """Return a head with random weights, which fits the old weights if possible.

        For a head of the same kind, missing options are the old ones, and shorter actions are
        padded to the old size, as in openpi. If the old weights still do not fit, the head gets
        only the given options.

        Args:
            settings: The head's name and some of its options.
            options: The options that the data decide.
            width: Token width of the expert.
        """
        old, given = self.checkpoint.contract, settings.head_options | dict(options)
        if old.head == settings.head:
            padded = max(options["action_size"], old.options["action_size"])
            like = build(old.head, {**old.options, **given, "action_size": padded}, width)
            if self.head_fits(like):
                return like
        return build(settings.head, given, width)

    def head_fits(self, head: Head) -> bool:
        """Return whether the old head's weights fit this head."""
        old, new = self.model.head, head
        shapes = [{n: w.shape for n, w in one.state_dict().items()} for one in (old, new)]
        return type(old) is type(new) and shapes[0] == shapes[1]

    def copy_weights_to(self, model: VLA) -> None:
        """Copy the weights of the backbone into a model, and those of the head if they fit.

        If only the new model is adaptive, it first computes the same as the old one, for any
        condition.

        Raises:
            UsageError: Backbone weights are missing, unexpected, or of another shape.
        """
        # Weights stored in 16 bits are trained in 32.
        weights = {name: w.float() for name, w in self.model.backbone.state_dict().items()}
        if model.config.adaptive and not self.model.config.adaptive:
            _make_adaptive(weights)
        fill(model.backbone, weights, f"--init {self.checkpoint.folder}")
        if self.head_fits(model.head):
            model.head.load_state_dict(self.model.head.state_dict())


def _make_adaptive(weights: dict[str, Tensor]) -> None:
    """Turn the acting stack's norms into adaptive ones that ignore their condition."""
    for name in [name for name in weights if name.startswith(_ACTOR) and "norm.weight" in name]:
        scale = weights.pop(name)
        stem, width = name.removesuffix("weight"), len(scale)
        weights[f"{stem}condition.weight"] = scale.new_zeros(3 * width, width)
        # Scale, shift and gate.
        weights[f"{stem}condition.bias"] = torch.cat(
            [scale, torch.zeros_like(scale), torch.ones_like(scale)]
        )
