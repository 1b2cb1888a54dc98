"""The errors that are the user's to mend, told apart from those of a simulator."""


class UsageError(Exception):
    """A request that cannot be carried out as given; its message is one line that names the fix.

    The command line prints the message and exits with code 2, before any simulator starts.
    """


class PolicyError(Exception):
    """A policy broke its contract, so its episode ends as a failure with `reason`."""

    def __init__(self, reason: str) -> None:
        """Keep the reason that the record will carry."""
        super().__init__(reason)
        self.reason = reason
