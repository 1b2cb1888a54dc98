"""Starts Ray on this machine for one run: private, and without a trace afterwards."""

import ctypes
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray
from ray._private import ray_constants
from ray._private import worker as ray_worker
from ray._raylet import AuthenticationTokenLoader  # type: ignore[attr-defined]

from harness.backends.ray import reaper
from harness.backends.ray.lean import NO_IDLE_WORKERS, lean

LONGEST_BASE = 26
"""Characters of the path in which Ray's folder is made: the path of a socket may have 107."""

_SIGACTION_BYTES = 256
"""More than the size of C's `struct sigaction`."""
_KEEP_SECONDS = 0.005


class LocalRay:
    """Ray's processes on this machine.

    Their folder can be entered by this user alone, and a token that nobody else knows guards
    their sockets, which listen on loopback.
    """

    def __init__(
        self, cores: int, runtime_envs: bool, environment: Mapping[str, str], **settings: Any
    ) -> None:
        """Start Ray.

        Args:
            cores: The CPUs that actors may reserve.
            runtime_envs: Whether actors may ask for a runtime environment.
            environment: Environment variables of every actor.
            settings: Those of `ray.init`.
        """
        _stay_on_loopback()
        _log_no_news()
        base = os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()
        self.folder = tempfile.mkdtemp("", "assay-", base if len(base) <= LONGEST_BASE else "/tmp")
        self._reaper = subprocess.Popen(
            [sys.executable, "-I", "-S", reaper.__file__, self.folder, str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            self._start(cores, runtime_envs, environment, settings)
        except BaseException:
            self.close()
            raise

    def close(self, lost: bool = False) -> None:
        """Stop Ray and remove its folder.

        After Ray itself has died (`lost`), its other processes are killed first: its own shutdown
        would wait for them.
        """
        if lost:
            self._reap()
        try:
            shut_down()
        finally:
            self._reap()
            # Ray's shutdown may make it again.
            shutil.rmtree(self.folder, ignore_errors=True)

    def _start(
        self,
        cores: int,
        runtime_envs: bool,
        environment: Mapping[str, str],
        settings: Mapping[str, Any],
    ) -> None:
        _have_token()
        inherited = {reaper.MARK: self.folder, **NO_IDLE_WORKERS, **environment}
        with _environment(inherited), lean(runtime_envs):
            ray.init(
                "local",  # Without this Ray would join whatever `ray start` has left running here.
                num_cpus=cores,
                include_dashboard=False,
                _temp_dir=str(Path(self.folder, "r")),
                **settings,
            )

    def _reap(self) -> None:
        assert self._reaper.stdin is not None
        self._reaper.stdin.close()
        self._reaper.wait()


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables, which Ray's processes inherit."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def undisturbed() -> Iterator[None]:
    """Undo what `ray.init` does to this process: its SIGTERM, and messages on its stdout."""
    # There is no setting for it. What matters to a run reaches the driver as an exception.
    ray_worker.print_to_stdstream = lambda *_, **__: None
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)


def shut_down() -> None:
    """Shut Ray down, and keep this process's handler of SIGTERM.

    Ray's C++ code gives SIGTERM back to the kernel in the middle of its shutdown, so that a second
    SIGTERM would kill the process. A thread puts the handler back at once.
    """
    libc, action = ctypes.CDLL(None), ctypes.create_string_buffer(_SIGACTION_BYTES)
    libc.sigaction(int(signal.SIGTERM), None, action)
    over = threading.Event()

    def keep() -> None:
        while not over.wait(_KEEP_SECONDS):
            libc.sigaction(int(signal.SIGTERM), action, None)

    keeper = threading.Thread(target=keep, daemon=True)
    keeper.start()
    try:
        ray.shutdown()
    finally:
        over.set()
        keeper.join()
        libc.sigaction(int(signal.SIGTERM), action, None)


def _have_token() -> None:
    """Set the token that Ray asks of everyone who connects, unless RAY_AUTH_MODE says otherwise.

    It stays for the life of this process: Ray's threads may read it again.
    """
    if "RAY_AUTH_TOKEN" not in os.environ:
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
        AuthenticationTokenLoader.instance().reset_cache()


def _stay_on_loopback() -> None:
    """Keep a local Ray from listening where other machines could reach it.

    `ray.init` turns a loopback address into the machine's own. Only this switch, made for the
    firewalls of desktops, binds every one of its sockets to loopback; Ray reads it on import.
    """
    os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    ray_constants.ENABLE_RAY_CLUSTER = False


def _log_no_news() -> None:
    """Keep what is no problem out of the logs of Ray's processes.

    Nobody reads it, and it makes Ray's folder grow: statistics every minute, and a line for each
    episode.
    """
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "warning")
