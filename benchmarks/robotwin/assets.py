"""A user's RoboTwin files: where they are, what they lack, and which ones they are."""

import hashlib
import json
import os
from functools import cache
from pathlib import Path

from benchmarks.robotwin.needs import VENV
from benchmarks.robotwin.protocol import RoboTwinProtocol
from harness.contracts.errors import UsageError
from harness.contracts.venv import MINOR

VARIABLE = "ROBOTWIN_ASSETS"
PAGE = "https://robotwin-platform.github.io/doc/usage/robotwin-install.html"
DOWNLOAD = (
    "git clone https://github.com/RoboTwin-Platform/RoboTwin && cd RoboTwin && "
    "bash script/_download_assets.sh"
)
MANIFEST = ".robotwin-assets.json"
"""Where the package's own downloader notes which files it fetched."""
ROBOT = "aloha-agilex"
OBJECTS = Path("assets", "objects")
EMBODIMENTS = Path("assets", "embodiments")
TEXTURES = Path("assets", "background_texture")
CUROBO = "git+https://github.com/NVlabs/curobo@v0.7.8"


def find() -> Path | None:
    """Return the folder that ROBOTWIN_ASSETS names, which holds `assets`, or None."""
    given = os.environ.get(VARIABLE)
    return Path(given).absolute() if given else None


def problem() -> str | None:
    """Return what of RoboTwin's files or packages is missing and what mends it, or None."""
    root = find()
    if root is None:
        return (
            f"RoboTwin's 50 tasks need its objects and robots; run: {DOWNLOAD} and set {VARIABLE} "
            f"to that folder (see docs/robotwin.md)"
        )
    robot = root / EMBODIMENTS / ROBOT
    for needed in (robot / "config.yml", robot / "curobo_left_tmp.yml", root / OBJECTS):
        if not needed.exists():
            return f"{VARIABLE}={root} lacks {needed.relative_to(root)}; run: {DOWNLOAD} ({PAGE})"
    # Asked before anything runs in that Python, so by its folder; a missing Python has a command.
    packages = VENV.home / "lib" / f"python{MINOR}" / "site-packages"
    if packages.is_dir() and not (packages / "curobo").is_dir():
        return (
            f"RoboTwin plans with cuRobo, on an NVIDIA GPU, and its Python lacks it; run: "
            f'python -m pip --python {VENV.interpreter} install torch "{CUROBO}" '
            f"--no-build-isolation"
        )
    return None


def robot(protocol: RoboTwinProtocol) -> Path:
    """Return the folder of a protocol's robot among the user's files.

    Raises:
        UsageError: What the protocol draws its scenes from is missing.
    """
    missing, root = problem(), find()
    if missing or root is None:
        raise UsageError(missing or "no assets")
    if protocol.randomization["random_background"] and not (root / TEXTURES).is_dir():
        raise UsageError(f"{protocol.name} needs {root / TEXTURES}; run: {DOWNLOAD} ({PAGE})")
    return root / EMBODIMENTS / protocol.robot


def identity() -> str:
    """Return which files these are, for the protocol: other files are other scenes."""
    root = find()
    return f"assets {_identity(root)}" if root is not None and root.is_dir() else ""


@cache
def _identity(root: Path) -> str:
    """Return a hash of the revision that was downloaded, else of the files' names and sizes."""
    try:
        known = str(json.loads((root / MANIFEST).read_text())["revision"])
    except (OSError, ValueError, KeyError, TypeError):
        files = sorted(path for path in (root / "assets").rglob("*") if path.is_file())
        known = "\n".join(f"{path.relative_to(root)} {path.stat().st_size}" for path in files)
    return hashlib.sha256(known.encode()).hexdigest()[:10]
