"""The training loop: goes on where it stopped, to the same bits."""

import math
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from harness.contracts.errors import UsageError
from policies.train import chance
from policies.train.data import Corpus
from policies.train.log import Log
from policies.train.optimizer import Optimizer
from policies.train.progress import TrainingView
from policies.train.reading import Reading
from policies.train.settings import Settings
from policies.train.signals import when_told_to_stop
from policies.train.state import Kept, load_state, save_state
from policies.vla.model import VLA, Batch
from policies.vla.normalize import Normalization
from policies.vla.preparation import Preparation
from policies.vla.text import Text

MOST_VALIDATED = 512
"""Held-out samples that are looked at, drawn once, so that a validation takes little."""


LARGE = 50_000_000
"""Weights from which bfloat16 is faster on a GPU: below, casting takes longer than computing."""


class StoppedError(Exception):
    """Somebody stopped the training; what is kept suffices to continue."""


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How often things are done that do not change the result.

    Attributes:
        save: Updates between two savings of all that is needed to continue.
        validate: Updates between two validations.
    """

    save: int = 500
    validate: int = 500


@dataclass(frozen=True, kw_only=True, eq=False)
class Task:
    """What is to be trained, from what.

    Attributes:
        model: Whose weights are changed, where they are used.
        normalization: What is done to states and actions.
        text: How instructions become tokens.
        corpus: What is learned from.
        settings: How.
        training: Which samples are learned from.
        validation: Which are held out.
        device: Where it is computed.
        origin: Where its first weights are from, for those who read it.
        reading: What a frozen trunk made of the samples; None where it is still to learn.
    """

    model: VLA
    normalization: Normalization
    text: Text
    corpus: Corpus
    settings: Settings
    training: NDArray[np.int64]
    validation: NDArray[np.int64]
    device: torch.device
    origin: str = "nothing"
    reading: Reading | None = None

    @cached_property
    def one_round(self) -> NDArray[np.int64]:
        """What a round of learning goes through: `training`, first looks as often as they count."""
        firsts = np.unique(self.corpus.episode[self.training], return_index=True)[1]
        more = np.repeat(self.training[firsts], self.settings.first_looks - 1)
        return np.concatenate([self.training, more])

    @cached_property
    def _preparation(self) -> Preparation:
        config = self.model.config
        # What has been read needs no pictures.
        seen = config if self.reading is None else replace(config, cameras=())
        return Preparation(seen, self.normalization, self.text)

    @cached_property
    def _images(self) -> Mapping[str, Tensor]:
        """The pictures, on a GPU if half of what is free there holds them all."""
        images = {role: torch.from_numpy(each) for role, each in self.corpus.images.items()}
        size = sum(each.nbytes for each in images.values())
        if self.device.type != "cuda" or 2 * size > torch.cuda.mem_get_info(self.device)[0]:
            return images
        return {role: each.to(self.device) for role, each in images.items()}

    def samples(self, rows: NDArray[np.int64], augmented_by: torch.Generator | None) -> Batch:
        """Return samples as the network takes them.

        Args:
            rows: Which.
            augmented_by: Where the randomness of augmentation comes from; None leaves it out.
        """
        corpus, augmentation = self.corpus, self.settings.augmentation
        looked = self._images if self.reading is None else {}
        chosen = torch.from_numpy(rows)
        inputs = self._preparation.inputs(
            {role: images[chosen.to(images.device)] for role, images in looked.items()},
            corpus.state[rows],
            [corpus.instructions[number] for number in corpus.instruction[rows]],
        ).to(self.device)
        if augmented_by is not None and looked:
            shown = {role: (image + 1).div_(2) for role, image in inputs.images.items()}
            changed, moved = augmentation(shown, augmented_by)
            images = {role: (image * 2).sub_(1) for role, image in changed.items()}
            inputs = replace(inputs, images=images, viewpoint=moved)
        chunk = self.normalization.chunk(corpus.chunk[rows], corpus.state[rows])
        # A head that was made for more numbers gets zeros, as in openpi.
        filling = self.model.head.config.action_size - chunk.shape[2]
        actions = functional.pad(torch.from_numpy(chunk), (0, filling))
        valid = torch.from_numpy(corpus.valid[rows])
        read = None if self.reading is None else self.reading.of(rows)
        return Batch(inputs, actions.to(self.device), valid.to(self.device), read)

    @cached_property
    def _half(self) -> bool:
        """Whether most is computed in bfloat16: on a GPU, by a network that has to gain by it."""
        weights = sum(parameter.numel() for parameter in self.model.parameters())
        return self.device.type == "cuda" and weights > LARGE

    def loss(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """Return the batch's mean loss."""
        with torch.autocast("cuda", torch.bfloat16, enabled=self._half):
            return self.model.loss(batch, generator).float().mean()

    def validated(self) -> float:
        """Return the mean loss of held-out samples, always the same and with the same draws."""
        rows, total = self.validation[:MOST_VALIDATED], 0.0
        size = self.settings.batch
        drawn = chance.generator(self.settings.seed, "validation", device=self.device)
        self.model.eval()
        with torch.no_grad():
            for start in range(0, len(rows), size):
                part = rows[start : start + size]
                total += float(self.loss(self.samples(part, None), drawn)) * len(part)
        self.model.train()
        return total / len(rows)


def split(corpus: Corpus, settings: Settings) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return which samples are learned from, and which are held out, in a random order.

    Raises:
        UsageError: There are fewer than a batch.
    """
    held = corpus.validation(settings.held_out)
    training = np.flatnonzero(~held)
    require_batch(training, settings)
    order = np.random.default_rng(chance.number(settings.seed, "validation", 0))
    return training, order.permutation(np.flatnonzero(held))


def whole_chunks(
    corpus: Corpus, settings: Settings, training: NDArray[np.int64], validation: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return those of the samples whose chunks do not end before their episode.

    Raises:
        UsageError: They are fewer than a batch.
    """
    training, validation = (rows[~corpus.cut[rows]] for rows in (training, validation))
    require_batch(training, settings)
    return training, validation


def require_batch(rows: NDArray[np.int64], settings: Settings) -> None:
    """Refuse to learn from fewer samples than a batch.

    Raises:
        UsageError: They are.
    """
    if len(rows) < settings.batch:
        raise UsageError(
            f"{len(rows)} samples are fewer than a batch; record more, or lower --batch"
        )


def train(task: Task, folder: Path, pace: Pace, view: TrainingView) -> float:
    """Train until the settings' last step, and leave the average of the weights in the model.

    Args:
        task: What is to be trained.
        folder: Where the log and what is needed to continue are.
        pace: How often things are done.
        view: Shows how it goes.

    Returns:
        The seconds that it took, in all the times that it was started.

    Raises:
        StoppedError: Somebody stopped it.
        StorageError: The disk is full or gone.
        UsageError: The loss grew beyond all bounds.
    """
    settings = task.settings
    optimizer = Optimizer(task.model, settings)
    kept = load_state(folder, task.device)
    seconds = 0.0
    if kept is not None:
        optimizer.restore(kept.tensors, kept.step)
        seconds = kept.seconds
    log = Log(folder, optimizer.step)
    started = time.perf_counter() - seconds
    task.model.train()
    view.start(settings.steps, optimizer.step)
    stops: list[None] = []
    told = when_told_to_stop(lambda: stops.append(None))  # An update is finished first.
    with told, ThreadPoolExecutor(1) as ahead:
        coming = ahead.submit(drawn, task, optimizer.step)
        while optimizer.step < settings.steps:
            begun = time.perf_counter()
            batches, coming = coming.result(), ahead.submit(drawn, task, optimizer.step + 1)
            line = update(task, optimizer, batches)
            line["samples_per_s"] = round(settings.batch / (time.perf_counter() - begun), 1)
            log.add(**line)
            view.add(line)
            last = optimizer.step == settings.steps
            if len(task.validation) and (last or optimizer.step % pace.validate == 0):
                with optimizer.averaged():
                    found = task.validated()
                log.add(step=optimizer.step, validation=found)
                view.tell_validation(found)
            if stops or last or optimizer.step % pace.save == 0:
                log.flush()
                done = time.perf_counter() - started
                save_state(folder, Kept(optimizer.step, done, optimizer.kept()))
            if stops and not last:
                log.close()
                raise StoppedError
    log.close()
    optimizer.adopt_average()
    return time.perf_counter() - started


def drawn(task: Task, step: int) -> list[Batch]:
    """Return what a step learns from, in the parts that go through the network one by one.

    It takes a third of a small network's step on a CPU, so it is made while the step before runs.
    """
    settings = task.settings
    chosen = chance.batch(len(task.one_round), settings.batch, settings.seed, step)
    pictures = chance.generator(settings.seed, "pictures", step)
    parts = np.split(task.one_round[chosen], settings.accumulate)
    return [task.samples(rows, pictures) for rows in parts]


def update(task: Task, optimizer: Optimizer, batches: Sequence[Batch]) -> dict[str, Any]:
    """Make one update, and return its line of the log.

    Raises:
        UsageError: The weights are of no more use.
    """
    draws = chance.generator(task.settings.seed, "loss", optimizer.step, task.device)
    losses = (partial(task.loss, batch, draws) for batch in batches)
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
