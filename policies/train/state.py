"""The state of an unfinished training: one file, replaced atomically."""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from harness.contracts.atomic import atomic_file
from harness.contracts.errors import StorageError, UsageError

SETTINGS_FILE, DATA_FILE = "training/settings.json", "training/data.json"
INIT_FILE = "training/init.json"
STATE_FILE = "training/state.safetensors"
_LOCK_FILE = "training/lock"


@dataclass(frozen=True)
class TrainingState:
    """The state of a training after a step.

    Attributes:
        step: Updates so far.
        seconds: Their time.
        tensors: Everything that the next update depends on.
    """

    step: int
    seconds: float
    tensors: Mapping[str, Tensor]


def save_state(folder: Path, state: TrainingState) -> None:
    """Replace the saved state.

    Raises:
        StorageError: The disk is full or gone; the earlier state is still there.
    """
    metadata = {"step": str(state.step), "seconds": repr(state.seconds)}
    path = folder / STATE_FILE
    partial = path.with_suffix(".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(dict(state.tensors), partial, metadata)
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    except (OSError, SafetensorError) as error:
        raise StorageError(f"cannot write {path}: {error}") from error


def load_state(folder: Path, device: torch.device) -> TrainingState | None:
    """Return the saved state, or None.

    Raises:
        UsageError: The file is damaged.
    """
    path = folder / STATE_FILE
    if not path.is_file():
        return None
    try:
        with safe_open(path, "pt", device=str(device)) as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return TrainingState(int(metadata["step"]), float(metadata["seconds"]), tensors)
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise UsageError(f"{path} is damaged ({error}); delete it to start again") from error


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Hold the lock on a folder that is trained into.

    Raises:
        UsageError: Another process holds it.
        StorageError: The folder cannot be written.
    """
    path = folder / _LOCK_FILE
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("ab")
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}; choose --out") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UsageError(
                f"another process is training into {folder}; wait or choose another --out"
            ) from error
        yield


def require_same(path: Path, values: Mapping[str, Any]) -> None:
    """Write what a training depends on; if the file exists, check that it holds the same.

    Raises:
        UsageError: The file holds other values.
    """
    wanted = json.loads(json.dumps(values))
    if not path.is_file():
        with atomic_file(path) as file:
            file.write((json.dumps(wanted, indent=1) + "\n").encode())
        return
    try:
        found = json.loads(path.read_text())
        names = wanted.keys() | found.keys()
        other = sorted(name for name in names if wanted.get(name) != found.get(name))
    except (OSError, ValueError, AttributeError) as error:
        raise UsageError(f"cannot read {path}: {error}; choose another --out") from error
    if other:
        raise UsageError(f"{path} has another {', '.join(other)}; choose another --out")
