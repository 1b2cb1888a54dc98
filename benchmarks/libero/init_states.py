"""Reads LIBERO's initial states, from npz files or from pickles, without unpickling."""

import pickletools
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def load_init_states(path: Path) -> NDArray[np.float64]:
    """Return the states of a task, one in each row.

    PyPI's package has npz files. Upstream's `.pruned_init` is a zip whose `data.pkl` pickles one
    array. Its bytes and shape are read from the pickle's opcodes, so nothing is executed.

    Raises:
        ValueError: The file is neither of them.
    """
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as file:
            states: NDArray[np.float64] = file["states"]
            return states
    with zipfile.ZipFile(path) as archive:
        member = next(name for name in archive.namelist() if name.endswith("data.pkl"))
        return _array_in_pickle(archive.read(member), path)


def _array_in_pickle(content: bytes, path: Path) -> NDArray[np.float64]:
    """Return the array of a pickle that holds exactly one."""
    integers: list[int] = []
    shape: tuple[int, ...] = ()
    raw = b""
    is_float64 = False
    for opcode, argument, _ in pickletools.genops(content):
        if isinstance(argument, int) and opcode.name.startswith("BININT"):
            integers.append(argument)
        elif opcode.name == "TUPLE2" and len(integers) >= 2 and not shape:
            shape = (integers[-2], integers[-1])
        elif isinstance(argument, str):
            is_float64 = is_float64 or argument == "f8"
            # Pickle protocol 2, torch's default, stores bytes as latin-1 text.
            raw = max(raw, _latin1(argument), key=len)
        elif isinstance(argument, bytes):
            raw = max(raw, argument, key=len)
    if not is_float64 or not shape or len(raw) != 8 * shape[0] * shape[1]:
        raise ValueError(f"{path} does not hold one array of 64-bit floats")
    return np.frombuffer(raw, "<f8").reshape(shape)


def _latin1(text: str) -> bytes:
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return b""
