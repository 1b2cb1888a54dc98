"""A run that is stopped from outside keeps what was done, says how to go on, and leaves nothing."""

import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness.cli import main as run_eval
from harness.runs.folder import Run
from tests.helpers.plays import inline, wait_until, work

EPISODES = 20
CODES = [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]


def command(out: Path, workers: int, episodes: int = EPISODES) -> list[str]:
    run = ["run", "--policy", "slow", "--benchmark", "points_two", "--episodes", str(episodes)]
    return [*run, "--workers", str(workers), "--out", str(out)]


def lines(out: Path) -> int:
    log = out / "episodes.jsonl"
    return log.read_bytes().count(b"\n") if log.exists() else 0


@contextmanager
def running(out: Path, workers: int, temporary: Path | None = None) -> Iterator[Any]:
    """Start a run and wait for its first episodes. `temporary` is for Ray's folder."""
    process = subprocess.Popen(
        [sys.executable, "run_eval.py", *command(out, workers)],
        env=os.environ | ({"RAY_TMPDIR": str(temporary)} if temporary else {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        wait_until(lambda: lines(out) >= 2 or process.poll() is not None, 120)
        assert process.poll() is None, process.communicate()
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def temporary() -> Iterator[Path]:
    """Return an empty folder with a short path, as sockets need it."""
    folder = Path("/tmp", f"t{os.getpid()}")
    folder.mkdir()
    yield folder
    folder.rmdir()  # Fails if a run left something.


class Family:
    """The processes that a run has started so far."""

    def __init__(self, driver: int) -> None:
        self.members = psutil.Process(driver).children(recursive=True)
        names = {" ".join(member.cmdline()) for member in self.members}
        assert any(name.startswith("ray::EnvActor") for name in names)

    def living(self) -> list[psutil.Process]:
        alive = [member for member in self.members if member.is_running()]
        return [member for member in alive if member.status() != psutil.STATUS_ZOMBIE]


def assert_continues(out: Path) -> None:
    """Require that the kept episodes and those of a second start are the undisturbed ones."""
    assert lines(out) < 2 * EPISODES
    assert run_eval.main(command(out, 0)) == 0
    plan, records = work("slow", episodes=EPISODES), Run.existing(out).records()
    assert lines(out) == 2 * EPISODES
    assert [records[spec.key].deterministic() for spec in plan.specs] == inline(plan)


@pytest.mark.parametrize(("number", "code"), CODES)
def test_signal_keeps_the_episodes_and_says_how_to_go_on(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    with running(tmp_path, 0) as process:
        process.send_signal(number)
        said, _ = process.communicate(timeout=30)
        assert process.returncode == code
    by = "" if number == signal.SIGINT else f" by {number.name}"
    assert f"interrupted{by}; {lines(tmp_path)} episodes are kept in" in " ".join(said.split())
    assert "Run the same command again to continue." in said
    assert "Traceback" not in said


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), CODES)
def test_signal_ends_a_run_on_ray_without_a_trace(
    tmp_path: Path, temporary: Path, number: signal.Signals, code: int
) -> None:
    with running(tmp_path, 2, temporary) as process:
        family = Family(process.pid)
        assert list(temporary.iterdir())
        process.send_signal(number)
        said, _ = process.communicate(timeout=30)
        assert process.returncode == code
    assert family.living() == []
    assert list(temporary.iterdir()) == []
    assert f"{lines(tmp_path)} episodes are kept in" in " ".join(said.split())
    assert "Traceback" not in said
    assert "stack trace" not in said
    assert_continues(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("pause", [0.0, 0.3, 2.0])
def test_second_signal_changes_nothing(
    tmp_path: Path, temporary: Path, workers: int, pause: float
) -> None:
    with running(tmp_path, workers, temporary) as process:
        process.send_signal(signal.SIGTERM)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            time.sleep(pause)
            process.send_signal(number)
        said, _ = process.communicate(timeout=40)
        # Python answers signals that come within a second of each other by their numbers: Ray's
        # calls return once a second.
        assert process.returncode in ((143,) if pause > 1 else (143, 130, 129))
    assert "episodes are kept in" in " ".join(said.split())
    assert "Traceback" not in said
    assert_continues(tmp_path)


def test_closed_terminal_ends_a_run_with_its_code(tmp_path: Path) -> None:
    mine, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "run_eval.py", *command(tmp_path, 0)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=lambda: os.close(os.open(os.ttyname(0), os.O_RDWR)),  # Its terminal from now on.
    )
    os.close(theirs)
    wait_until(lambda: lines(tmp_path) >= 2 or process.poll() is not None, 60)
    os.close(mine)  # The kernel sends SIGHUP, and nothing can be written any more.
    assert process.wait(30) == 129
    assert lines(tmp_path) >= 2


def test_ignored_signal_stays_ignored(tmp_path: Path) -> None:
    process = subprocess.Popen(
        ["nohup", sys.executable, "run_eval.py", *command(tmp_path, 0, 3)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_until(lambda: lines(tmp_path) >= 1, 60)
    process.send_signal(signal.SIGHUP)
    assert process.wait(60) == 0
    assert lines(tmp_path) == 6


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gcs_server", "raylet"])
def test_run_whose_ray_dies_ends_within_twenty_seconds(
    tmp_path: Path, temporary: Path, name: str
) -> None:
    with running(tmp_path, 2, temporary) as process:
        family = Family(process.pid)
        next(member for member in family.members if member.name() == name).kill()
        said, _ = process.communicate(timeout=20)
        assert process.returncode == 3
    part = {"gcs_server": "GCS", "raylet": "raylet"}[name]
    assert f"Ray's {part} has died" in said
    assert f"{lines(tmp_path)} episodes are kept in" in " ".join(said.split())
    # The progress on a pipe is a few lines; Ray's own report would be dozens.
    assert len([line for line in said.splitlines() if "success" not in line]) <= 6, said
    assert family.living() == []
    assert_continues(tmp_path)


@pytest.mark.slow
def test_nothing_lives_after_the_driver_was_killed(tmp_path: Path, temporary: Path) -> None:
    with running(tmp_path, 2, temporary) as process:
        family = Family(process.pid)
        process.kill()
        wait_until(lambda: not family.living() and not list(temporary.iterdir()), 30)
    assert_continues(tmp_path)
