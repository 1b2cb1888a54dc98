"""Shows the progress of a training."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console

from harness.cli.bar import Bar

_DECAY = 0.98
"""Decay of the running mean of the loss, per step."""


class TrainingView(Bar):
    """Shows the finished steps, the loss, and the time that remains."""

    def __init__(self, console: Console, name: str) -> None:
        """Set the console and the name of the training."""
        super().__init__(console, "steps", f"{name}: ")
        self._name = name
        self._loss: float | None = None
        self._validation: float | None = None

    def start(self, steps: int, done: int) -> None:
        """Begin, after the steps that an earlier start has finished."""
        if done:
            self.console.print(f"{self._name}: continuing after {done} of {steps} steps")
        self.begin(self._name, steps, done, figures="")

    def add(self, line: Mapping[str, Any]) -> None:
        """Show a step, given its line of the log."""
        loss = line["loss"]
        self._loss = loss if self._loss is None else _DECAY * self._loss + (1 - _DECAY) * loss
        held_out = "" if self._validation is None else f", held-out {self._validation:.4f}"
        self.advance(self._name, f"loss {self._loss:.4f}{held_out}")

    def set_validation(self, loss: float) -> None:
        """Set the held-out loss, to be shown from the next step on."""
        self._validation = loss
