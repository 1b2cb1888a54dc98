"""A model in a folder: `config.json`, `model.safetensors`, `tokenizer.json`, what the head learned.

Nothing in it is executed, and `config.json` holds the hashes of all the rest.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from harness.contracts.errors import StorageError, UsageError
from harness.contracts.registry import SAFE_NAME
from harness.contracts.vectors import Layout, Part
from policies.heads import HEADS, build
from policies.vla.config import VLAConfig
from policies.vla.model import VLA
from policies.vla.normalize import Normalization
from policies.vla.text import TOKENIZER, Text

CONFIG, WEIGHTS = "config.json", "model.safetensors"
FIXED = ("horizon", "action_size", "adaptive")
"""What weights are made for, whatever the head."""
FORMAT = 1
"""Raised when an older reader would misread a checkpoint."""
LISTED = 12
"""So many weights an error names."""


@dataclass(frozen=True, kw_only=True)
class Contract:
    """What a model expects and gives, apart from its weights.

    Attributes:
        network: The network below the head.
        head: The head's name.
        options: The head's configuration, as JSON.
        normalization: Of states and actions.
        replan: How many actions of a chunk are executed unless a protocol says less; None all.
        state_layout: What the state's numbers mean; None where the data did not say.
        action_layout: What the action's numbers mean.
    """

    network: VLAConfig
    head: str
    options: Mapping[str, Any]
    normalization: Normalization
    replan: int | None = None
    state_layout: Layout | None = None
    action_layout: Layout | None = None

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, written: Mapping[str, Any]) -> "Contract":
        """Return what `as_json` wrote."""
        layouts = {
            name: Layout(tuple(Part(**part) for part in written[name]["parts"]))
            for name in ("state_layout", "action_layout")
            if written[name]
        }
        return cls(
            network=VLAConfig.from_json(written["network"]),
            head=written["head"],
            options=written["options"],
            normalization=Normalization.from_json(written["normalization"]),
            replan=written["replan"],
            **layouts,
        )

    def new_model(self) -> VLA:
        """Return a model with fresh weights."""
        return VLA(self.network, build(self.head, self.options, self.network.width))


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint's folder, of which only `config.json` has been read.

    Attributes:
        folder: Where it is.
        identity: A hash of all that decides what the model does.
        contract: What the model expects and gives.
        hashes: Of each file.
    """

    folder: Path
    identity: str
    contract: Contract
    hashes: Mapping[str, str]

    @classmethod
    def open(cls, folder: Path) -> "Checkpoint":
        """Read what a folder says of itself.

        Raises:
            UsageError: It holds no checkpoint that can be read.
        """
        path = folder / CONFIG
        if not path.is_file():
            raise UsageError(f"{folder} holds no checkpoint (no {CONFIG}); see docs/vla.md")
        try:
            content = path.read_bytes()
            written = json.loads(content)
            if written["format"] != FORMAT:
                raise ValueError(f"its format is {written['format']}, not {FORMAT}")
            hashes = dict(written["files"])
            if not all(SAFE_NAME.fullmatch(name) for name in hashes):
                raise ValueError("it names files outside its folder")
            contract = Contract.from_json(written["contract"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UsageError(f"cannot read {path}: {type(error).__name__}: {error}") from error
        return cls(folder, hashlib.sha256(content).hexdigest(), contract, hashes)

    def changed(self, changes: Mapping[str, Any]) -> "Checkpoint":
        """Return the same weights under other options of the head, or another `replan`.

        Raises:
            UsageError: There is no such option, or its value is none.
        """
        told, options = self.contract, dict(changes)
        if not options:
            return self
        replan = options.pop("replan", told.replan)
        horizon = told.options["horizon"]
        if replan is not None and (type(replan) is not int or not 1 <= replan <= horizon):
            raise UsageError(f"replan must be from 1 to {horizon}, not {replan!r}")
        for name in FIXED:
            if name in options:
                raise UsageError(f"{name} cannot be changed: {self.folder} was trained with it")
        contract = replace(told, options={**told.options, **options}, replan=replan)
        with torch.device("meta"):
            contract.new_model()
        return replace(self, contract=contract)

    def load(self, device: torch.device) -> tuple[VLA, Text]:
        """Return the model, ready to act, and its text.

        Raises:
            UsageError: A file is missing or is not what was saved, or the weights do not fit.
        """
        for name, wanted in self.hashes.items():
            if _hash(self.folder / name) != wanted:
                raise UsageError(f"{self.folder / name} is not what was saved; copy it again")
        head = build(self.contract.head, self.contract.options, self.contract.network.width)
        fitted = [name for name in self.hashes if name not in (WEIGHTS, TOKENIZER)]
        if fitted:
            head.restore({name: (self.folder / name).read_text() for name in fitted})
        # Large weights are not drawn at random only to be replaced.
        with torch.device("meta"):
            model = VLA(self.contract.network, head)
        path = self.folder / WEIGHTS
        try:
            weights = load_file(path)
        except (OSError, SafetensorError) as error:
            raise UsageError(f"cannot read {path}: {error}") from error
        fill(model, weights, str(path))
        if torch.float16 in {weight.dtype for weight in weights.values()}:
            model.float()  # Kept in 16 bits to be small, not to be computed with.
        text = Text.read(self.folder, self.contract.network)
        return model.to(device).eval().requires_grad_(False), text


def save(folder: Path, model: VLA, text: Text, contract: Contract) -> Checkpoint:
    """Write a checkpoint; it is whole once `config.json` is there, which comes last.

    Raises:
        StorageError: The disk is full or gone.
    """
    weights = {name: weight.contiguous() for name, weight in model.state_dict().items()}
    written = {TOKENIZER: text.dumps(), **model.head.fitted()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / CONFIG).unlink(missing_ok=True)
        save_file(weights, folder / WEIGHTS)
        for name, content in written.items():
            (folder / name).write_text(content)
        hashes = {name: _hash(folder / name) for name in (WEIGHTS, *written)}
        config = {"format": FORMAT, "contract": contract.as_json(), "files": hashes}
        (folder / CONFIG).write_text(json.dumps(config, indent=1, sort_keys=True) + "\n")
    except (OSError, SafetensorError) as error:
        raise StorageError(f"cannot write a checkpoint to {folder}: {error}") from error
    return Checkpoint.open(folder)


def fill(model: nn.Module, weights: Mapping[str, Tensor], source: str) -> None:
    """Put weights into a model: every one, and no other.

    Raises:
        UsageError: Some are missing, left over, or of another shape; the message lists them.
    """
    wanted = {name: tuple(weight.shape) for name, weight in model.state_dict().items()}
    found = {name: tuple(weight.shape) for name, weight in weights.items()}
    shapes = {n: f"{n} {found[n]} for {wanted[n]}" for n in wanted.keys() & found.keys()}
    problems = {
        "missing": sorted(wanted.keys() - found.keys()),
        "left over": sorted(found.keys() - wanted.keys()),
        "of another shape": sorted(shapes[n] for n in shapes if wanted[n] != found[n]),
    }
    said = [
        f"{len(names)} {problem}: {', '.join(names[:LISTED])}{', ...' if names[LISTED:] else ''}"
        for problem, names in problems.items()
        if names
    ]
    if said:
        raise UsageError(f"{source} does not fit the model; weights {'; '.join(said)}")
    model.load_state_dict(weights, assign=True)


def _hash(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error}") from error


def contract_of(model: VLA, normalization: Normalization, **more: Any) -> Contract:
    """Return the contract of a model; `more` are the fields that it does not know itself."""
    head = next(name for name, (_, made) in HEADS.items() if type(model.head) is made)
    options = asdict(model.head.config)
    return Contract(
        network=model.config, head=head, options=options, normalization=normalization, **more
    )
