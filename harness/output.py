"""A command whose output may stop being read, as after `| head`."""

import io
import os
import select
import sys
from collections.abc import Callable

EXIT_UNREAD = 1


def while_read(command: Callable[[], int]) -> int:
    """Run a command and return its exit code; it ends without a word once nobody reads on."""
    try:
        code = command()
    except BrokenPipeError:
        if still_read():
            raise
        return EXIT_UNREAD
    still_read()
    return code


def still_read() -> bool:
    """Return whether anyone can read what is printed.

    If not, it leads nowhere from then on, so that the interpreter's own last writing cannot fail.
    """
    try:
        output = sys.stdout.fileno()
    except io.UnsupportedOperation:  # a notebook's, or a test's
        return True
    poll = select.poll()
    poll.register(output, 0)
    if not any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0)):
        return True
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, output)
    os.close(nowhere)
    return False
