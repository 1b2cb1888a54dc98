"""Makes a checkpoint of pi0 or pi0.5 out of openpi's or LeRobot's weights.

python -m policies.vla.convert --model pi05 --weights model.safetensors \
    --statistics norm_stats.json --tokenizer tokenizer.json --horizon 10 --out checkpoints/pi05
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
import tyro
from rich.console import Console

from harness.demonstrations.statistics import Statistics
from harness.errors import StorageError, UsageError
from policies.heads import build
from policies.vla.checkpoint import contract_of, save
from policies.vla.config import State, sized
from policies.vla.foreign import adopt, read_statistics, read_weights
from policies.vla.model import VLA
from policies.vla.normalize import Kind, Normalization, Scaling
from policies.vla.text import TOKENIZER, Text

ACTION_SIZE = 32
"""Of openpi's models; what a robot has less is filled."""
EXIT_USAGE, EXIT_INCOMPLETE = 2, 3

notes = Console(stderr=True)


@dataclass(kw_only=True)
class ConvertCommand:
    """Make a checkpoint of pi0 or pi0.5 out of openpi's or LeRobot's weights."""

    model: Literal["pi0", "pi05"]
    """Which of the two."""
    weights: Path
    """model.safetensors of openpi's PyTorch model (its JAX checkpoints have to be converted with
    openpi's examples/convert_jax_model_to_pytorch.py first), or of LeRobot's."""
    statistics: Path
    """norm_stats.json, which lies below a checkpoint's assets."""
    tokenizer: Path
    """tokenizer.json of the Hugging Face repository google/paligemma-3b-pt-224."""
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
    size: str = "paligemma"
    """The network's dimensions."""

    def __call__(self) -> None:
        """Read, rename and write."""
        normalization = self._normalization(read_statistics(self.statistics))
        adaptive = self.model == "pi05"
        config = sized(
            self.size,
            cameras=self.cameras,
            state_size=normalization.state.size,
            state=self.state or ("text" if adaptive else "token"),
            adaptive=adaptive,
        )
        options = {"horizon": self.horizon, "action_size": ACTION_SIZE, "adaptive": adaptive}
        # Weights that are replaced at once need not be drawn.
        with torch.device("meta"):
            model = VLA(config, build("flow", options, config.width))
        adopt(model, read_weights(self.weights), str(self.weights))
        if self.tokenizer.name != TOKENIZER:
            raise UsageError(f"--tokenizer {self.tokenizer}: the file is called {TOKENIZER}")
        text = Text.read(self.tokenizer.parent, config)
        contract = contract_of(model, normalization, replan=self.replan or None)
        made = save(self.out, model, text, contract)
        count = sum(weight.numel() for weight in model.parameters())
        print(f"{count / 1e6:.0f} M weights in {self.out}, {made.identity[:10]}")

    def _normalization(self, statistics: dict[str, Statistics]) -> Normalization:
        kind: Kind = "gaussian" if self.model == "pi0" else "quantile"
        sizes = {"state": self.state_size, "action": self.action_size}
        state, action = (
            Scaling.of(kind, {k: values[: size or None] for k, values in statistics[name].items()})
            for name, size in sizes.items()
        )
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
