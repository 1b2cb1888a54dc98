"""Trains policies, one after another or side by side, and continues what was stopped."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from harness.contracts.errors import UsageError
from policies.heads import build
from policies.train import chance
from policies.train.card import CARD, PICTURE, write_card
from policies.train.crew import Crew
from policies.train.data import Corpus, read_corpus
from policies.train.log import LOG
from policies.train.loop import Pace, Task, split, train, whole_chunks
from policies.train.plot import plot_logs
from policies.train.progress import TrainingView
from policies.train.reading import Reading, read_all
from policies.train.recipe import Entry
from policies.train.settings import Settings
from policies.train.start import Start
from policies.train.state import DATA, INIT, SETTINGS, STATE, alone, claim
from policies.vla.checkpoint import CONFIG, Checkpoint, contract_of, save
from policies.vla.config import VLAConfig, sized
from policies.vla.model import VLA
from policies.vla.text import Text

SAMPLES = ("size", "cameras", "blind", "horizon", "idle")
"""The settings that decide which samples there are, and how they are kept."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """What does not change what is trained.

    Attributes:
        device: Where to compute; empty for a GPU if there is one.
        memory: GiB of pictures to keep in memory.
        pace: How often things are done.
        command: What was typed, for the checkpoint's page.
        workers: How many policies are trained at the same time.
    """

    device: str
    memory: float
    pace: Pace
    command: tuple[str, ...]
    workers: int = 1


class Ready:
    """What lies ready from one training to the next.

    Attributes:
        corpus: The samples that were read last.
        reading: What the last frozen trunk made of them.
    """

    def __init__(self, memory: float) -> None:
        """Have nothing ready; `memory` is a job's."""
        self._memory = memory
        self._entry: Entry | None = None
        self.corpus: Corpus | None = None
        self.reading: Reading | None = None

    def read(self, entry: Entry) -> Corpus:
        """Return a training's samples, which are read if they are not those that are ready.

        Raises:
            UsageError: The data cannot be read, or do not fit.
        """
        last, self._entry = self._entry, entry
        if last is None or last.init != entry.init:
            self.reading = None
        if self.corpus is None or last is None or not same_samples(last, entry):
            self.corpus = self.reading = None  # Before others are read, so that memory holds one.
            pixels = network(entry.settings).images.pixels
            self.corpus = read_corpus(entry.data, entry.settings, pixels, self._memory, entry.out)
        return self.corpus


def train_all(job: Job, entries: Sequence[Entry], console: Console) -> None:
    """Train what is not trained yet.

    Args:
        job: The machine.
        entries: What to train; where one starts from another, that comes before it.
        console: Where to show how it goes.

    Raises:
        UsageError: The data or the settings do not fit.
        StoppedError: Somebody stopped it.
        StorageError: The disk is full or gone.
    """
    ready = Ready(job.memory)
    if job.workers == 1:
        for entry in entries:
            train_entry(job, entry, ready, console)
        return
    with Crew(job.workers) as crew:
        for entry in entries:
            if not finished(entry.out):
                entry.out.mkdir(parents=True, exist_ok=True)
                ready.read(entry)  # Here, so that the processes of all who need it have it.
            crew.begin(entry.out, entry.init, partial(train_entry, job, entry, ready))
        crew.finish()


def train_entry(job: Job, entry: Entry, ready: Ready, console: Console) -> None:
    """Train one policy, if it is not trained yet; arguments and errors are those of `train_all`."""
    with alone(entry.out):
        init = Checkpoint.open(entry.init) if entry.init else None
        claim(entry.out / SETTINGS, entry.settings.as_json())
        claim(entry.out / INIT, {"init": init and init.identity})
        if finished(entry.out):
            (entry.out / STATE).unlink(missing_ok=True)
            console.print(f"{entry.out} is trained already", markup=False)
            return
        corpus = ready.read(entry)
        claim(entry.out / DATA, {"data": corpus.digest()})
        start = Start.load(init) if init else None
        task = make_task(corpus, entry.settings, chosen_device(job.device), start)
        if start:
            console.print(f"{entry.settings.head}: starts from {task.origin}", markup=False)
        if entry.settings.frozen:
            ready.reading = ready.reading or read_all(task)
            task = replace(task, reading=ready.reading)
        train_one(job, task, entry.out, console)


def finished(folder: Path) -> bool:
    """Return whether a training's folder holds all; a trunk's page alone may have come along."""
    return all((folder / name).is_file() for name in (CARD, CONFIG))


def same_samples(one: Entry, other: Entry) -> bool:
    """Return whether two trainings learn from the same samples, so that they are read once."""
    asked = [(e.data, *map(e.settings.as_json().get, SAMPLES)) for e in (one, other)]
    return asked[0] == asked[1]


def train_one(job: Job, task: Task, folder: Path, console: Console) -> None:
    """Train one policy, and write its checkpoint, card and picture."""
    settings, corpus = task.settings, task.corpus
    with TrainingView(console, folder.name) as view:
        seconds = train(task, folder, job.pace, view)
    contract = contract_of(
        task.model,
        task.normalization,
        replan=settings.replan,
        state_layout=corpus.state_layout,
        action_layout=corpus.action_layout,
    )
    save(folder, task.model.to(getattr(torch, settings.stored)), task.text, contract)
    plot_logs({settings.head: folder / LOG}, folder / PICTURE)
    # The page comes last, since it says that all is done.
    write_card(folder, task, job.command, seconds)
    (folder / STATE).unlink()


def network(settings: Settings, cameras: tuple[str, ...] = (), state_size: int = 1) -> VLAConfig:
    """Return the network that the settings ask for, below a head that is not adaptive."""
    return sized(
        settings.size,
        cameras=cameras,
        state_size=state_size,
        state=settings.state,
        viewpoint=settings.augmentation.spherical.share > 0,
        acting=settings.acting,
    )


def make_task(
    corpus: Corpus, settings: Settings, device: torch.device, start: Start | None = None
) -> Task:
    """Make a model for the data, its first weights drawn as the seed says.

    Args:
        corpus: The data.
        settings: How to train.
        device: Where to.
        start: Has the weights in place of those that would be drawn.

    Raises:
        UsageError: The settings do not fit together, or not with the data or the start.
    """
    training, validation = split(corpus, settings)
    normalization = corpus.normalization(settings, training)
    config = network(settings, tuple(corpus.images), corpus.state.shape[1])
    options: dict[str, Any] = {"horizon": settings.horizon, "action_size": corpus.chunk.shape[2]}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(chance.number(settings.seed, "weights", 0))
        if start is None:
            head = build(settings.head, settings.head_options | options, config.width)
        else:
            config = start.network(config)
            head = start.head(settings, options, config.width)
        if head.whole:
            training, validation = whole_chunks(corpus, settings, training, validation)
        kept = start is not None and start.keeps(head)
        if start is not None and kept:
            head.restore(start.model.head.fitted())
        else:
            head.fit(normalization.chunk(corpus.chunk[training], corpus.state[training]))
        config = replace(config, adaptive=head.adaptive)
        model = VLA(config, head)
    if start is not None:
        start.give(model)
    if settings.frozen:
        freeze(model, start)
    return Task(
        model=model.to(device),
        normalization=normalization,
        text=start.text(config) if start else Text.fitted(corpus.instructions, config),
        corpus=corpus,
        settings=settings,
        training=training,
        validation=validation,
        device=device,
        origin=start.origin(kept) if start else "nothing",
    )


def freeze(model: VLA, start: Start | None) -> None:
    """Leave all below the expert as it is.

    Raises:
        UsageError: There is nothing that was learned.
    """
    if start is None:
        raise UsageError("--frozen needs --init: what is not trained must have been trained before")
    for part in (model.trunk.embedding, model.trunk.language):
        part.requires_grad_(False)


def chosen_device(name: str) -> torch.device:
    """Return the device of that name, or a GPU if there is one.

    Raises:
        UsageError: There is no such device.
    """
    try:
        device = torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(f"--device {name}: {str(error).splitlines()[0]}") from error
    return device
