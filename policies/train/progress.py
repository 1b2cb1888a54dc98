"""Shows how a training goes."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console

from harness.cli.bar import Bar

FORGETS = 0.98
"""How much of the running mean of the loss is kept at each update."""


class TrainingView(Bar):
    """Updates done, the loss, and the time that remains."""

    def __init__(self, console: Console, name: str) -> None:
        """Draw on `console`; what it is decides between a bar and lines."""
        super().__init__(console, "steps", f"{name}: ")
        self._name = name
        self._loss: float | None = None
        self._validation: float | None = None

    def start(self, steps: int, done: int) -> None:
        """Begin with the updates that an earlier start has made."""
        if done:
            self.console.print(f"{self._name}: continuing after {done} of {steps} steps")
        self.begin(self._name, steps, done, figures="")

    def add(self, line: Mapping[str, Any]) -> None:
        """Count an update and show it."""
        loss = line["loss"]
        self._loss = loss if self._loss is None else FORGETS * self._loss + (1 - FORGETS) * loss
        held_out = "" if self._validation is None else f", held-out {self._validation:.4f}"
        self.advance(self._name, f"loss {self._loss:.4f}{held_out}")

    def tell_validation(self, loss: float) -> None:
        """Remember the held-out loss, to show it with the others."""
        self._validation = loss
