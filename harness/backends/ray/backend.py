"""Joins or starts a Ray cluster and hands the episodes to the driver."""

import os
import socket
from collections.abc import Callable, Generator, Sequence
from typing import Any

import ray
from ray._private import ray_constants

from harness.backends.ray.driver import Driver
from harness.backends.ray.options import RayOptions
from harness.contracts.errors import LONGEST_MESSAGE, UsageError
from harness.contracts.record import Episode
from harness.contracts.spec import EpisodeSpec
from harness.play.threads import ONE_CORE
from harness.runs.plan import Work

FRAMES_GO_DIRECTLY = {"RAY_max_direct_call_object_size": str(4 * 2**20)}
"""Bytes up to which an observation travels inside the call.

Ray's default of 100 KiB sends pictures through the object store, at twice the CPU time per call:
see `perf/overhead.py`.
"""

LISTENER_TIMEOUT = 10.0
"""Seconds in which the head of a cluster must accept a connection."""


def run_ray(
    work: Work,
    specs: Sequence[EpisodeSpec],
    tell: Callable[[str], None],
    *,
    options: RayOptions,
) -> Generator[Episode, None, None]:
    """Play the episodes on Ray's actors; the records are the inline backend's."""
    if not specs:
        return
    started = connect(options)
    driver = Driver(work, specs, options, tell)
    try:
        yield from driver.run()
    finally:
        if ray.is_initialized():
            driver.close()
        if started:
            ray.shutdown()


def connect(options: RayOptions) -> bool:
    """Join a cluster or start one on loopback; return False if Ray is connected already.

    Raises:
        UsageError: There is no cluster at the address, or Ray cannot start here.
    """
    if ray.is_initialized():
        return False
    runtime = {"env_vars": ONE_CORE | FRAMES_GO_DIRECTLY}
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "error"}
    if options.address:
        try:
            _require_listener(options.address)
            ray.init(options.address, runtime_env=runtime, **quiet)
        except (OSError, RuntimeError, ValueError) as error:
            why = " ".join(str(error).split())[:LONGEST_MESSAGE]
            raise UsageError(f"no Ray cluster answers at {options.address}: {why}") from error
        return True
    _stay_on_loopback()
    try:
        ray.init(
            "local",  # Without this Ray would join whatever `ray start` has left running here.
            num_cpus=max(options.workers, os.cpu_count() or 1),
            include_dashboard=False,
            runtime_env=runtime,
            **quiet,
        )
    except Exception as error:
        ray.shutdown()
        why = " ".join(str(error).split())[:LONGEST_MESSAGE]
        raise UsageError(
            f"Ray cannot start here ({type(error).__name__}: {why}); leave out --workers to play "
            f"the episodes in this process"
        ) from error
    return True


def _require_listener(address: str) -> None:
    """Require that something listens at HOST:PORT; Ray itself would try for five minutes.

    Raises:
        OSError: Nothing does.
    """
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), LISTENER_TIMEOUT).close()


def _stay_on_loopback() -> None:
    """Keep a local Ray from listening where other machines could reach it.

    `ray.init` turns a loopback address into the machine's own. Only this switch, made for the
    firewalls of desktops, binds every one of its sockets to loopback; Ray reads it on import.
    """
    os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    ray_constants.ENABLE_RAY_CLUSTER = False
