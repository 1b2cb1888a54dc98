"""The virtual environment of a benchmark or policy whose packages conflict with others.

It is declared by a benchmark family or policy, and `run_eval.py env build` builds it once. The
family's environment actors run in it, so it also holds the engine, with the versions of its
packages that are installed here. A policy's environment only runs `policy_server.py`.
"""

import os
import re
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from harness.contracts.errors import UsageError
from harness.contracts.extras import is_checkout, program_words
from harness.contracts.spec import digest

ENGINE = ("gymnasium", "imageio", "imageio-ffmpeg", "numpy", "PyYAML", "ray")
"""Packages that playing and filming an episode needs, in the versions installed here.

Ray must have the same version on both sides. A family may pin other versions of the rest.
"""
STAMP = "assay-stamp"
"""The file in a finished environment that holds the hash of its declaration."""
FOLDER_VARIABLE = "ASSAY_ENVS"
MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"


@dataclass(frozen=True, kw_only=True)
class VirtualEnv:
    """A declaration of the packages that a benchmark family or policy needs.

    The environment has this process's Python version: Ray cannot connect two minor versions.

    Attributes:
        name: The environment's name, also of its folder.
        packages: Requirements with their versions.
        alone: Requirements that are installed without dependencies, which would conflict.
        constraints: A pip constraints file for all other packages.
        imports: Modules that must be importable in the finished environment.
        libraries: Debian packages with the system libraries that these modules load.
        versions: Python versions that the packages support, e.g. ``3.11``; empty for any.
        shares: Folders of this environment's ``share/assay`` to link into the new one.
        engine: Whether it holds the engine, as a benchmark's must.
    """

    name: str
    packages: tuple[str, ...]
    alone: tuple[str, ...] = ()
    constraints: Path | None = None
    imports: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()
    versions: tuple[str, ...] = ()
    shares: tuple[str, ...] = ()
    engine: bool = True

    @property
    def home(self) -> Path:
        """The environment's folder; it may not exist yet."""
        return envs_folder() / self.name

    @property
    def interpreter(self) -> Path:
        """The environment's Python program."""
        return self.home / "bin" / "python"

    @property
    def requirements(self) -> tuple[str, ...]:
        """The declared packages, and those of the engine that the declaration does not pin."""
        if not self.engine:
            return self.packages
        pinned = {_distribution(line) for line in (*self.packages, *self.alone)}
        if "ray" in pinned:
            raise UsageError(f"{self.name} must not pin ray: it is {version('ray')} as here")
        engine = (f"{name}=={version(name)}" for name in ENGINE if name.lower() not in pinned)
        return (*self.packages, *engine)

    @property
    def stamp(self) -> str:
        """A hash of everything that the environment is built from."""
        values = {
            "requirements": self.requirements,
            "alone": self.alone,
            "constraints": self.constraints.read_text() if self.constraints else "",
            "imports": self.imports,
            "python": MINOR,
        }
        if self.shares:
            values["shares"] = self.shares
        return digest(values)

    def problem(self) -> str | None:
        """Return why the environment cannot be used and the command that fixes it, or None."""
        unfit = self.unfit()
        if unfit:
            return unfit
        try:
            found = (self.home / STAMP).read_text().strip()
        except OSError:
            found = ""
        if found == self.stamp:
            return None
        why = "was built from another declaration or for another Ray" if found else "is not built"
        return (
            f"{self.name} needs a virtual environment, which {why}; "
            f"run: {' '.join(program_words())} env build {self.name}"
        )

    def unfit(self) -> str | None:
        """Return why this process's Python version does not fit, or None."""
        if not self.versions or MINOR in self.versions:
            return None
        newest = f"python{self.versions[-1]}"
        fix = f"make clean setup PYTHON={newest}" if is_checkout() else f"{newest} -m venv FOLDER"
        return (
            f"{self.name}'s packages support Python {' or '.join(self.versions)}, and this is "
            f"{MINOR}; run: {fix}"
        )


def envs_folder() -> Path:
    """Return the folder of the environments: ASSAY_ENVS, or within this process's own."""
    given = os.environ.get(FOLDER_VARIABLE)
    return Path(given).absolute() if given else share_folder() / "envs"


def share_folder() -> Path:
    """Return the folder of a Python environment for files of Assay other than packages."""
    return Path(sys.prefix) / "share" / "assay"


def _distribution(requirement: str) -> str:
    """Return the package that a requirement names, in lower case and with dashes."""
    name = re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]
    return re.sub(r"[._-]+", "-", name).lower()
