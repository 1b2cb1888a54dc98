"""What a training that continues needs: one file, whole or not at all, that executes nothing."""

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

from harness.contracts.errors import StorageError, UsageError
from harness.demonstrations.parts import whole_file

SETTINGS, DATA = "training/settings.json", "training/data.json"
INIT = "training/init.json"
LOCK = "training/lock"
STATE = "training/state.safetensors"


@dataclass(frozen=True)
class Kept:
    """How far a training has come.

    Attributes:
        step: Updates so far.
        seconds: How long they took.
        tensors: All that the next one depends on.
    """

    step: int
    seconds: float
    tensors: Mapping[str, Tensor]


def save_state(folder: Path, kept: Kept) -> None:
    """Keep how far a training has come, in place of what was kept before.

    Raises:
        StorageError: The disk is full or gone; what was kept before is still there.
    """
    note = {"step": str(kept.step), "seconds": repr(kept.seconds)}
    path = folder / STATE
    partial = path.with_suffix(".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(dict(kept.tensors), partial, note)
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    except (OSError, SafetensorError) as error:
        raise StorageError(f"cannot write {path}: {error}") from error


def load_state(folder: Path, device: torch.device) -> Kept | None:
    """Return how far a training has come; None if nothing was kept.

    Raises:
        UsageError: What was kept is damaged.
    """
    path = folder / STATE
    if not path.is_file():
        return None
    try:
        with safe_open(path, "pt", device=str(device)) as file:
            note = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return Kept(int(note["step"]), float(note["seconds"]), tensors)
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise UsageError(f"{path} is damaged ({error}); delete it to start again") from error


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Be the only one that trains into a folder.

    Raises:
        UsageError: Somebody else does.
        StorageError: The folder cannot be written.
    """
    path = folder / LOCK
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


def claim(path: Path, said: Mapping[str, Any]) -> None:
    """Write down what a training depends on, or check that it is what was written before.

    Raises:
        UsageError: It is something else.
    """
    wanted = json.loads(json.dumps(said))
    if not path.is_file():
        with whole_file(path) as file:
            file.write((json.dumps(wanted, indent=1) + "\n").encode())
        return
    try:
        found = json.loads(path.read_text())
        names = wanted.keys() | found.keys()
        other = sorted(name for name in names if wanted.get(name) != found.get(name))
    except (OSError, ValueError, AttributeError) as error:
        raise UsageError(f"cannot read {path}: {error}; choose another --out") from error
    if other:
        raise UsageError(f"{path} says another {', '.join(other)}; choose another --out")
