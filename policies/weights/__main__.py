"""Converts weights of pi0, pi0.5 or pi0-FAST, from openpi or LeRobot, to a checkpoint.

python -m policies.weights --model pi05 --weights model.safetensors \
    --statistics norm_stats.json --tokenizer tokenizer.json --horizon 10 --out checkpoints/pi05
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
import tyro

from harness.cli.codes import EXIT_INCOMPLETE
from harness.cli.exit import exit_code
from harness.cli.output import notes
from harness.contracts.errors import StorageError, UsageError
from harness.demonstrations.column_statistics import Statistics
from policies.heads import build
from policies.heads.fast import FastHead
from policies.heads.fast_tokenizer import FastTokenizer
from policies.vla.checkpoint import contract_of, save
from policies.vla.config import TOKENIZER_FILE, Prompts, State, VLAConfig, sized
from policies.vla.model import VLA
from policies.vla.normalize import Kind, Normalization, Scaling
from policies.vla.prompts import PromptTokenizer
from policies.vla.unfilled import unfilled
from policies.weights.lerobot import copy_pi0_fast, leading_tokens, read_normalizer
from policies.weights.openpi import read_norm_stats
from policies.weights.paligemma import copy_weights, read_weights

_ACTION_SIZE = 32
"""Numbers in an action of pi0 and pi0.5; shorter actions are padded."""
_TEXT_LENGTHS = {"pi0": 48, "pi05": 200, "pi0-fast": 200}
"""Length to which openpi and LeRobot cut prompts."""


@dataclass(kw_only=True)
class ConvertCommand:
    """Convert weights of pi0, pi0.5 or pi0-FAST, from openpi or LeRobot, to a checkpoint."""

    model: Literal["pi0", "pi05", "pi0-fast"]
    """The model."""
    weights: Path
    """model.safetensors of openpi's PyTorch model, or of LeRobot. Convert openpi's JAX checkpoints
    with its examples/convert_jax_model_to_pytorch.py first. pi0-FAST has to be LeRobot's."""
    statistics: Path
    """norm_stats.json from the assets of an openpi checkpoint, or LeRobot's
    policy_preprocessor_step_..._normalizer_processor.safetensors."""
    tokenizer: Path
    """tokenizer.json of the Hugging Face repository google/paligemma-3b-pt-224."""
    fast: Path | None = None
    """For pi0-fast: the folder with processor_config.json and tokenizer.json of the Hugging Face
    repository physical-intelligence/fast."""
    out: Path
    """The checkpoint's folder."""
    cameras: tuple[str, ...] = ("main", "wrist")
    """Roles of the cameras, in the order in which the model was trained on them."""
    horizon: int = 50
    """Actions in a chunk."""
    replan: int = 0
    """Actions to execute unless the protocol has fewer; 0 for the whole chunk."""
    state: State | None = None
    """How the state enters, if not as usual: `none` for a pi0.5 without it, as pi05_libero."""
    state_size: int = 0
    """Numbers in a state; 0 for as many as the statistics have."""
    action_size: int = 0
    """Numbers in an action; 0 for as many as the statistics have."""
    relative: int = 0
    """How many of an action's first numbers are relative to the state (openpi's DeltaActions)."""
    normalization: Kind | None = None
    """How states and actions were normalised, if not as in openpi (gaussian for pi0, else
    quantile). For LeRobot, see normalization_mapping in its config.json."""
    size: str = "paligemma"
    """The network's dimensions."""

    def __call__(self) -> int:
        """Convert."""
        normalization = self._normalization(self._statistics())
        config = self._network(normalization.state.size)
        if self.tokenizer.name != TOKENIZER_FILE:
            raise UsageError(f"--tokenizer {self.tokenizer}: the file must be {TOKENIZER_FILE}")
        tokenizer = PromptTokenizer.read(self.tokenizer.parent, config)
        weights, source = read_weights(self.weights), str(self.weights)
        if self.model == "pi0-fast":
            model = self._empty_pi0_fast(config, tokenizer, normalization.action.size)
            copy_pi0_fast(model, tokenizer, weights, source)
        else:
            options = {"action_size": _ACTION_SIZE, "adaptive": config.adaptive}
            model = self._empty(config, "flow", options)
            copy_weights(model, weights, source)
        contract = contract_of(model, normalization, replan=self.replan or None)
        checkpoint = save(self.out, model, tokenizer, contract)
        count = sum(weight.numel() for weight in model.parameters())
        print(f"{count / 1e6:.0f} M weights in {self.out}, {checkpoint.identity[:10]}")
        return 0

    def _statistics(self) -> dict[str, Statistics]:
        safetensors = self.statistics.suffix == ".safetensors"
        return (read_normalizer if safetensors else read_norm_stats)(self.statistics)

    def _network(self, state_size: int) -> VLAConfig:
        config = sized(
            self.size,
            cameras=self.cameras,
            state_size=state_size,
            state=self.state or ("token" if self.model == "pi0" else "text"),
            adaptive=self.model == "pi05",
            acting="language" if self.model == "pi0-fast" else "expert",
        )
        prompts: Prompts = "lerobot" if self.model == "pi0-fast" else "openpi"
        return replace(config, text_length=_TEXT_LENGTHS[self.model], prompts=prompts)

    def _empty(self, config: VLAConfig, head: str, options: dict[str, Any]) -> VLA:
        with unfilled():
            return VLA(config, build(head, {"horizon": self.horizon} | options, config.width))

    def _empty_pi0_fast(
        self, config: VLAConfig, tokenizer: PromptTokenizer, action_size: int
    ) -> VLA:
        """Return a model that generates the released tokens, without weights."""
        if self.fast is None:
            raise UsageError("--model pi0-fast needs --fast: the folder of its action tokenizer")
        fast = FastTokenizer.released(self.fast)
        options = {
            "action_size": action_size,
            "vocabulary": fast.count,
            "scale": fast.scale,
            "leading": len(leading_tokens(tokenizer)),
            "mend": True,
        }
        model = self._empty(config, "fast", options)
        assert isinstance(model.head, FastHead)
        model.head.use(fast)
        return model

    def _normalization(self, statistics: dict[str, Statistics]) -> Normalization:
        kind: Kind = self.normalization or ("gaussian" if self.model == "pi0" else "quantile")
        sizes = {"state": self.state_size, "action": self.action_size}
        try:
            state, action = (
                Scaling.of(kind, {k: v[: size or None] for k, v in statistics[name].items()})
                for name, size in sizes.items()
            )
        except KeyError as error:
            raise UsageError(
                f"{self.statistics} has no {error}, which --normalization {kind} needs"
            ) from error
        except (ValueError, UsageError) as error:
            raise UsageError(f"{self.statistics}: {error}") from error
        absolute = (None,) * (action.size - self.relative)
        relative = (*range(self.relative), *absolute) if self.relative else ()
        return Normalization(state, action, relative)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    command = tyro.cli(
        ConvertCommand, prog="python -m policies.weights", description=__doc__, args=arguments
    )
    try:
        return exit_code(command)
    except StorageError as error:
        notes().print(f"error: {error}", style="red", markup=False, soft_wrap=True)
        return EXIT_INCOMPLETE


if __name__ == "__main__":
    sys.exit(main())
