"""Wheels from which a virtual environment is built in seconds, without a network.

The wheels of the engine's requirements are empty, except Ray's: it adds the packages of this
process to the environment's import path.
"""

import sysconfig
import zipfile
from importlib.metadata import version
from pathlib import Path

from harness.contracts.venv import ENGINE

LENS = "def seen(task):\n    return task\n"
"""The code of `points_lens`, a module that only the virtual environment has."""


def write_wheels(folder: Path) -> None:
    """Write wheels for the engine's requirements and for points-lens."""
    folder.mkdir(parents=True, exist_ok=True)
    path = sysconfig.get_paths()["purelib"]
    for name in ENGINE:
        files = {"engine.pth": f"{path}\n"} if name == "ray" else {}
        write_wheel(folder, name, version(name), files)
    write_wheel(folder, "points-lens", "1", {"points_lens.py": LENS})


def write_wheel(folder: Path, name: str, number: str, files: dict[str, str]) -> None:
    """Write one wheel; `files` maps paths to texts."""
    stem = f"{name.replace('-', '_')}-{number}"
    facts = f"{stem}.dist-info"
    files = files | {
        f"{facts}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {number}\n",
        f"{facts}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},,\n" for path in (*files, f"{facts}/RECORD"))
    with zipfile.ZipFile(folder / f"{stem}-py3-none-any.whl", "w") as wheel:
        for path, text in (files | {f"{facts}/RECORD": record}).items():
            wheel.writestr(path, text)
