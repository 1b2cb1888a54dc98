"""Makes a checkpoint of pi0, pi0.5 or pi0-FAST out of openpi's or LeRobot's weights.

python -m policies.vla.convert --model pi05 --weights model.safetensors \
    --statistics norm_stats.json --tokenizer tokenizer.json --horizon 10 --out checkpoints/pi05
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
import tyro
from rich.console import Console

from harness.contracts.errors import StorageError, UsageError
from harness.demonstrations.statistics import Statistics
from policies.heads import build
from policies.heads.fast import FastHead
from policies.heads.fast_tokens import FastTokens
from policies.vla.checkpoint import contract_of, save
from policies.vla.config import Prompts, State, VLAConfig, sized
from policies.vla.foreign import adopt, adopt_words, leading, read_statistics, read_weights
from policies.vla.model import VLA
from policies.vla.normalize import Kind, Normalization, Scaling
from policies.vla.text import TOKENIZER, Text

ACTION_SIZE = 32
"""Of openpi's models but pi0-FAST; what a robot has less is filled."""
TEXT_LENGTHS = {"pi0": 48, "pi05": 200, "pi0-fast": 200}
"""Tokens that openpi and LeRobot cut a prompt off at."""
EXIT_USAGE, EXIT_INCOMPLETE = 2, 3

notes = Console(stderr=True)


@dataclass(kw_only=True)
class ConvertCommand:
    """Make a checkpoint of pi0, pi0.5 or pi0-FAST out of openpi's or LeRobot's weights."""

    model: Literal["pi0", "pi05", "pi0-fast"]
    """Which of them."""
    weights: Path
    """model.safetensors of openpi's PyTorch model (its JAX checkpoints have to be converted with
    openpi's examples/convert_jax_model_to_pytorch.py first), or of LeRobot's; pi0-FAST's are
    LeRobot's."""
    statistics: Path
    """norm_stats.json, which lies below a checkpoint's assets, or LeRobot's
    policy_preprocessor_step_..._normalizer_processor.safetensors."""
    tokenizer: Path
    """tokenizer.json of the Hugging Face repository google/paligemma-3b-pt-224."""
    fast: Path | None = None
    """For pi0-fast, the folder with processor_config.json and tokenizer.json of the Hugging Face
    repository physical-intelligence/fast."""
    out: Path
    """The checkpoint's folder."""
    cameras: tuple[str, ...] = ("main", "wrist")
    """Our names for the cameras, in the order in which the model was trained on them."""
    horizon: int = 50
    """Actions in a chunk."""
    replan: int = 0
    """How many of them are executed unless a protocol says less; 0 for all."""
    state: State | None = None
    """Where the state goes, if not as usual: `none` for a pi0.5 without it, as pi05_libero."""
    state_size: int = 0
    """Numbers in a state; as many as there are statistics of if not given."""
    action_size: int = 0
    """Numbers in an action; as many as there are statistics of if not given."""
    relative: int = 0
    """So many numbers of an action are counted from the state's first, as openpi's DeltaActions."""
    normalization: Kind | None = None
    """How states and actions were normalised, if not as in openpi (gaussian for pi0, else
    quantile); LeRobot's config.json says it under normalization_mapping."""
    size: str = "paligemma"
    """The network's dimensions."""

    def __call__(self) -> None:
        """Read, rename and write."""
        normalization = self._normalization(read_statistics(self.statistics))
        config = self._network(normalization.state.size)
        if self.tokenizer.name != TOKENIZER:
            raise UsageError(f"--tokenizer {self.tokenizer}: the file is called {TOKENIZER}")
        text = Text.read(self.tokenizer.parent, config)
        weights, source = read_weights(self.weights), str(self.weights)
        if self.model == "pi0-fast":
            model = self._writing(config, text, normalization.action.size)
            adopt_words(model, text, weights, source)
        else:
            options = {"action_size": ACTION_SIZE, "adaptive": config.adaptive}
            model = self._empty(config, "flow", options)
            adopt(model, weights, source)
        contract = contract_of(model, normalization, replan=self.replan or None)
        made = save(self.out, model, text, contract)
        count = sum(weight.numel() for weight in model.parameters())
        print(f"{count / 1e6:.0f} M weights in {self.out}, {made.identity[:10]}")

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
        return replace(config, text_length=TEXT_LENGTHS[self.model], prompts=prompts)

    def _empty(self, config: VLAConfig, head: str, options: dict[str, Any]) -> VLA:
        # Weights that are replaced at once need not be drawn.
        with torch.device("meta"):
            return VLA(config, build(head, {"horizon": self.horizon} | options, config.width))

    def _writing(self, config: VLAConfig, text: Text, action_size: int) -> VLA:
        """Return a model that writes the released tokens, without weights."""
        if self.fast is None:
            raise UsageError("--model pi0-fast needs --fast: the folder of its action tokens")
        tokens = FastTokens.released(self.fast)
        options = {
            "action_size": action_size,
            "vocabulary": tokens.count,
            "scale": tokens.scale,
            "leading": len(leading(text)),
            "mend": True,
        }
        model = self._empty(config, "fast", options)
        assert isinstance(model.head, FastHead)
        model.head.use(tokens)
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
        rest = (None,) * (action.size - self.relative)
        counted = (*range(self.relative), *rest) if self.relative else ()
        return Normalization(state, action, counted)


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line and run it."""
    command = tyro.cli(
        ConvertCommand, prog="python -m policies.vla.convert", description=__doc__, args=arguments
    )
    try:
        command()
    except (UsageError, StorageError) as error:
        notes.print(f"error: {error}", style="red", markup=False, soft_wrap=True)
        return EXIT_USAGE if isinstance(error, UsageError) else EXIT_INCOMPLETE
    return 0


if __name__ == "__main__":
    sys.exit(main())
