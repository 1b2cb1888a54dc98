"""Where messages go."""

from rich.console import Console

notes = Console(stderr=True)
"""Progress and messages; what a program may want to read goes to stdout."""
