"""The exit codes of the command line."""

EXIT_UNREAD = 1
"""Nobody reads the output any more."""
EXIT_USAGE = 2
"""The request has a mistake."""
EXIT_INCOMPLETE = 3
"""Episodes are missing."""
EXIT_DIFFERENT = 4
"""A replay differs from its record."""
EXIT_REGRESSION = 5
"""A policy is significantly worse than the baseline."""
EXIT_INTERRUPTED = 130
"""Interrupted by Ctrl-C. After SIGTERM it is 143 and after SIGHUP 129."""
