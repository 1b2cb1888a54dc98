"""Policies in another Python environment give the bytes that they give here."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness.backends.inline import run_inline
from harness.backends.ray.backend import run_ray
from harness.backends.ray.options import RayOptions
from harness.contracts.errors import PolicyCrashed, UsageError
from harness.contracts.registry import make_policy
from harness.runs.plan import Work
from tests.helpers.plays import inline, played, wait_until, work
from tests.policies.test_own import EVERY_OBSERVATION, LEROBOT, PLAIN

PYTHON = sys.executable


@pytest.fixture
def plain(tmp_path: Path) -> str:
    (tmp_path / "my_policy.py").write_text(PLAIN)
    (tmp_path / "weights.txt").write_text("1")
    return f"python:{tmp_path}/my_policy.py"


def elsewhere(policy: str) -> Work:
    return work(f"in:{PYTHON}:{policy}", 3)


def servers() -> list[psutil.Process]:
    """Return the policy servers under this process."""
    found = []
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):  # It has just ended.
            if "policy_server.py" in " ".join(child.cmdline()):
                found.append(child)
    return found


@pytest.mark.parametrize("name", ["careless", "Loaded", "Step,gain=0.5", "NoisyMean"])
def test_records_are_those_of_this_environment(plain: str, name: str) -> None:
    assert inline(elsewhere(f"{plain}:{name}")) == inline(work(f"{plain}:{name}", 3))


@pytest.mark.slow
@pytest.mark.parametrize("code", [LEROBOT, EVERY_OBSERVATION])
def test_records_of_lerobot_policies_are_those_of_this_environment(
    tmp_path: Path, code: str
) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    (tmp_path / "act.py").write_text(code)
    reference = f"lerobot:{tmp_path}/act.py:Act"
    policy = make_policy(f"in:{PYTHON}:{reference}")
    assert policy.needs_env == (code is EVERY_OBSERVATION)
    assert inline(elsewhere(reference)) == inline(work(reference, 3))


@pytest.mark.slow
def test_records_on_ray_survive_a_killed_server(plain: str) -> None:
    plan = elsewhere(f"{plain}:NoisyMean")
    expected = inline(work(f"{plain}:NoisyMean", 3))
    options = RayOptions(workers=2)
    episodes = run_ray(plan, plan.specs, print, options=options)
    first = next(episodes)
    for server in servers():
        server.kill()
    records = played(iter([first, *episodes]), plan)
    assert records == expected
    wait_until(lambda: not servers(), 20)


def test_an_exception_comes_with_the_traceback_of_the_other_environment(plain: str) -> None:
    plan = elsewhere(f"{plain}:Blind")
    episode = next(iter(run_inline(plan, plan.specs, print)))
    assert episode.crashed
    assert "'wrist' is not in the policy's cameras = ('main',); add it there" in episode.traceback
    assert "my_policy.py" in episode.traceback


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import no_such_package", "has no module no_such_package; run: .* -m pip install"),
        ("import sys; sys.exit('licence missing')", "licence missing"),
        ("class Mine: pass\nMine.cameras = 'main'", r"write cameras = \('main',\)"),
        ("class Mine: action_layout = [1, 2]", "must be a list of .name, size, meaning."),
    ],
)
def test_a_mistake_in_the_file_is_one_line(tmp_path: Path, code: str, message: str) -> None:
    (tmp_path / "mine.py").write_text(code)
    with pytest.raises(UsageError, match=message):
        make_policy(f"in:{PYTHON}:python:{tmp_path}/mine.py:Mine")


def test_an_exception_while_the_policy_is_made_keeps_its_traceback(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("class Mine:\n    def __init__(self): self.weights / 0")
    policy = make_policy(f"in:{PYTHON}:python:{tmp_path}/mine.py:Mine")
    with pytest.raises(PolicyCrashed, match="no attribute 'weights'") as crash:
        policy.load()
    assert "mine.py" in crash.value.traceback


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("in:/nowhere:python:a.py:b", "there is no Python program at '/nowhere'"),
        (f"in:{PYTHON}:vla:checkpoint", "unknown policy in another environment 'vla'"),
    ],
)
def test_a_wrong_reference_is_one_line(reference: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make_policy(reference)


def test_the_server_ends_with_the_process_that_started_it(plain: str, tmp_path: Path) -> None:
    code = (
        "import time; from harness.contracts.registry import make_policy\n"
        f"policy = make_policy('in:{PYTHON}:{plain}:act'); policy.load(); print('on', flush=True)\n"
        "time.sleep(100)"
    )
    parent = subprocess.Popen([PYTHON, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    assert parent.stdout.readline() == "on\n"
    (server,) = psutil.Process(parent.pid).children()
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    server.wait(timeout=20)


def test_a_server_that_died_is_started_again(plain: str) -> None:
    policy: Any = make_policy(f"in:{PYTHON}:{plain}:act")
    policy.load()
    plan = elsewhere(f"{plain}:act")
    expected = inline(work(f"{plain}:act", 3))
    episodes = run_inline(plan, plan.specs, print)
    first = next(iter(episodes))
    time.sleep(0.1)
    for server in servers():
        server.kill()
    assert [e.record.deterministic() for e in [first, *episodes]] == expected


def test_a_checkpoint_elsewhere_that_decides_its_replanning_is_refused(tmp_path: Path) -> None:
    camera = {"observation.images.image": {"type": "VISUAL", "shape": [3, 8, 8]}}
    config = {"type": "diffusion", "input_features": camera, "n_obs_steps": 2, "n_action_steps": 8}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(UsageError, match="executes 8 actions before it infers again"):
        elsewhere(f"lerobot:{tmp_path}")
