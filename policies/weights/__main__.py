"""Converts weights of pi0, pi0.5, pi0-FAST or E0 to a checkpoint.

python -m policies.weights --from-lerobot pretrained_model --out checkpoints/pi05
python -m policies.weights --model pi05 --weights model.safetensors \
    --statistics norm_stats.json --tokenizer tokenizer.json --horizon 10 --out checkpoints/pi05
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeVar

import tyro

from harness.cli.codes import EXIT_INCOMPLETE
from harness.cli.exit import exit_code
from harness.cli.output import notes
from harness.contracts.errors import StorageError, UsageError
from harness.demonstrations.column_statistics import Statistics
from policies.lerobot_folder import ROLES
from policies.vla.config import TOKENIZER_FILE, Prompts, State, VLAConfig, sized
from policies.vla.normalize import Kind, Normalization, Scaling
from policies.weights.conversion import Conversion, Model
from policies.weights.lerobot import read_normalizer
from policies.weights.lerobot_checkpoint import LerobotCheckpoint
from policies.weights.openpi import read_norm_stats

_Value = TypeVar("_Value")
_ACTION_SIZE = 32
"""Numbers in an action of pi0 and pi0.5; shorter actions are padded."""
_TEXT_LENGTHS = {"pi0": 48, "pi05": 200, "pi0-fast": 200, "e0": 64}
"""Length to which openpi, LeRobot and E0 (its `e0_diff_hybrid_libero`) cut prompts."""
_CAMERAS = ("main", "wrist")
_HORIZON = 50
_FAST_FILE = "processor_config.json"


@dataclass(kw_only=True)
class ConvertCommand:
    """Convert weights of pi0, pi0.5, pi0-FAST or E0 to a checkpoint."""

    from_lerobot: Path | None = None
    """The folder of a LeRobot checkpoint, often .../pretrained_model. Its config.json and its
    processors give all that they hold; the options below override them."""
    model: Model | None = None
    """The model."""
    weights: Path | None = None
    """model.safetensors of openpi's PyTorch model, or of LeRobot. Convert openpi's JAX checkpoints
    with its examples/convert_jax_model_to_pytorch.py first. pi0-FAST has to be LeRobot's. For E0,
    a safetensors file with the names of its JAX code; see docs/vla.md."""
    statistics: Path | None = None
    """norm_stats.json from the assets of an openpi checkpoint, or LeRobot's
    policy_preprocessor_step_..._normalizer_processor.safetensors."""
    tokenizer: Path | None = None
    """tokenizer.json of the Hugging Face repository google/paligemma-3b-pt-224. With --from-lerobot
    it is found if it was downloaded."""
    fast: Path | None = None
    """For pi0-fast: the folder with processor_config.json and tokenizer.json of the Hugging Face
    repository physical-intelligence/fast. With --from-lerobot it is found if it was downloaded."""
    out: Path
    """The checkpoint's folder."""
    cameras: tuple[str, ...] | None = None
    """Roles of the cameras, in the order in which the model was trained on them; default: main,
    wrist. With --from-lerobot they follow the order of config.json: main, wrist, left, right."""
    horizon: int | None = None
    """Actions in a chunk; 50 unless the checkpoint says it."""
    replan: int | None = None
    """Actions to execute unless the protocol has fewer; 0 for the whole chunk, the default."""
    state: State | None = None
    """How the state enters, if not as usual: `none` for a pi0.5 without it, as pi05_libero."""
    state_size: int = 0
    """Numbers in a state; 0 for as many as the statistics have."""
    action_size: int = 0
    """Numbers in an action; 0 for as many as the statistics have."""
    lerobot_version: Literal["0.4", "0.5"] | None = None
    """The LeRobot that trained the weights; 0.5 also stands for later ones. Prompts of 0.4 hold
    zeros after the state's numbers. Needed for pi0.5 and pi0-FAST if the folder does not tell."""
    relative: int | None = None
    """How many of an action's first numbers are relative to the state (openpi's DeltaActions)."""
    normalization: Kind | None = None
    """How states and actions were normalised, if not as in openpi (gaussian for pi0, else
    quantile) or as the checkpoint says. For --statistics of LeRobot, see normalization_mapping in
    its config.json."""
    size: str = "paligemma"
    """The network's dimensions."""

    def __call__(self) -> int:
        """Convert."""
        found = self._conversion()
        checkpoint, model = found.save(self.out)
        count = sum(weight.numel() for weight in model.parameters())
        print(f"{count / 1e6:.0f} M weights in {self.out}, {checkpoint.identity[:10]}")
        return 0

    def _conversion(self) -> Conversion:
        if self.from_lerobot is not None:
            return self._from_checkpoint(LerobotCheckpoint.open(self.from_lerobot))
        model: Model = _needed(self.model, "--model")
        statistics = self._statistics(_needed(self.statistics, "--statistics"))
        kind: Kind = self.normalization or ("gaussian" if model == "pi0" else "quantile")
        normalization = self._normalization(kind, statistics)
        network = self._network(model, self.cameras or _CAMERAS, normalization.state.size)
        return Conversion(
            model=model,
            weights=_needed(self.weights, "--weights"),
            tokenizer=_needed(self.tokenizer, "--tokenizer"),
            fast=self.fast,
            network=replace(network, text_length=_TEXT_LENGTHS[model]),
            options={
                "horizon": _HORIZON if self.horizon is None else self.horizon,
                "action_size": self._width(model, normalization, _ACTION_SIZE),
            },
            normalization=normalization,
            replan=self.replan or None,
        )

    def _from_checkpoint(self, found: LerobotCheckpoint) -> Conversion:
        model, config = found.model, found.config
        if self.model not in (None, model):
            raise UsageError(f"--model {self.model}: {found.folder} is of {model}")
        cameras = self._cameras(found)
        normalization = self._normalization_of(found)
        network = self._network(model, cameras, normalization.state.size, found)
        options = {
            "horizon": found.count("chunk_size") if self.horizon is None else self.horizon,
            "action_size": self._width(model, normalization, found.count("max_action_dim")),
        }
        if model == "pi0-fast":
            options["temperature"] = config.get("temperature", 0.0)
        else:
            options["steps"] = found.count("num_inference_steps")
        replan = found.count("n_action_steps") if self.replan is None else self.replan
        for role, key in zip(cameras, found.images, strict=False):
            print(f"camera {role}: {key}")
        return Conversion(
            model=model,
            weights=self.weights or found.weights,
            tokenizer=self._found_tokenizer(found),
            fast=self._found_fast(found) if model == "pi0-fast" else None,
            network=network,
            options=options,
            normalization=normalization,
            replan=None if replan in (0, options["horizon"]) else replan,
        )

    def _cameras(self, found: LerobotCheckpoint) -> tuple[str, ...]:
        images = found.images
        if self.cameras is None and len(images) <= len(ROLES):
            return ROLES[: len(images)]
        if self.cameras is None or len(self.cameras) > len(images):
            raise UsageError(
                f"give --cameras a role for each of the {len(images)} images of {found.folder}: "
                f"{', '.join(images)}"
            )
        return self.cameras

    def _network(
        self,
        model: Model,
        cameras: tuple[str, ...],
        state_size: int,
        found: LerobotCheckpoint | None = None,
    ) -> VLAConfig:
        config = sized(
            self.size,
            cameras=cameras,
            state_size=state_size,
            state=self.state or ("token" if model == "pi0" else "text"),
            adaptive=model in ("pi05", "e0"),
            acting="language" if model == "pi0-fast" else "expert",
        )
        padded = None if self.lerobot_version is None else self.lerobot_version == "0.4"
        if found is not None:
            pixels = config.images.pixels
            if found.pixels != (pixels, pixels):
                raise UsageError(
                    f"{found.folder}: image_resolution is {found.pixels}; only {pixels} x {pixels} "
                    "can be converted"
                )
            length, largest = found.count("tokenizer_max_length"), found.count("max_state_dim")
            config = replace(config, text_length=length, state_size=largest)
            padded = found.pads_state if padded is None else padded
            if padded is None and config.state == "text":
                raise UsageError(
                    f"{found.folder} does not tell which LeRobot trained it; give "
                    "--lerobot-version 0.4, or 0.5 for 0.5 and later"
                )
        prompts: Prompts = "lerobot" if model == "pi0-fast" else "openpi"
        return replace(config, prompts="lerobot-padded" if padded else prompts)

    def _width(self, model: Model, normalization: Normalization, padded: int) -> int:
        """Return the numbers in an action of the network; pi0-FAST pads none."""
        return normalization.action.size if model == "pi0-fast" else padded

    def _found_tokenizer(self, found: LerobotCheckpoint) -> Path:
        step, option = "tokenizer_processor", "tokenizer_name"
        path = self.tokenizer or found.file_of(step, option, TOKENIZER_FILE)
        return _needed(
            path,
            f"--tokenizer, {TOKENIZER_FILE} of the Hugging Face repository "
            f"{found.repository(step, option) or 'google/paligemma-3b-pt-224'},",
        )

    def _found_fast(self, found: LerobotCheckpoint) -> Path:
        step, option = "action_tokenizer_processor", "action_tokenizer_name"
        file = found.file_of(step, option, _FAST_FILE)
        return _needed(
            self.fast or (file and file.parent),
            "--fast, a folder with the files of the Hugging Face repository "
            f"{found.repository(step, option) or 'physical-intelligence/fast'},",
        )

    def _normalization_of(self, found: LerobotCheckpoint) -> Normalization:
        """Return the normalisation of a checkpoint, or that of the options."""
        override = None if self.statistics is None else self._statistics(self.statistics)
        if self.normalization is not None:
            kind, statistics = self.normalization, _needed(override, "--statistics")
            return self._normalization(kind, statistics)
        sizes = {"state": self.state_size, "action": self.action_size}
        state, action = (found.scaling(name, override, size) for name, size in sizes.items())
        if self.relative is not None:
            return Normalization(state, action, self._relative(action.size))
        return Normalization(state, action, found.relative(action.size))

    def _statistics(self, path: Path) -> dict[str, Statistics]:
        return (read_normalizer if path.suffix == ".safetensors" else read_norm_stats)(path)

    def _normalization(self, kind: Kind, statistics: Mapping[str, Statistics]) -> Normalization:
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
        return Normalization(state, action, self._relative(action.size))

    def _relative(self, action_size: int) -> tuple[int | None, ...]:
        count = self.relative or 0
        return (*range(count), *(None,) * (action_size - count)) if count else ()


def _needed(value: _Value | None, flag: str) -> _Value:
    """Return the value of an option.

    Raises:
        UsageError: It was not given.
    """
    if value is None:
        raise UsageError(f"{flag} is missing")
    return value


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
