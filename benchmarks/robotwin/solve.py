"""Tries RoboTwin's expert on scenes; `verify` starts this program in the virtual environment.

It reads lines of JSON with a protocol, a task and a seed, and answers each line with a line.
"""

import gc
import json
import os
import sys

from benchmarks.robotwin import assets
from benchmarks.robotwin.panda import NAME, make_embodiment
from benchmarks.robotwin.protocol import RoboTwinProtocol, find_card
from benchmarks.robotwin.source import silence, source


def solve(protocol: RoboTwinProtocol, task: str, seed: int) -> dict[str, str] | None:
    """Return the values of the instructions' placeholders if the expert solves a scene, or None.

    As in upstream's evaluator, every exception counts as not solved.
    """
    robot = make_embodiment() if protocol.robot == NAME else assets.robot(protocol)
    upstream = source()
    try:
        scene = upstream.begin(task, protocol, robot, seed)
        with silence():
            named = scene.play_once()["info"]
            solved = bool(scene.plan_success and scene.check_success())
    except Exception:  # noqa: BLE001 - see above
        return None
    finally:
        gc.collect()
    return {str(letter): str(thing) for letter, thing in named.items()} if solved else None


def main() -> None:
    """Answer lines until the input ends."""
    # Output of libraries goes to stderr, so that stdout holds answers only.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    for line in sys.stdin:
        name, task, seed = json.loads(line)
        print(
            json.dumps(solve(find_card(name, assets.identity()), task, seed)),
            file=answers,
            flush=True,
        )


if __name__ == "__main__":
    main()
