"""Checkpoints: a folder with `config.json`, `model.safetensors`, `tokenizer.json`, fitted files.

Loading executes nothing. `config.json` holds the hashes of the other files.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError

from harness.contracts.bounded_files import open_regular, read_bounded
from harness.contracts.errors import StorageError, UsageError
from harness.contracts.foreign_text import error_line
from harness.contracts.registry import SAFE_NAME
from policies.heads import HEADS
from policies.vla.config import TOKENIZER_FILE
from policies.vla.contract import Contract
from policies.vla.normalize import Normalization

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from policies.vla.model import VLA
    from policies.vla.prompts import PromptTokenizer

CONFIG_FILE = "config.json"
_WEIGHTS_FILE = "model.safetensors"
_REQUIRED = (_WEIGHTS_FILE, TOKENIZER_FILE)
_SHA256 = re.compile("[0-9a-f]{64}")
_FIXED = ("horizon", "action_size", "adaptive")
"""Head options that the weights depend on."""
_FORMAT = 1
"""To be raised if an older reader would misread a checkpoint."""
_LARGEST_CONFIG = 2**22
"""Bytes of `config.json`, at most."""
_LARGEST_TEXT = 2**26
"""Bytes of a tokenizer or another fitted file, at most; PaliGemma's tokenizer has 34 MB."""
_LARGEST_HEADER = 2**24
"""Bytes that the names and shapes of the weights may take."""
_LONGEST_REASON = 300
_LISTED = 12
"""Largest number of weights that an error names."""


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint whose `config.json` has been read; `load` reads the rest.

    Attributes:
        folder: Its folder.
        identity: The hash of `config.json`, and so of all files.
        contract: Everything about the model except its weights.
        hashes: The hash of each other file, by name.
    """

    folder: Path
    identity: str
    contract: Contract
    hashes: Mapping[str, str]

    @property
    def all_hashes(self) -> dict[str, str]:
        """The SHA-256 of every file, by name."""
        return {CONFIG_FILE: self.identity, **self.hashes}

    @classmethod
    def open(cls, folder: Path) -> "Checkpoint":
        """Read a folder's `config.json`.

        Raises:
            UsageError: The folder holds no readable checkpoint.
        """
        path = folder / CONFIG_FILE
        if not path.is_file():
            raise UsageError(f"{folder} holds no checkpoint (no {CONFIG_FILE}); see docs/vla.md")
        try:
            content = read_bounded(path, _LARGEST_CONFIG)
            written = json.loads(content)
            if type(written) is not dict or written.get("format") != _FORMAT:
                raise UsageError(f"field format must be {_FORMAT}")
            hashes = _require_hashes(written.get("files"))
            contract = Contract.from_json(written.get("contract"))
        except (OSError, ValueError, RecursionError) as error:
            reason = error_line(str(error), _LONGEST_REASON)
            raise UsageError(f"cannot read {path}: {type(error).__name__}: {reason}") from error
        except UsageError as error:
            raise UsageError(f"cannot read {path}: {error}") from error
        return cls(folder, hashlib.sha256(content).hexdigest(), contract, hashes)

    def changed(self, changes: Mapping[str, Any]) -> "Checkpoint":
        """Return the same weights with other head options, or another `replan`.

        Raises:
            UsageError: An option does not exist or cannot be changed, or a value is invalid.
        """
        contract, options = self.contract, dict(changes)
        if not options:
            return self
        replan = options.pop("replan", contract.replan)
        horizon = contract.options["horizon"]
        if replan is not None and (type(replan) is not int or not 1 <= replan <= horizon):
            raise UsageError(f"replan must be from 1 to {horizon}, not {replan!r}")
        for name in _FIXED:
            if name in options:
                raise UsageError(
                    f"{name} cannot be changed: the weights of {self.folder} depend on it"
                )
        contract = replace(contract, options={**contract.options, **options}, replan=replan)
        if contract.options == self.contract.options:
            return replace(self, contract=contract)
        from policies.vla.unfilled import unfilled

        with unfilled():
            contract.new_model()
        return replace(self, contract=contract)

    def load(self, device: "torch.device") -> "tuple[VLA, PromptTokenizer]":
        """Return the model, ready to act, and its tokenizer.

        Raises:
            UsageError: A file is missing, has another hash, or does not fit the model.
        """
        import torch
        from safetensors.torch import load_file

        from policies.vla.prompts import PromptTokenizer
        from policies.vla.unfilled import unfilled

        # Nothing is allocated before the weights are known to fit.
        with unfilled():
            model = self.contract.new_model()
        _require_sizes(
            self.folder, self.hashes, sum(w.numel() for w in model.state_dict().values())
        )
        for name, wanted in self.hashes.items():
            if _hash(self.folder / name) != wanted:
                raise UsageError(
                    f"{self.folder / name} has changed since it was saved; copy it again"
                )
        fitted = [name for name in self.hashes if name not in _REQUIRED]
        if fitted:
            model.head.restore({name: (self.folder / name).read_text() for name in fitted})
        path = self.folder / _WEIGHTS_FILE
        try:
            weights = load_file(path)
        except (OSError, SafetensorError) as error:
            raise UsageError(f"cannot read {path}: {error}") from error
        fill(model, weights, str(path))
        if torch.float16 in {weight.dtype for weight in weights.values()}:
            model.float()  # float16 only makes the file small.
        tokenizer = PromptTokenizer.read(self.folder, self.contract.network)
        return model.to(device).eval().requires_grad_(False), tokenizer


def save(
    folder: Path, model: "VLA", tokenizer: "PromptTokenizer", contract: Contract
) -> Checkpoint:
    """Write a checkpoint. `config.json` is written last, so a folder with it is complete.

    Raises:
        StorageError: The disk is full or gone.
    """
    from safetensors.torch import save_file

    weights = {name: weight.contiguous() for name, weight in model.state_dict().items()}
    texts = {TOKENIZER_FILE: tokenizer.dumps(), **model.head.fitted()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / CONFIG_FILE).unlink(missing_ok=True)
        save_file(weights, folder / _WEIGHTS_FILE)
        for name, content in texts.items():
            (folder / name).write_text(content)
        hashes = {name: _hash(folder / name) for name in (_WEIGHTS_FILE, *texts)}
        config = {"format": _FORMAT, "contract": contract.as_json(), "files": hashes}
        (folder / CONFIG_FILE).write_text(json.dumps(config, indent=1, sort_keys=True) + "\n")
    except (OSError, SafetensorError) as error:
        raise StorageError(f"cannot write a checkpoint to {folder}: {error}") from error
    return Checkpoint.open(folder)


def fill(model: "nn.Module", weights: "Mapping[str, Tensor]", source: str) -> None:
    """Put weights into a model. The names have to be exactly the model's.

    Raises:
        UsageError: Weights are missing, unexpected, or of another shape; the message lists them.
            Or one holds a number that is not finite.
    """
    import torch

    wanted = {name: tuple(weight.shape) for name, weight in model.state_dict().items()}
    found = {name: tuple(weight.shape) for name, weight in weights.items()}
    shapes = {n: f"{n} {found[n]} for {wanted[n]}" for n in wanted.keys() & found.keys()}
    problems = {
        "missing": sorted(wanted.keys() - found.keys()),
        "unexpected": sorted(found.keys() - wanted.keys()),
        "of another shape": sorted(shapes[n] for n in shapes if wanted[n] != found[n]),
    }
    messages = [
        f"{len(names)} {problem}: {', '.join(names[:_LISTED])}{', ...' if names[_LISTED:] else ''}"
        for problem, names in problems.items()
        if names
    ]
    if messages:
        raise UsageError(f"{source} does not fit the model; weights {'; '.join(messages)}")
    for name, weight in weights.items():
        # Several times as fast as `isfinite`, and without a copy.
        if weight.numel() and not torch.stack(weight.aminmax()).isfinite().all():
            raise UsageError(
                f"{source}: {name} holds NaN or infinite numbers; the training diverged or the "
                "file is damaged"
            )
    model.load_state_dict(weights, assign=True)


def _require_hashes(files: Any) -> dict[str, str]:
    """Return the field `files`, without which other weights could take the place of these."""
    if type(files) is not dict or not set(_REQUIRED) <= files.keys():
        raise UsageError(f"field files must hold the hashes of {' and '.join(_REQUIRED)}")
    for name, hashed in files.items():
        if not SAFE_NAME.fullmatch(name):
            raise UsageError(f"field files names a file outside its folder: {name!r:.80}")
        if not isinstance(hashed, str) or not _SHA256.fullmatch(hashed):
            raise UsageError(f"field files.{name} must be a SHA-256, not {hashed!r:.80}")
    return files


def _require_sizes(folder: Path, files: Iterable[str], numbers: int) -> None:
    """Require files whose sizes are possible, before one is read.

    Raises:
        UsageError: One is missing, is no regular file, or has an impossible size.
    """
    for name in files:
        path = folder / name
        try:
            with open_regular(path) as file:
                size, start = os.fstat(file.fileno()).st_size, file.read(8)
        except OSError as error:
            raise UsageError(f"cannot read {path}: {error}") from error
        if name != _WEIGHTS_FILE:
            if size > _LARGEST_TEXT:
                raise UsageError(f"{path} has {size} bytes; at most {_LARGEST_TEXT} are read")
            continue
        header = int.from_bytes(start, "little")
        if len(start) < 8 or header > min(size - 8, _LARGEST_HEADER):
            raise UsageError(f"cannot read {path}: its header is damaged")
        weights = size - 8 - header
        if not numbers <= weights <= 8 * numbers:  # 1 to 8 bytes for a number.
            raise UsageError(
                f"{path} does not fit the model: {weights} bytes of weights for {numbers} numbers"
            )


def _hash(path: Path) -> str:
    try:
        with open_regular(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error}") from error


def contract_of(model: "VLA", normalization: Normalization, **more: Any) -> Contract:
    """Return the contract of a model; `more` are fields that the model does not know."""
    head = next(n for n, (config, _) in HEADS.items() if type(model.head.config) is config)
    options = asdict(model.head.config)
    return Contract(
        network=model.config, head=head, options=options, normalization=normalization, **more
    )
