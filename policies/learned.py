"""A policy that plays a trained checkpoint."""

import json
import os
import re
import warnings
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import astuple
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from harness.contracts.environment import Observation
from harness.contracts.errors import PolicyError, UsageError
from harness.contracts.policy import ActionChunk, Policy, PolicySpec, Query
from harness.contracts.yaml_files import parse_yaml
from policies.vla.checkpoint import Checkpoint

if TYPE_CHECKING:
    import torch

if find_spec("torch") is None:
    # Only `load` imports it, which takes over a second; a plan must notice its absence earlier.
    raise ModuleNotFoundError("No module named 'torch'", name="torch")

_FAR = 20.0
"""Normalised distance from the training data at which a state has other units or another order."""
_STILL = 1e-3
"""Span of a number that hardly changed in the training data."""
_LAST_OPTION = re.compile(r"(.+),([a-z_]+)=([A-Za-z0-9._+-]+)")
"""Splits the last ``,OPTION=VALUE`` from the text before it."""
_A_GPU = re.compile(r"\d|GPU-|MIG-")
"""How CUDA_VISIBLE_DEVICES begins if it names a GPU; other values hide all."""


def split_options(source: str) -> tuple[Path, dict[str, Any]]:
    """Split ``FOLDER,OPTION=VALUE,...`` into the folder and its options, parsed as YAML.

    Raises:
        UsageError: An option is given twice, or its value is not YAML.
    """
    changes: dict[str, Any] = {}
    while match := _LAST_OPTION.fullmatch(source):
        source, option, value = match.groups()
        if option in changes:
            raise UsageError(f"the option {option} of {source} is given twice; give it once")
        try:
            changes[option] = parse_yaml(value)
        except ValueError as error:
            raise UsageError(f"the option {option} of {source}: {error}") from error
    return Path(source), dict(sorted(changes.items()))


def _option_text(value: Any) -> str:
    """Return an option's value as command-line text; equal values give equal text."""
    return value if isinstance(value, str) else json.dumps(value)


class LearnedPolicy(Policy):
    """Plays a checkpoint of the vision-language-action model; see docs/vla.md.

    Each row of a batch draws from its own stream, so the batch changes only the last bits of the
    network's outputs. At the border of two tokens they can decide which one is drawn.
    """

    batching = "fast"

    source = "CHECKPOINT_FOLDER[,OPTION=VALUE,...]"
    """The command line's syntax after ``vla:``."""

    def __init__(self, source: str) -> None:
        """Read the checkpoint's configuration, without its weights.

        Raises:
            UsageError: The checkpoint or an option does not exist.
        """
        folder, changes = split_options(source)
        self._checkpoint = Checkpoint.open(folder.absolute()).changed(changes)
        contract = self._checkpoint.contract
        kind = contract.head if contract.network.cameras else f"{contract.head}-blind"
        used = "".join(f",{option}={_option_text(value)}" for option, value in changes.items())
        self.spec = PolicySpec(
            name=f"{kind}{used}@{self._checkpoint.identity[:10]}",
            cameras=contract.network.cameras,
            state_layout=contract.state_layout,
            action_layout=contract.action_layout,
        )
        # By the path as it was typed, which holds on other machines, too.
        hashes = self._checkpoint.all_hashes
        self.files = {str(folder / name): hashed for name, hashed in hashes.items()}
        self._warned = False

    def load(self) -> None:
        """Read the weights.

        Raises:
            UsageError: The checkpoint is damaged, or a GPU was asked for and PyTorch finds none.
        """
        import torch

        from policies.vla.preparation import Preparation

        torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
        # Not earlier: a policy may be made in one process and loaded in another.
        self._device = find_device()
        self._model, tokenizer = self._checkpoint.load(self._device)
        contract = self._checkpoint.contract
        self._preparation = Preparation(contract.network, contract.normalization, tokenizer)
        # LeRobot stores a few weights of a 16-bit model in 32 bits.
        stored = {weight.dtype for weight in self._model.parameters()}
        self._half = torch.bfloat16 in stored

    def infer(self, queries: Sequence[Query]) -> Sequence[ActionChunk]:
        """Return the first `replan` actions of each predicted chunk.

        Raises:
            UsageError: A state has another size than the checkpoint's.
            PolicyError: The network's outputs are not finite.
        """
        import torch

        contract = self._checkpoint.contract
        observations = [query.observation for query in queries]
        state, pixels = self._states(observations), contract.network.images.pixels
        inputs = self._preparation.inputs(
            {
                role: _stacked([seen["image"][role] for seen in observations], pixels)
                for role in contract.network.cameras
            },
            state,
            [seen["instruction"] for seen in observations],
        )
        before = self._model.evaluations
        half = torch.autocast(self._device.type, torch.bfloat16) if self._half else nullcontext()
        with half:
            chunks = self._model.act(inputs.to(self._device), [q.stream for q in queries])
        self.evaluations += self._model.evaluations - before
        actions = contract.normalization.actions(chunks.float().cpu().numpy(), state)
        if not np.isfinite(actions).all():
            raise PolicyError("policy_nan: the network's outputs are not finite")
        return list(actions[:, : contract.replan])

    def _states(self, observations: Sequence[Observation]) -> NDArray[np.float32]:
        """Return the states, (batch, size)."""
        wanted = (self._checkpoint.contract.normalization.state.size,)
        for seen in observations:
            if np.shape(seen["state"]) != wanted:
                raise UsageError(
                    f"{self.spec.name} was trained on states of {wanted[0]} numbers and gets "
                    f"{np.shape(seen['state'])}: choose the benchmark and protocol of its data"
                )
        states = np.stack([seen["state"] for seen in observations]).astype(np.float32)
        self._warn_of_far(states)
        return states

    def _warn_of_far(self, states: NDArray[np.float32]) -> None:
        """Warn once of a state that is far from all states of the training data."""
        if self._warned or not states.size:
            return
        normalization = self._checkpoint.contract.normalization
        # A number that hardly changed in the data is far from it at once, and means nothing.
        moved = np.array(normalization.state.span) > _STILL
        distance = np.where(moved, np.abs(normalization.states(states)), 0)
        row, number = np.unravel_index(distance.argmax(), distance.shape)
        if distance[row, number] <= _FAR:
            return
        self._warned = True
        centre, span = (values[number] for values in astuple(normalization.state))
        warnings.warn(
            f"number {number} of a state is {states[row, number]:g}, but the training data of "
            f"{self.spec.name} is about {centre - span:g} to {centre + span:g}: check the state's "
            "units and the order of its numbers",
            RuntimeWarning,
            stacklevel=3,
        )


def _stacked(images: Sequence[NDArray[np.uint8]], pixels: int) -> NDArray[np.uint8]:
    """Return a batch of pictures; those of different benchmarks can have different sizes."""
    if len({image.shape for image in images}) > 1:
        from harness.demonstrations.resize import resize_images

        images = [resize_images(image[None], pixels)[0] for image in images]
    return np.stack(images)


def find_device() -> "torch.device":
    """Return the GPU if there is one, otherwise the CPU.

    Raises:
        UsageError: CUDA_VISIBLE_DEVICES names a GPU, and PyTorch finds none. Ray sets it where a
            policy has a GPU.
    """
    import torch

    if torch.cuda.is_available():
        # float32 as on the CPU: by default, convolutions on a GPU keep 10 of its 23 bits.
        torch.backends.cudnn.allow_tf32 = False
        return torch.device("cuda")
    wanted = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    if _A_GPU.match(wanted):
        raise UsageError(
            f"CUDA_VISIBLE_DEVICES={wanted:.80} names a GPU, and PyTorch {torch.__version__} finds "
            "none: install a driver and a PyTorch for it, or compute on the CPU with --policy-gpus "
            "0 (without --workers: with CUDA_VISIBLE_DEVICES=-1); see docs/gpu.md"
        )
    return torch.device("cpu")
