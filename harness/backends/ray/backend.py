"""Joins or starts a Ray cluster and hands the episodes to the driver."""

import os
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any

import ray

from harness.backends.ray.driver import Driver
from harness.backends.ray.liveness import require_listener
from harness.backends.ray.local import LocalRay, shut_down, undisturbed
from harness.backends.ray.options import RayOptions
from harness.contracts.errors import LONGEST_MESSAGE, RayLost, UsageError
from harness.contracts.record import Episode
from harness.contracts.spec import EpisodeSpec
from harness.play.threads import ONE_CORE
from harness.runs.plan import Work

FRAMES_GO_DIRECTLY = {"RAY_max_direct_call_object_size": str(4 * 2**20)}
"""Bytes up to which an observation travels inside the call.

Ray's default of 100 KiB sends pictures through the object store, at twice the CPU time per call:
see `perf/overhead.py`.
"""

_ENVIRONMENT = ONE_CORE | FRAMES_GO_DIRECTLY
"""Environment variables of every actor."""
_QUIET: Mapping[str, Any] = {"log_to_driver": False, "logging_level": "critical"}

LISTENER_TIMEOUT = 10.0
"""Seconds in which the head of a cluster must accept a connection."""

_local: list[LocalRay] = []
"""The Ray that `connect` has started; it must not be garbage before it is stopped."""


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
    started = connect(options, any(map(work.interpreter, specs)))
    lost = False
    try:
        driver = Driver(work, specs, options, tell)
        try:
            yield from driver.run()
        except RayLost:
            lost = True
            raise
        finally:
            if ray.is_initialized() and not lost:
                driver.close()
    finally:
        if started:
            disconnect(lost)


def connect(options: RayOptions, runtime_envs: bool = True) -> bool:
    """Join a cluster or start one on loopback; return False if Ray is connected already.

    Args:
        options: The cluster's address, or the workers that a local Ray must hold.
        runtime_envs: Whether an actor may need another Python program; a local Ray starts faster
            without.

    Raises:
        UsageError: There is no cluster at the address, or Ray cannot start here.
    """
    if ray.is_initialized():
        return False
    with undisturbed():
        if options.address:
            _join(options.address)
        else:
            _start(options, runtime_envs)
    return True


def disconnect(lost: bool = False) -> None:
    """Leave the cluster, or stop it if `connect` has started it; `lost` says that it has died."""
    if _local:
        _local.pop().close(lost)
    else:
        shut_down()


def _join(address: str) -> None:
    try:
        require_listener(address, LISTENER_TIMEOUT)
        ray.init(address, runtime_env={"env_vars": _ENVIRONMENT}, **_QUIET)
    except (OSError, RuntimeError, ValueError) as error:
        why = " ".join(str(error).split())[:LONGEST_MESSAGE]
        raise UsageError(f"no Ray cluster answers at {address}: {why}") from error


def _start(options: RayOptions, runtime_envs: bool) -> None:
    cores = max(options.workers, os.cpu_count() or 1)
    try:
        # An actor starts at once with what it inherits; a runtime environment is made first.
        _local.append(LocalRay(cores, runtime_envs, _ENVIRONMENT, **_QUIET))
    except Exception as error:
        why = " ".join(str(error).split())[:LONGEST_MESSAGE]
        raise UsageError(
            f"Ray cannot start here ({type(error).__name__}: {why}); leave out --workers to play "
            f"the episodes in this process"
        ) from error
