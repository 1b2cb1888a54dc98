"""The Python environment of a benchmark whose packages fight everybody else's.

A family declares what it needs; `run_eval.py env build` makes that once (`build_python.py`), and
its environment actors run in it. The engine is in there too, with the very versions of what it
needs to talk to this process.
"""

import os
import re
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from harness.contracts.errors import UsageError
from harness.contracts.spec import digest

ENGINE = ("gymnasium", "imageio", "imageio-ffmpeg", "numpy", "psutil", "PyYAML", "ray")
"""What playing and filming an episode imports, in the versions that are installed here.

Ray refuses to connect two versions of itself; the others a family may pin for itself.
"""
STAMP = "assay-stamp"
"""The file in a finished environment that says what it was built from."""
FOLDER_VARIABLE = "ASSAY_ENVS"
MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"


@dataclass(frozen=True, kw_only=True)
class VirtualEnv:
    """What a benchmark family needs in a Python environment of its own.

    Its Python version is this process's: Ray refuses to connect two minor versions.

    Attributes:
        name: The environment's name, also its folder's.
        packages: Requirements with their versions; they come with what they depend on.
        alone: Requirements that are installed as they are, since what they ask for does not fit.
        constraints: A pip constraints file that fixes the versions of all the rest.
        imports: Modules that must be importable once everything is there.
        libraries: Debian packages that hold the system libraries which these load.
        versions: Python versions that the packages exist for, e.g. ``3.11``; empty for any.
        shares: Folders of this environment's ``share/assay`` that it finds in its own as well.
    """

    name: str
    packages: tuple[str, ...]
    alone: tuple[str, ...] = ()
    constraints: Path | None = None
    imports: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()
    versions: tuple[str, ...] = ()
    shares: tuple[str, ...] = ()

    @property
    def home(self) -> Path:
        """The environment's folder, whether or not it is there."""
        return envs_folder() / self.name

    @property
    def interpreter(self) -> Path:
        """The program that runs in it."""
        return self.home / "bin" / "python"

    @property
    def requirements(self) -> tuple[str, ...]:
        """The family's packages, and the engine's that it does not pin itself."""
        pinned = {_distribution(line) for line in (*self.packages, *self.alone)}
        if "ray" in pinned:
            raise UsageError(f"{self.name} must not pin ray: it is {version('ray')} as here")
        engine = (f"{name}=={version(name)}" for name in ENGINE if name.lower() not in pinned)
        return (*self.packages, *engine)

    @property
    def stamp(self) -> str:
        """What a finished environment holds: a hash of all that it is built from."""
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
        """Return why nothing can run in it and the command that mends it, or None."""
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
            f"{self.name} runs in a Python environment of its own, which {why}; run: "
            f"python run_eval.py env build {self.name}"
        )

    def unfit(self) -> str | None:
        """Return why this process's Python version can not serve, or None."""
        if not self.versions or MINOR in self.versions:
            return None
        return (
            f"{self.name}'s packages exist for Python {' or '.join(self.versions)}, and this is "
            f"{MINOR}; run: make clean setup PYTHON=python{self.versions[-1]}"
        )


def envs_folder() -> Path:
    """Return where the environments are: ASSAY_ENVS, else within this process's own."""
    given = os.environ.get(FOLDER_VARIABLE)
    return Path(given).absolute() if given else share_folder() / "envs"


def share_folder() -> Path:
    """Return where a Python environment keeps what Assay made in it besides packages."""
    return Path(sys.prefix) / "share" / "assay"


def _distribution(requirement: str) -> str:
    """Return the package that a requirement names, in lower case and with dashes."""
    name = re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]
    return re.sub(r"[._-]+", "-", name).lower()
