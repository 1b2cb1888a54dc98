"""Which Vulkan driver simulates and draws here, found without importing SAPIEN.

SAPIEN wants a Vulkan device even where nobody looks. Mesa's driver for the CPU can serve it from
Mesa 24.3 on; for older distributions `make setup` puts a newer one beside the system's own.
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
"""Where `make setup` puts the driver; setup.sh says the same."""
SYSTEM = (Path("/etc/vulkan/icd.d"), Path("/usr/share/vulkan/icd.d"))
VARIABLES = ("VK_DRIVER_FILES", "VK_ICD_FILENAMES")
"""What the Vulkan loader reads, the newer name first."""
FIRST_ABLE = (1, 4)
"""The Vulkan version that Mesa's CPU driver offers once it can serve SAPIEN for certain."""


@dataclass(frozen=True)
class Driver:
    """A Vulkan driver.

    Attributes:
        name: What it is.
        file: Its manifest; None leaves the choice to the Vulkan loader.
        problem: Why it cannot serve SAPIEN, and what to do; None if nothing speaks against it.
    """

    name: str
    file: Path | None = None
    problem: str | None = None


@cache
def find_driver() -> Driver:
    """Return the user's driver, else the GPU vendor's, else Mesa's for the CPU."""
    for variable in VARIABLES:
        if os.environ.get(variable):
            return Driver(f"{variable}={os.environ[variable]}")
    if Path("/dev/nvidiactl").exists() and _manifests("nvidia*"):
        return Driver("the GPU's own driver")
    if OURS.is_file():
        return Driver("Mesa's CPU driver, from make setup", OURS)
    for manifest in _manifests("lvp*"):
        if _api(manifest) >= FIRST_ABLE:
            return Driver("Mesa's CPU driver, the system's", manifest)
    return Driver(
        "none",
        problem="SAPIEN needs a Vulkan driver, a GPU's or Mesa's for the CPU from 24.3 on; run: "
        "make setup (on Debian 12 or newer, else see docs/maniskill.md)",
    )


def use_driver() -> None:
    """Point the Vulkan loader at the driver; before SAPIEN is imported."""
    driver = find_driver()
    if driver.file is not None:
        for variable in VARIABLES:
            os.environ.setdefault(variable, str(driver.file))


def _manifests(pattern: str) -> list[Path]:
    return [path for folder in SYSTEM for path in sorted(folder.glob(f"{pattern}.json"))]


def _api(manifest: Path) -> tuple[int, ...]:
    """Return the Vulkan version that a manifest promises."""
    try:
        text = json.loads(manifest.read_text())["ICD"]["api_version"]
        return tuple(int(number) for number in text.split("."))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return (0,)


def device() -> str:
    """Return what the driver offers to SAPIEN, asked in a process of its own."""
    use_driver()
    code = "import sapien; print(sapien.render.get_device_summary())"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False
    )
    names = [line[5:] for line in done.stdout.splitlines() if line.startswith("GPU: ")]
    return ", ".join(names) or f"no device ({done.stderr.strip().splitlines()[-1:]})"
