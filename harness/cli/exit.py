"""Ends a command: the user's errors become one line, and a closed pipe ends quietly."""

import errno
import io
import os
import select
import sys
from collections.abc import Callable
from contextlib import suppress

from harness.cli.codes import EXIT_INCOMPLETE, EXIT_INTERRUPTED, EXIT_UNREAD, EXIT_USAGE
from harness.cli.output import notes
from harness.cli.signals import stoppable
from harness.contracts.errors import PolicyCrashed, RunStopped, UsageError
from harness.contracts.extras import install_hint
from harness.contracts.foreign_text import printable


def exit_code(command: Callable[[], int]) -> int:
    """Run a command of the command line and return its exit code.

    After a signal it is 128 and the signal's number, whatever else happens while the command ends.
    """
    with stoppable() as stop:
        try:
            code = _code(command)
        except KeyboardInterrupt as interruption:
            code = EXIT_INTERRUPTED
            with suppress(OSError):  # The terminal may be gone.
                _error(str(interruption) or "interrupted", code)
        except OSError:
            if not stop.code:
                raise
        return stop.code or code


def _code(command: Callable[[], int]) -> int:
    try:
        code = command()
    except UsageError as error:
        return _error(str(error), EXIT_USAGE)
    except RunStopped as error:
        return _error(str(error), EXIT_INCOMPLETE)
    except PolicyCrashed as crash:
        notes().print(f"\n{crash.traceback}", markup=False, highlight=False, soft_wrap=True)
        return _error(f"the policy's code raised {crash}", EXIT_USAGE)
    except ModuleNotFoundError as error:
        hint = install_hint(error)
        if hint is None:
            raise
        return _error(f"this needs {error.name}, which is not installed; run: {hint}", EXIT_USAGE)
    except BrokenPipeError:
        # The pipe to a worker may break too; that error must not be hidden.
        if _is_read():
            raise
        return EXIT_UNREAD
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        return _error(f"the name of a file is too long: {error.filename!s:.100} ...", EXIT_USAGE)
    _is_read()
    return code


def _error(message: str, code: int) -> int:
    # A message may quote a name that somebody else chose.
    notes().print(f"error: {printable(message)}", style="red", markup=False, soft_wrap=True)
    return code


def _is_read() -> bool:
    """Return whether stdout still has a reader, unlike after `| head`.

    Without a reader stdout is redirected to /dev/null, so that the interpreter's last flush
    cannot fail.
    """
    try:
        output = sys.stdout.fileno()
    except (AttributeError, io.UnsupportedOperation):  # Closed, or replaced by a notebook or test.
        return True
    poll = select.poll()
    poll.register(output, 0)
    if not any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0)):
        return True
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, output)
    os.close(null)
    return False
