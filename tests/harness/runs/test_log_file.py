"""A run notices if its log is deleted, replaced or changed, and never ends as complete then."""

import os
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.cli import main as run_eval
from harness.contracts.errors import StorageError, UsageError
from harness.runs.log_file import LONGEST_LINE, LogWriter, log_lines

HARMS = {
    "os.unlink(log)": "was deleted during the run",
    "os.rename(log, log + '.old')": "was deleted during the run",
    "copy = log + '.new'; shutil.copy(log, copy); os.replace(copy, log)": "was replaced by another",
    "os.truncate(log, 100)": "another program changed",
    "open(log, 'ab').write(b'{}\\n')": "another program changed",
}


@pytest.mark.usefixtures("points")
@pytest.mark.parametrize("call", [0, 4], ids=["first", "last"])
@pytest.mark.parametrize("harm", HARMS)
def test_a_log_that_is_harmed_during_a_run_stops_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], harm: str, call: int
) -> None:
    policy = tmp_path / "mine.py"
    log = str(tmp_path / "run" / "episodes.jsonl")
    policy.write_text(
        textwrap.dedent(f"""
        import os, shutil
        import numpy as np
        log, calls = {log!r}, []
        def f(o):
            calls.append(o)
            if len(calls) == {call} + 1:
                {harm}
            return np.zeros((5, 2), np.float32)
        """)
    )
    command = ["run", "--policy", f"python:{policy}:f", "--benchmark", "points_two", "--tasks", "0"]
    command += ["--protocol", "short", "--episodes", "3", "--out", str(tmp_path / "run")]
    assert run_eval.main(command) in (2, 3)
    assert HARMS[harm] in " ".join(capsys.readouterr().err.split())


def deleted(path: Path) -> None:
    path.unlink()


def replaced(path: Path) -> None:
    path.rename(path.with_suffix(".old"))
    path.write_bytes(path.with_suffix(".old").read_bytes())


def appended(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"one\n")


@pytest.mark.parametrize("harm", [deleted, replaced, appended])
def test_a_harmed_log_takes_no_line(tmp_path: Path, harm: Callable[[Path], None]) -> None:
    path = tmp_path / "log"
    log = LogWriter(path)
    log.append(b"mine\n")
    harm(path)
    with pytest.raises(StorageError):
        log.append(b"lost\n")
    with pytest.raises(StorageError):
        log.require_unchanged()
    log.close()
    assert not path.exists() or b"lost" not in path.read_bytes()


def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    first = LogWriter(tmp_path / "log")
    with pytest.raises(UsageError, match="another process is writing"):
        LogWriter(tmp_path / "log")
    first.close()
    LogWriter(tmp_path / "log").close()


def test_without_locks_a_second_writer_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a network file system that has no locks: both writers open the log."""

    def no_locks(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr("fcntl.flock", no_locks)
    one, two = LogWriter(tmp_path / "log"), LogWriter(tmp_path / "log")
    assert not one.locked
    one.append(b"one\n")
    with pytest.raises(StorageError, match="another program changed"):
        two.append(b"two\n")
    assert (tmp_path / "log").read_bytes() == b"one\n"


def test_a_forked_process_does_not_write(tmp_path: Path) -> None:
    log = LogWriter(tmp_path / "log")
    child = os.fork()
    if not child:
        try:
            log.append(b"child\n")
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    log.append(b"parent\n")
    assert (tmp_path / "log").read_bytes() == b"parent\n"


def test_long_and_incomplete_lines_take_no_memory_and_hide_no_other(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"a\n" + b"x" * (3 * LONGEST_LINE) + b"\nb\n" + b"torn")
    found = list(log_lines(path))
    assert [(number, line[:1]) for number, line in found] == [(1, b"a"), (2, b"x"), (3, b"b")]
    assert max(len(line) for _, line in found) == LONGEST_LINE


def test_a_pipe_or_a_device_is_no_log(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    for name in ("pipe", "zero"):
        with pytest.raises(UsageError, match="no ordinary file"):
            list(log_lines(tmp_path / name))
        with pytest.raises(UsageError, match="no ordinary file"):
            LogWriter(tmp_path / name)
