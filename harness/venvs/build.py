"""Builds the virtual environments of benchmarks and policies, each completely or not at all."""

import fcntl
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path

from harness.contracts.errors import UsageError
from harness.contracts.registry import (
    BENCHMARK_GROUP,
    POLICY_GROUP,
    families,
    policy_class,
    policy_names,
)
from harness.contracts.venv import (
    FOLDER_VARIABLE,
    MINOR,
    STAMP,
    VirtualEnv,
    envs_folder,
    share_folder,
)

ENGINE_IMPORTS = ("harness.backends.ray.env_actor", "harness.backends.replay")


def build(venv: VirtualEnv, tell: Callable[[str], None]) -> bool:
    """Build an environment unless it is built as declared; return whether it was built.

    It is built in a temporary folder and moved when it works, so it is never half built.

    Raises:
        UsageError: The build failed; an earlier environment is unchanged.
    """
    with _lock(venv):
        if venv.problem() is None:
            return False
        unfit = venv.unfit()
        if unfit:
            raise UsageError(unfit)
        part, old = _beside(venv, "building"), _beside(venv, "old")
        for left in (part, old):
            shutil.rmtree(left, ignore_errors=True)
        try:
            _fill(venv, part, tell)
            (part / STAMP).write_text(venv.stamp + "\n")
            if venv.home.exists():
                venv.home.rename(old)
            part.rename(venv.home)
        finally:
            for left in (part, old):
                shutil.rmtree(left, ignore_errors=True)
        return True


def remove(venv: VirtualEnv) -> bool:
    """Remove an environment; return whether there was one."""
    with _lock(venv):
        there = venv.home.exists()
        if there:
            # Renamed first, so that a half removed environment does not look complete.
            old = _beside(venv, "old")
            venv.home.rename(old)
            shutil.rmtree(old)
        return there


def virtual_envs() -> dict[str, VirtualEnv]:
    """Return the environments that the installed families and policies declare, by name."""
    declared = [family.venv for family in families().values()]
    for name in policy_names():
        with suppress(UsageError):  # One that cannot be imported here declares nothing.
            declared.append(policy_class(name).venv)
    return {venv.name: venv for venv in declared if venv is not None}


def trial(venv: VirtualEnv, home: Path | None = None) -> str | None:
    """Return why the environment's modules cannot be imported and the likely fix, or None."""
    modules = ", ".join((*(ENGINE_IMPORTS if venv.engine else ()), *venv.imports))
    interpreter = (home or venv.home) / "bin" / "python"
    try:
        # In another folder: the current one would be on the import path.
        _run([str(interpreter), "-c", f"import {modules}"], cwd=envs_folder())
    except UsageError as error:
        missing = missing_libraries(venv.libraries)
        hint = f"; first: sudo apt-get install -y {' '.join(missing)}" if missing else ""
        return f"the environment {venv.name} cannot import its modules ({error}){hint}"
    return None


def missing_libraries(packages: Sequence[str]) -> list[str]:
    """Return the Debian packages that are not installed; none on other systems."""
    if shutil.which("dpkg-query") is None:
        return []
    missing = []
    for package in packages:
        command = ["dpkg-query", "-W", "-f", "${Status}", package]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if "ok installed" not in done.stdout:
            missing.append(package)
    return missing


def _fill(venv: VirtualEnv, home: Path, tell: Callable[[str], None]) -> None:
    missing = missing_libraries(venv.libraries)
    if missing:
        tell(f"system libraries are missing; run: sudo apt-get install -y {' '.join(missing)}")
    tell(f"creating {home}")
    # This process's pip installs into it; a pip of its own would take longer than the rest.
    _run([sys.executable, "-m", "venv", "--without-pip", str(home)])
    pip = [sys.executable, "-m", "pip", "--python", str(home / "bin" / "python")]
    pip += ["install", "--disable-pip-version-check"]
    if venv.constraints:
        pip += ["-c", str(venv.constraints)]
    tell(f"installing {', '.join(venv.requirements)}")
    _run([*pip, *venv.requirements])
    if venv.alone:
        tell(f"installing without dependencies: {', '.join(venv.alone)}")
        _run([*pip, "--no-deps", *venv.alone])
    if venv.engine:
        _link_engine(home / "lib" / f"python{MINOR}" / "site-packages")
        _link_shares(venv, home / "share" / "assay")
    problem = trial(venv, home)
    if problem:
        raise UsageError(problem)


def _link_engine(packages: Path) -> None:
    """Make the engine, benchmarks and policies importable by links.

    Installing them would also install their dependencies.
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


def _link_shares(venv: VirtualEnv, folder: Path) -> None:
    """Link the folders of this environment's share that the other one uses."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in venv.shares:
        (folder / name).symlink_to(share_folder() / name)


def _beside(venv: VirtualEnv, what: str) -> Path:
    return venv.home.with_name(f".{venv.name}.{what}")


@contextmanager
def _lock(venv: VirtualEnv) -> Iterator[None]:
    """Lock an environment, so that one process at a time changes it."""
    path = _beside(venv, "lock")
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
