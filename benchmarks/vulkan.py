"""The Vulkan driver that SAPIEN uses here, found without importing SAPIEN.

SAPIEN needs a Vulkan device even if no image is rendered. Mesa's CPU driver works from Mesa 24.3
on. On older distributions, `make setup` installs a newer one beside the system's.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from harness.contracts.venv import share_folder

OURS = share_folder() / "vulkan" / "lvp_icd.json"
"""Where `make setup` puts the driver; setup.sh has the same path."""
SYSTEM = (Path("/etc/vulkan/icd.d"), Path("/usr/share/vulkan/icd.d"))
VARIABLES = ("VK_DRIVER_FILES", "VK_ICD_FILENAMES")
"""The Vulkan loader's variables, the newer name first."""
_FIRST_WORKING = (1, 4)
"""The Vulkan version of the first Mesa CPU drivers that work with SAPIEN."""


@dataclass(frozen=True)
class Driver:
    """A Vulkan driver.

    Attributes:
        name: Its name in `run_eval.py doctor`.
        file: Its manifest; None leaves the choice to the Vulkan loader.
        problem: Why it does not work with SAPIEN, and the fix; None if it should work.
    """

    name: str
    file: Path | None = None
    problem: str | None = None


@cache
def find_driver() -> Driver:
    """Return the user's driver, else NVIDIA's, else Mesa's CPU driver."""
    for variable in VARIABLES:
        if os.environ.get(variable):
            return Driver(f"{variable}={os.environ[variable]}")
    if Path("/dev/nvidiactl").exists() and _manifests("nvidia*"):
        return Driver("the NVIDIA driver")
    if OURS.is_file():
        return Driver("Mesa's CPU driver (from make setup)", OURS)
    for manifest in _manifests("lvp*"):
        if _api(manifest) >= _FIRST_WORKING:
            return Driver("Mesa's CPU driver (the system's)", manifest)
    return Driver(
        "none",
        problem="SAPIEN needs a Vulkan driver: a GPU's, or Mesa's CPU driver from 24.3 on; run: "
        "make setup (on Debian 12 or newer; otherwise see docs/maniskill.md)",
    )


def use_driver() -> None:
    """Point the Vulkan loader at the driver; call it before SAPIEN is imported."""
    driver = find_driver()
    if driver.file is not None:
        for variable in VARIABLES:
            os.environ.setdefault(variable, str(driver.file))


def _manifests(pattern: str) -> list[Path]:
    return [path for folder in SYSTEM for path in sorted(folder.glob(f"{pattern}.json"))]


def _api(manifest: Path) -> tuple[int, ...]:
    """Return the Vulkan version that a manifest declares."""
    try:
        text = json.loads(manifest.read_text())["ICD"]["api_version"]
        return tuple(int(number) for number in text.split("."))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return (0,)


def device() -> str:
    """Return the names of SAPIEN's devices; a subprocess imports SAPIEN to find them."""
    use_driver()
    code = "import sapien; print(sapien.render.get_device_summary())"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False
    )
    names = [line[5:] for line in done.stdout.splitlines() if line.startswith("GPU: ")]
    return ", ".join(names) or f"no device ({done.stderr.strip().splitlines()[-1:]})"
