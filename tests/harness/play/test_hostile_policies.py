"""What a policy's own code can do to a run: end the program, change its inputs, leave threads."""

import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from harness.runs.folder import Run

EXITS = {
    "file": "import sys\nsys.exit(0)\ndef f(o): pass\n",
    "constructor": """
        import sys
        class f:
            def __init__(self): sys.exit(0)
            def __call__(self, o): pass
        """,
    "call": """
        import sys
        def f(o): sys.exit(0)
        """,
}
READS_ONLY = """
    def f(o):
        state = o["state"]
        state *= -1
        return state[None]
    """
THREADS = """
    import multiprocessing, threading, time
    import numpy as np
    started = []
    def f(o):
        if not started:
            started.append(threading.Thread(target=time.sleep, args=(1000,)))
            started.append(multiprocessing.Process(target=time.sleep, args=(1000,)))
            for each in started:
                each.start()
        return np.zeros((6, 2), np.float32)
    """
FORKS = """
    import os
    import numpy as np
    def f(o):
        if not os.fork():
            return np.ones((6, 2), np.float32)
        return np.zeros((6, 2), np.float32)
    """
ON_RAY = pytest.param(("--workers", "1"), marks=pytest.mark.slow, id="ray")


def play(
    folder: Path, source: str, *extra: str, timeout: float = 120
) -> subprocess.CompletedProcess[str]:
    """Run a policy of this source in a process of its own, as a user does."""
    file = folder / "mine.py"
    file.write_text(textwrap.dedent(source))
    command = [sys.executable, "run_eval.py", "run", "--policy", f"python:{file}:f"]
    command += ["--benchmark", "points_two", "--tasks", "0", "--episodes", "2"]
    command += ["--protocol", "short", "--out", str(folder / "run"), *extra]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=timeout)


@pytest.mark.parametrize("extra", [pytest.param((), id="inline"), ON_RAY])
@pytest.mark.parametrize("where", EXITS)
def test_a_policy_that_ends_the_program_has_crashed(
    tmp_path: Path, where: str, extra: tuple[str, ...]
) -> None:
    ended = play(tmp_path, EXITS[where], *extra)
    assert ended.returncode == 2
    assert "SystemExit" in ended.stderr
    assert "mine.py" in ended.stderr
    if (tmp_path / "run" / "run.json").exists():
        records = Run.existing(tmp_path / "run").records().values()
        assert all(record.outcome == "error" for record in records)


@pytest.mark.parametrize("extra", [pytest.param((), id="inline"), ON_RAY])
def test_an_observation_cannot_be_changed_in_place(tmp_path: Path, extra: tuple[str, ...]) -> None:
    assert play(tmp_path, READS_ONLY, "--keep-going", *extra).returncode == 3
    reasons = {r.reason for r in Run.existing(tmp_path / "run").records().values()}
    assert reasons == {
        "policy_crash: ValueError: output array is read-only; the observation's arrays cannot be "
        "changed, copy them first (mine.py:4)"
    }


def test_threads_and_processes_of_a_policy_do_not_keep_the_run_from_ending(
    tmp_path: Path,
) -> None:
    start = time.monotonic()
    ended = play(tmp_path, THREADS)
    assert ended.returncode == 0
    assert time.monotonic() - start < 60


@pytest.mark.parametrize("extra", [pytest.param((), id="inline"), ON_RAY])
def test_a_process_that_a_policy_forks_does_not_play(
    tmp_path: Path, extra: tuple[str, ...]
) -> None:
    ended = play(tmp_path, FORKS, *extra)
    assert ended.returncode == 0
    lines = (tmp_path / "run" / "episodes.jsonl").read_bytes().splitlines()
    assert len(lines) == 2
    assert ended.stdout.count("# Results") == 1
