"""The training loop. A stopped training resumes to the same bits."""

import math
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from harness.contracts.errors import UsageError
from policies.train import randomness
from policies.train.log import Log
from policies.train.optimizer import Optimizer
from policies.train.progress import TrainingView
from policies.train.signals import on_stop_signal
from policies.train.state import TrainingState, load_state, save_state
from policies.train.task import Task
from policies.vla.model import Batch


class StoppedError(Exception):
    """The user stopped the training; its state is saved."""


@dataclass(frozen=True, kw_only=True)
class Intervals:
    """How often to do what does not change the result.

    Attributes:
        save: Steps between two saves of the state.
        validate: Steps between two validations.
    """

    save: int = 500
    validate: int = 500


def train(task: Task, folder: Path, intervals: Intervals, view: TrainingView) -> float:
    """Train to the last step, and put the average weights into the model.

    Args:
        task: What to train.
        folder: Holds the log and the state.
        intervals: Of saves and validations.
        view: Shows the progress.

    Returns:
        The seconds of training, over all starts.

    Raises:
        StoppedError: The user stopped it.
        StorageError: The disk is full or gone.
        UsageError: The loss diverged.
    """
    settings = task.settings
    optimizer = Optimizer(task.model, settings)
    saved = load_state(folder, task.device)
    seconds = 0.0
    if saved is not None:
        optimizer.restore(saved.tensors, saved.step)
        seconds = saved.seconds
    log = Log(folder, optimizer.step)
    started = time.perf_counter() - seconds
    task.model.train()
    view.start(settings.steps, optimizer.step)
    stops: list[None] = []
    stopping = on_stop_signal(lambda: stops.append(None))  # The current step is finished first.
    with stopping, ThreadPoolExecutor(1) as background:
        upcoming = background.submit(_step_batches, task, optimizer.step)
        while optimizer.step < settings.steps:
            begun = time.perf_counter()
            batches = upcoming.result()
            upcoming = background.submit(_step_batches, task, optimizer.step + 1)
            line = _update(task, optimizer, batches)
            line["samples_per_s"] = round(settings.batch / (time.perf_counter() - begun), 1)
            log.add(**line)
            view.add(line)
            last = optimizer.step == settings.steps
            if len(task.validation) and (last or optimizer.step % intervals.validate == 0):
                with optimizer.averaged():
                    validation = task.validate()
                log.add(step=optimizer.step, validation=validation)
                view.set_validation(validation)
            if stops or last or optimizer.step % intervals.save == 0:
                log.flush()
                spent = time.perf_counter() - started
                save_state(folder, TrainingState(optimizer.step, spent, optimizer.state()))
            if stops and not last:
                log.close()
                raise StoppedError
    log.close()
    optimizer.adopt_average()
    return time.perf_counter() - started


def _step_batches(task: Task, step: int) -> list[Batch]:
    """Return a step's batch, in the parts that go through the network one by one.

    It takes a third of a small network's step on a CPU, so it runs in the background of the step
    before.
    """
    settings = task.settings
    chosen = randomness.batch_rows(len(task.epoch), settings.batch, settings.seed, step)
    augmentation = randomness.generator(settings.seed, "pictures", step)
    parts = np.split(task.epoch[chosen], settings.accumulate)
    return [task.batch(rows, augmentation) for rows in parts]


def _update(task: Task, optimizer: Optimizer, batches: Sequence[Batch]) -> dict[str, Any]:
    """Make one update, and return its line of the log.

    Raises:
        UsageError: The loss diverged.
    """
    noise = randomness.generator(task.settings.seed, "loss", optimizer.step, task.device)
    losses = (partial(task.loss, batch, noise) for batch in batches)
    loss, rate, norm = optimizer.update(losses)
    if not math.isfinite(loss + norm):
        raise UsageError(
            f"the loss of step {optimizer.step} is {loss} and its gradient {norm}; "
            "lower --learning-rate or raise --warmup, and choose another --out"
        )
    return {
        "step": optimizer.step,
        "loss": loss,
        "lr": rate,
        "grad_norm": norm,
    }
