"""Leaves out what `ray.init` starts and a run on one machine never uses.

Beside the workers Ray starts five Python programs: a dashboard, an autoscaler, a monitor of logs,
and two agents. They take two seconds of CPU time, and the driver waits for three of them.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray
from ray._private import node as ray_node
from ray._private import ray_constants, services

from harness.backends.ray import stand_in

NO_IDLE_WORKERS = {"RAY_prestart_worker_first_driver": "0"}
"""Keeps the driver from waiting for workers that no actor has asked for."""
_PROVEN = "2.60."
"""The versions of Ray whose start is known; others start as a whole."""


class _LeanNode(ray_node.Node):
    """A node of the GCS and the raylet alone."""

    def start_monitor(self) -> None:
        """Start no autoscaler: there is one node."""

    def start_api_server(self, **_: Any) -> None:
        """Start no dashboard."""

    def start_log_monitor(self) -> None:
        """Send no logs to the driver, which does not show them."""


@contextmanager
def lean(runtime_envs: bool) -> Iterator[None]:
    """Let `ray.init` start only what is used.

    Args:
        runtime_envs: Whether an actor may ask for a runtime environment, which an agent makes.
    """
    if not ray.__version__.startswith(_PROVEN):
        yield
        return
    unused = {ray_constants.PROCESS_TYPE_DASHBOARD_AGENT}
    if not runtime_envs:
        unused.add(ray_constants.PROCESS_TYPE_RUNTIME_ENV_AGENT)
    node, python = ray_node.Node, services._build_python_executable_command_memory_profileable

    def program(component: str, *arguments: Any, **options: Any) -> list[str]:
        if component in unused:
            return [sys.executable, "-I", "-S", stand_in.__file__]
        command: list[str] = python(component, *arguments, **options)
        return command

    ray_node.Node = _LeanNode  # type: ignore[misc]
    services._build_python_executable_command_memory_profileable = program
    try:
        yield
    finally:
        ray_node.Node = node  # type: ignore[misc]
        services._build_python_executable_command_memory_profileable = python
