"""Stands in for an agent of Ray that a run does not use; the standard library only.

Ray's raylet starts two agents, Python programs that import Ray, and waits until each has written
down its ports. This program writes that there are none, as an agent without its extra packages
does, and lives as long as the raylet.
"""

import os
import sys
import time

_NO_PORT = "-1"
_PORTS = {
    "agent.py": ("metrics_agent_port", "metrics_export_port", "dashboard_agent_listen_port"),
    "main.py": ("runtime_env_agent_port",),
}
"""The ports of the agent of the dashboard, and of the agent of runtime environments."""
_PAUSE = 1.0


def _main() -> None:
    """Take an agent's arguments, after its file."""
    agent, *arguments = sys.argv[1:]
    given = dict(argument[2:].partition("=")[::2] for argument in arguments)
    raylet = os.getppid()
    for name in _PORTS[os.path.basename(agent)]:
        path = os.path.join(given["session-dir"], f"{name}_{given['node-id']}")
        with open(f"{path}.partial", "x") as file:
            file.write(_NO_PORT)
        os.replace(f"{path}.partial", path)
    while os.getppid() == raylet:
        time.sleep(_PAUSE)


if __name__ == "__main__":
    _main()
