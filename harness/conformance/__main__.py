"""Plays episodes in this process for a check in another one: ``python -m harness.conformance JOB``.

The job and the answer are JSON. The answer is the last line: the hash of each play's states.
"""

import json
import sys

from harness.play.threads import use_one_core

use_one_core()

from harness.conformance.policy import results_of  # noqa: E402
from harness.conformance.traces import Play, trace  # noqa: E402
from harness.runs.plan import BenchmarkRequest, Plan, resolve_setup  # noqa: E402


def _main() -> None:
    """Play and print."""
    job = json.loads(sys.argv[1])
    if "policy" in job:
        request = BenchmarkRequest(job["benchmark"], tuple(job["tasks"]), job["protocol"])
        plan = Plan((job["policy"],), (request,), job["episodes"], seed=job["seed"])
        print("\n" + json.dumps(results_of(plan)))
        return
    setup = resolve_setup(BenchmarkRequest(job["benchmark"], (job["task"],), job["protocol"]), 1)
    env = setup.family.make(setup.benchmark, job["task"], setup.protocol)
    try:
        states = [trace(env, Play(**play)).states for play in job["plays"]]
    finally:
        env.close()
    print("\n" + json.dumps(states))


if __name__ == "__main__":
    _main()
