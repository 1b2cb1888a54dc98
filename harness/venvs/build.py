"""Builds a benchmark's own Python environment: whole, or not at all."""

import fcntl
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path

from harness.contracts.errors import UsageError
from harness.contracts.registry import BENCHMARK_GROUP, POLICY_GROUP
from harness.contracts.venv import (
    FOLDER_VARIABLE,
    MINOR,
    STAMP,
    VirtualEnv,
    envs_folder,
    share_folder,
)

ENGINE_IMPORTS = ("harness.backends.ray.env_actor", "harness.backends.replay")


def build(python: VirtualEnv, tell: Callable[[str], None]) -> bool:
    """Build an environment if it is not there as declared; return whether anything was done.

    It grows beside its place and is moved there when all of it works, so that nobody ever meets
    half of one.

    Raises:
        UsageError: It cannot be built; what there was before is still there.
    """
    with _lock(python):
        if python.problem() is None:
            return False
        unfit = python.unfit()
        if unfit:
            raise UsageError(unfit)
        part, old = _beside(python, "building"), _beside(python, "old")
        for left in (part, old):
            shutil.rmtree(left, ignore_errors=True)
        try:
            _fill(python, part, tell)
            (part / STAMP).write_text(python.stamp + "\n")
            if python.home.exists():
                python.home.rename(old)
            part.rename(python.home)
        finally:
            for left in (part, old):
                shutil.rmtree(left, ignore_errors=True)
        return True


def remove(python: VirtualEnv) -> bool:
    """Remove an environment; return whether there was one."""
    with _lock(python):
        there = python.home.exists()
        if there:
            # Renamed first: what is removed halfway must not look finished.
            old = _beside(python, "old")
            python.home.rename(old)
            shutil.rmtree(old)
        return there


def trial(python: VirtualEnv, home: Path | None = None) -> str | None:
    """Return why its modules cannot be imported and what may mend it, or None."""
    modules = ", ".join((*ENGINE_IMPORTS, *python.imports))
    interpreter = (home or python.home) / "bin" / "python"
    try:
        # Not from here: the current folder would be on the path.
        _run([str(interpreter), "-c", f"import {modules}"], cwd=envs_folder())
    except UsageError as error:
        missing = missing_libraries(python.libraries)
        hint = f"; first: sudo apt-get install -y {' '.join(missing)}" if missing else ""
        return f"{python.name}'s Python cannot import what it needs ({error}){hint}"
    return None


def missing_libraries(packages: Sequence[str]) -> list[str]:
    """Return the Debian packages that are not installed; none where that cannot be told."""
    if shutil.which("dpkg-query") is None:
        return []
    missing = []
    for package in packages:
        command = ["dpkg-query", "-W", "-f", "${Status}", package]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if "ok installed" not in done.stdout:
            missing.append(package)
    return missing


def _fill(python: VirtualEnv, home: Path, tell: Callable[[str], None]) -> None:
    missing = missing_libraries(python.libraries)
    if missing:
        tell(f"system libraries are missing; run: sudo apt-get install -y {' '.join(missing)}")
    tell(f"making {home}")
    # This process's pip installs into it: to give it one of its own takes longer than the rest.
    _run([sys.executable, "-m", "venv", "--without-pip", str(home)])
    pip = [sys.executable, "-m", "pip", "--python", str(home / "bin" / "python")]
    pip += ["install", "--disable-pip-version-check"]
    if python.constraints:
        pip += ["-c", str(python.constraints)]
    tell(f"installing {', '.join(python.requirements)}")
    _run([*pip, *python.requirements])
    if python.alone:
        tell(f"installing without what they ask for: {', '.join(python.alone)}")
        _run([*pip, "--no-deps", *python.alone])
    _link_engine(home / "lib" / f"python{MINOR}" / "site-packages")
    _link_shares(python, home / "share" / "assay")
    problem = trial(python, home)
    if problem:
        raise UsageError(problem)


def _link_engine(packages: Path) -> None:
    """Make the engine, the benchmarks and the policies importable: links, so that edits count.

    Installing them would also install what they depend on here.
    """
    points = [*entry_points(group=BENCHMARK_GROUP), *entry_points(group=POLICY_GROUP)]
    for name in sorted({"harness", *(point.module.partition(".")[0] for point in points)}):
        spec = find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        origin = Path(spec.origin).resolve()
        if spec.submodule_search_locations:
            origin = origin.parent
        (packages / origin.name).symlink_to(origin)


def _link_shares(python: VirtualEnv, folder: Path) -> None:
    """Make what this environment has to share appear in the other, now or once it is there."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in python.shares:
        (folder / name).symlink_to(share_folder() / name)


def _beside(python: VirtualEnv, what: str) -> Path:
    return python.home.with_name(f".{python.name}.{what}")


@contextmanager
def _lock(python: VirtualEnv) -> Iterator[None]:
    """Let one process at a time change an environment."""
    path = _beside(python, "lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("w")
    except OSError as error:
        raise UsageError(
            f"cannot write to {path.parent}: {error.strerror}; choose another folder with "
            f"{FOLDER_VARIABLE}"
        ) from error
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _run(command: Sequence[str], cwd: Path | None = None) -> None:
    """Run a command.

    Raises:
        UsageError: It fails; the message is the line of its output that says why.
    """
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        errors = [line for line in lines if re.match(r"(ERROR|\w*Error)\b", line)]
        raise UsageError((errors or lines or [f"exit code {done.returncode}"])[-1].strip())
