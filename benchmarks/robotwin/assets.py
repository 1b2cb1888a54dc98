"""The user's RoboTwin files: their folder, their problems and their digest."""

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
_PAGE = "https://robotwin-platform.github.io/doc/usage/robotwin-install.html"
_DOWNLOAD = (
    "git clone https://github.com/RoboTwin-Platform/RoboTwin && cd RoboTwin && "
    "bash script/_download_assets.sh"
)
_MANIFEST = ".robotwin-assets.json"
"""The file in which RoboTwin's downloader notes the revision of the files."""
_ROBOT = "aloha-agilex"
_OBJECTS = Path("assets", "objects")
_EMBODIMENTS = Path("assets", "embodiments")
_TEXTURES = Path("assets", "background_texture")
_CUROBO = "git+https://github.com/NVlabs/curobo@v0.7.8"


def find() -> Path | None:
    """Return the folder in ROBOTWIN_ASSETS, the parent of `assets`, or None if it is not set."""
    given = os.environ.get(VARIABLE)
    return Path(given).absolute() if given else None


def problem() -> str | None:
    """Return which file or package is missing, with the command that fixes it, or None."""
    root = find()
    if root is None:
        return (
            f"RoboTwin's 50 tasks need its objects and robots; run: {_DOWNLOAD} and set {VARIABLE} "
            f"to its folder (see docs/robotwin.md)"
        )
    robot = root / _EMBODIMENTS / _ROBOT
    for needed in (robot / "config.yml", robot / "curobo_left_tmp.yml", root / _OBJECTS):
        if not needed.exists():
            return f"{VARIABLE}={root} lacks {needed.relative_to(root)}; run: {_DOWNLOAD} ({_PAGE})"
    # The environment's own problem names the command that builds it. This only checks its folder.
    packages = VENV.home / "lib" / f"python{MINOR}" / "site-packages"
    if packages.is_dir() and not (packages / "curobo").is_dir():
        return (
            f"RoboTwin plans with cuRobo on an NVIDIA GPU, and {VENV.home} lacks cuRobo; run: "
            f'python -m pip --python {VENV.interpreter} install torch "{_CUROBO}" '
            f"--no-build-isolation"
        )
    return None


def robot(protocol: RoboTwinProtocol) -> Path:
    """Return the folder of a protocol's robot in the user's files.

    Raises:
        UsageError: A file that the protocol's scenes need is missing.
    """
    missing, root = problem(), find()
    if missing or root is None:
        raise UsageError(missing or "no assets")
    if protocol.randomization["random_background"] and not (root / _TEXTURES).is_dir():
        raise UsageError(f"{protocol.name} needs {root / _TEXTURES}; run: {_DOWNLOAD} ({_PAGE})")
    return root / _EMBODIMENTS / protocol.robot


def identity() -> str:
    """Return the digest of the files for the protocol, or an empty text without files."""
    root = find()
    return f"assets {_identity(root)}" if root is not None and root.is_dir() else ""


@cache
def _identity(root: Path) -> str:
    """Return a hash of the downloaded revision, or else of the files' names and sizes."""
    try:
        known = str(json.loads((root / _MANIFEST).read_text())["revision"])
    except (OSError, ValueError, KeyError, TypeError):
        files = sorted(path for path in (root / "assets").rglob("*") if path.is_file())
        known = "\n".join(f"{path.relative_to(root)} {path.stat().st_size}" for path in files)
    return hashlib.sha256(known.encode()).hexdigest()[:10]
