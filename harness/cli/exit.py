"""How a command ends: a user's error is one line, and output that is no longer read is none."""

import io
import os
import select
import sys
from collections.abc import Callable

from rich.console import Console

from harness.cli.codes import EXIT_UNREAD, EXIT_USAGE
from harness.contracts.errors import UsageError


def exit_code(command: Callable[[], int]) -> int:
    """Run a command of the command line and return the code to exit with."""
    try:
        code = command()
    except UsageError as error:
        Console(stderr=True).print(f"error: {error}", style="red", markup=False, soft_wrap=True)
        return EXIT_USAGE
    except BrokenPipeError:
        if still_read():
            raise
        return EXIT_UNREAD
    still_read()
    return code


def still_read() -> bool:
    """Return whether what is printed has not lost its reader, as after `| head`.

    If it has, it leads nowhere from then on, so that the interpreter's last writing cannot fail.
    """
    try:
        output = sys.stdout.fileno()
    except (AttributeError, io.UnsupportedOperation):  # none at all, or a notebook's or a test's
        return True
    poll = select.poll()
    poll.register(output, 0)
    if not any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0)):
        return True
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, output)
    os.close(nowhere)
    return False
