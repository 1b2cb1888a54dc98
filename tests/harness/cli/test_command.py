"""A closed output, as after `| head`, prints no error."""

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping

import pytest

from harness.cli.exit import EXIT_UNREAD, exit_code


def run_unread(code: str, **environment: str) -> tuple[int, str]:
    """Run Python code whose stdout is a closed pipe; return its exit code and stderr."""
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as output:
        done = subprocess.run(
            [sys.executable, "-c", code],
            stdout=output,
            stderr=subprocess.PIPE,
            text=True,
            env={**_buffered(os.environ), **environment},
        )
    return done.returncode, done.stderr


def _buffered(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without PYTHONUNBUFFERED."""
    return {name: value for name, value in environment.items() if name != "PYTHONUNBUFFERED"}


LISTING = "import sys, run_eval; sys.exit(run_eval.main(['list', 'policies']))"


def test_list_into_a_closed_pipe_prints_no_error() -> None:
    assert run_unread(LISTING) == (0, "")
    assert run_unread(LISTING, PYTHONUNBUFFERED="1") == (EXIT_UNREAD, "")


def test_plain_python_reports_a_closed_pipe() -> None:
    code, errors = run_unread("print('a table')", PYTHONUNBUFFERED="1")
    assert (code, "BrokenPipeError" in errors) == (1, True)


def test_other_broken_pipes_are_reported() -> None:
    def command() -> int:
        raise BrokenPipeError("a worker's")

    with pytest.raises(BrokenPipeError, match="worker's"):
        exit_code(command)


def test_read_output_keeps_the_exit_code() -> None:
    assert exit_code(lambda: 3) == 3


def test_command_without_stdout_succeeds() -> None:
    closed = f"{shlex.quote(sys.executable)} -c {shlex.quote(LISTING)} >&-"
    done = subprocess.run(closed, shell=True, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (0, "")
