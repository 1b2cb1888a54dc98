"""A policy server of our own, in another Python environment of this machine."""

import contextlib
import json
import os
import secrets
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from harness.contracts.errors import LONGEST_MESSAGE, LONGEST_TRACEBACK, PolicyCrashed, UsageError
from harness.contracts.foreign_text import error_line, printable
from harness.serving.connection import Endpoint

SERVER = Path(__file__).parent / "policy_server.py"
LONGEST_DESCRIPTION = 2**20
DESCRIPTION_SECONDS = 300.0
"""A file may import large libraries."""
_OWN_PACKAGES = ("msgpack", "numpy", "websockets")


def described(python: Path, source: str) -> Mapping[str, Any]:
    """Return what the class or function in ``FILE.py:NAME`` states of itself.

    Raises:
        UsageError: The environment or the file cannot be used.
        PolicyCrashed: The file raises an exception.
    """
    command = [str(python), str(SERVER), source, "--describe"]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            check=False,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            timeout=DESCRIPTION_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise UsageError(f"{source} was not imported within {error.timeout:g} s") from error
    except OSError as error:
        raise UsageError(f"cannot start {python}: {error.strerror}") from error
    if done.returncode:
        raise _reported(python, done.stderr.decode(errors="replace"), done.returncode)
    try:
        stated = json.loads(done.stdout[:LONGEST_DESCRIPTION])
    except ValueError as error:
        raise UsageError(f"{python} printed something else than a description") from error
    return dict(stated)


class PolicyProcess:
    """A server process that ends with this process, also when this one is killed."""

    def __init__(self, python: Path, source: str, name: str) -> None:
        """Start it, and wait until the policy is loaded.

        Args:
            python: The environment's Python program.
            source: ``FILE.py:NAME[,ARGUMENT=VALUE,...]``.
            name: The policy's identity.

        Raises:
            UsageError: The environment or the arguments cannot be used.
            PolicyCrashed: The policy's constructor raises an exception.
        """
        key = secrets.token_hex(16)
        command = [str(python), str(SERVER), source, "--name", name, "--port", "0", "--owned"]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=_environment() | {"ASSAY_API_KEY": key},
        )
        self._lines: deque[str] = deque(maxlen=200)
        assert self._process.stderr is not None
        assert self._process.stdout is not None
        self._copier = threading.Thread(target=self._copy, args=[self._process.stderr], daemon=True)
        self._copier.start()
        first = self._process.stdout.readline(LONGEST_MESSAGE)
        try:
            port = int(json.loads(first)["port"])
        except (ValueError, KeyError, TypeError) as error:
            code = self._ended()
            raise _reported(python, "".join(self._lines), code) from error
        self.endpoint = Endpoint(
            address=f"ws://127.0.0.1:{port}", api_key=key, timeout=600.0, patience=1.0
        )

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        self._ended()

    def _ended(self) -> int:
        try:
            code = self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        self._copier.join(timeout=1)
        return code

    def _copy(self, errors: IO[bytes]) -> None:
        """Show what the policy prints, and keep its last lines."""
        for raw in iter(lambda: errors.readline(LONGEST_TRACEBACK), b""):
            line = raw.decode(errors="replace")
            self._lines.append(line)
            sys.stderr.write(line)


def literals(arguments: Mapping[str, Any]) -> str:
    """Return ``,ARGUMENT=VALUE,...`` as the server reads it."""
    return "".join(f",{name}={value!r}" for name, value in arguments.items())


def _environment() -> dict[str, str]:
    """Return this process's environment without what belongs to its own Python."""
    own = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "ASSAY_API_KEY")
    return {name: value for name, value in os.environ.items() if name not in own}


def _reported(python: Path, errors: str, code: int) -> Exception:
    """Return the error that a server ended with: the user's, or an exception of the policy."""
    lines = [line for line in errors.splitlines() if line.strip()]
    last = error_line(lines[-1] if lines else f"{python} ended with code {code}", LONGEST_MESSAGE)
    kind, _, module = last.partition(": No module named ")
    if kind == "ModuleNotFoundError":
        name = module.strip("'\"").partition(".")[0]
        names = " ".join(_OWN_PACKAGES) if name in _OWN_PACKAGES else name
        return UsageError(f"{python} has no module {name}; run: {python} -m pip install {names}")
    if "Traceback (most recent call last)" not in errors:
        return UsageError(last)
    return PolicyCrashed(last, printable(errors[-LONGEST_TRACEBACK:]))
