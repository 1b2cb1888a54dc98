"""Output that is no longer read, as after `| head`, is no error to tell of; neither is none."""

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping

import pytest

from harness.cli.exit import EXIT_UNREAD, exit_code


def errors_unread(code: str, **environment: str) -> tuple[int, str]:
    """Run Python code whose output has lost its reader; return its exit code and its errors."""
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as output:
        done = subprocess.run(
            [sys.executable, "-c", code],
            stdout=output,
            stderr=subprocess.PIPE,
            text=True,
            env={**buffered(os.environ), **environment},
        )
    return done.returncode, done.stderr


def buffered(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without Python's option to write at once."""
    return {name: value for name, value in environment.items() if name != "PYTHONUNBUFFERED"}


LISTING = "import sys, run_eval; sys.exit(run_eval.main(['list', 'policies']))"


def test_a_listing_that_nobody_reads_ends_without_a_word() -> None:
    assert errors_unread(LISTING) == (0, "")
    assert errors_unread(LISTING, PYTHONUNBUFFERED="1") == (EXIT_UNREAD, "")


def test_without_it_python_complains() -> None:
    code, errors = errors_unread("print('a table')", PYTHONUNBUFFERED="1")
    assert (code, "BrokenPipeError" in errors) == (1, True)


def test_another_pipe_that_breaks_is_told() -> None:
    def command() -> int:
        raise BrokenPipeError("a worker's")

    with pytest.raises(BrokenPipeError, match="worker's"):
        exit_code(command)


def test_what_is_read_keeps_its_exit_code() -> None:
    assert exit_code(lambda: 3) == 3


def test_without_any_output_a_command_ends_as_it_would() -> None:
    closed = f"{shlex.quote(sys.executable)} -c {shlex.quote(LISTING)} >&-"
    done = subprocess.run(closed, shell=True, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (0, "")
