"""A conversion without open questions, and its result: a checkpoint."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from harness.contracts.errors import UsageError
from policies.heads import build
from policies.heads.fast import FastHead
from policies.heads.fast_tokenizer import FastTokenizer
from policies.vla.checkpoint import Checkpoint, contract_of, save
from policies.vla.config import TOKENIZER_FILE, VLAConfig
from policies.vla.model import VLA
from policies.vla.normalize import Normalization
from policies.vla.prompts import PromptTokenizer
from policies.vla.unfilled import unfilled
from policies.weights.e0 import copy_e0, e0_sizes
from policies.weights.lerobot import copy_pi0_fast, leading_tokens
from policies.weights.paligemma import copy_weights, read_weights

Model = Literal["pi0", "pi05", "pi0-fast", "e0"]


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """Weights, and everything else that their checkpoint needs.

    Attributes:
        model: The model.
        weights: Its safetensors file.
        tokenizer: The tokenizer of its prompts.
        fast: The folder of pi0-FAST's action tokenizer.
        network: The backbone's configuration.
        options: The head's options.
        normalization: Of states and actions.
        replan: Actions to execute unless the protocol has fewer; None for the whole chunk.
    """

    model: Model
    weights: Path
    tokenizer: Path
    fast: Path | None
    network: VLAConfig
    options: Mapping[str, Any]
    normalization: Normalization
    replan: int | None

    def save(self, out: Path) -> tuple[Checkpoint, VLA]:
        """Write the checkpoint.

        Raises:
            UsageError: A file is missing or does not fit the model.
            StorageError: The checkpoint cannot be written.
        """
        if self.tokenizer.name != TOKENIZER_FILE:
            raise UsageError(f"--tokenizer {self.tokenizer}: the file must be {TOKENIZER_FILE}")
        tokenizer = PromptTokenizer.read(self.tokenizer.parent, self.network)
        weights, source = read_weights(self.weights), str(self.weights)
        if self.model == "pi0-fast":
            model = self._empty_pi0_fast(tokenizer)
            copy_pi0_fast(model, tokenizer, weights, source)
        elif self.model == "e0":
            action_size, bins = e0_sizes(weights, source)
            model = self._empty("e0-hybrid", {"action_size": action_size, "bins": bins})
            copy_e0(model, weights, source)
        else:
            model = self._empty("flow", {"adaptive": self.network.adaptive})
            copy_weights(model, weights, source)
        contract = contract_of(model, self.normalization, replan=self.replan)
        return save(out, model, tokenizer, contract), model

    def _empty(self, head: str, more: Mapping[str, Any]) -> VLA:
        """Return a model without weights."""
        with unfilled():
            built = build(head, {**self.options, **more}, self.network.width)
            return VLA(self.network, built)

    def _empty_pi0_fast(self, tokenizer: PromptTokenizer) -> VLA:
        """Return a model that generates the released tokens, without weights."""
        if self.fast is None:
            raise UsageError("pi0-FAST needs --fast: the folder of its action tokenizer")
        fast = FastTokenizer.released(self.fast)
        options = {
            "vocabulary": fast.count,
            "scale": fast.scale,
            "leading": len(leading_tokens(tokenizer)),
            "mend": True,
        }
        model = self._empty("fast", options)
        assert isinstance(model.head, FastHead)
        model.head.use(fast)
        return model
