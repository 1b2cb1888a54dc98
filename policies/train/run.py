"""Trains policies, one after another or in parallel, and resumes stopped ones."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from harness.contracts.errors import UsageError
from policies.heads import build
from policies.train import randomness
from policies.train.corpus import Corpus, read_corpus
from policies.train.initial import InitialCheckpoint
from policies.train.log import LOG
from policies.train.loop import Intervals, train
from policies.train.pool import TrainingPool
from policies.train.prefix_cache import PrefixCache
from policies.train.progress import TrainingView
from policies.train.recipe import Training
from policies.train.report.page import PAGE, PICTURE, write_page
from policies.train.report.plot import plot_logs
from policies.train.settings import Settings
from policies.train.state import (
    DATA_FILE,
    INIT_FILE,
    SETTINGS_FILE,
    STATE_FILE,
    exclusive,
    require_same,
)
from policies.train.task import Task, drop_cut_chunks, split
from policies.vla.checkpoint import CONFIG_FILE, Checkpoint, contract_of, save
from policies.vla.config import VLAConfig, sized
from policies.vla.model import VLA
from policies.vla.prompts import PromptTokenizer

_SAMPLE_SETTINGS = ("size", "cameras", "columns", "blind", "horizon", "idle")
"""The settings that change the corpus."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """Everything that does not change the policies.

    Attributes:
        device: Where to compute; empty for a GPU if there is one.
        memory: Largest size of pictures in memory, in GiB.
        intervals: Of saves and validations.
        command: The command line, for the checkpoint's page.
        workers: Number of parallel trainings.
    """

    device: str
    memory: float
    intervals: Intervals
    command: tuple[str, ...]
    workers: int = 1


class _SampleCache:
    """Keeps the samples of the last training, because the next one often needs the same.

    Attributes:
        corpus: The samples.
        prefixes: Their prefixes, if the last training had a frozen backbone.
    """

    def __init__(self, memory: float) -> None:
        """Start empty; `memory` is the job's."""
        self._memory = memory
        self._training: Training | None = None
        self.corpus: Corpus | None = None
        self.prefixes: PrefixCache | None = None

    def read(self, training: Training) -> Corpus:
        """Return the samples of a training, and drop those of another one.

        Raises:
            UsageError: The data cannot be read, or do not fit together.
        """
        last, self._training = self._training, training
        if last is None or last.init != training.init:
            self.prefixes = None
        if self.corpus is None or last is None or not _same_samples(last, training):
            self.corpus = self.prefixes = None  # Free the memory before reading others.
            settings = training.settings
            pixels = network(settings).images.pixels
            self.corpus = read_corpus(training.data, settings, pixels, self._memory, training.out)
        return self.corpus


def train_all(job: Job, trainings: Sequence[Training], console: Console) -> None:
    """Train all policies that are not finished.

    Args:
        job: Where and how to compute.
        trainings: What to train. A training comes after the one that it starts from.
        console: Shows the progress.

    Raises:
        UsageError: The data or the settings do not fit together.
        StoppedError: The user stopped it.
        StorageError: The disk is full or gone.
    """
    samples = _SampleCache(job.memory)
    # Before minutes of reading; but a process that forks must not touch a GPU.
    _require_built(job.device)
    if job.workers == 1:
        _device(job.device)
        for training in trainings:
            _train_one(job, training, samples, console)
        return
    with TrainingPool(job.workers) as pool:
        for training in trainings:
            if not _finished(training.out):
                training.out.mkdir(parents=True, exist_ok=True)
                samples.read(training)  # Before the fork, so that the processes share it.
            pool.start(training.out, training.init, partial(_train_one, job, training, samples))
        pool.wait()


def _train_one(job: Job, training: Training, samples: _SampleCache, console: Console) -> None:
    """Train a policy if it is not finished, and write its checkpoint, plot and page."""
    folder, settings = training.out, training.settings
    with exclusive(folder):
        init = Checkpoint.open(training.init) if training.init else None
        require_same(folder / SETTINGS_FILE, settings.as_json())
        require_same(folder / INIT_FILE, {"init": init and init.identity})
        if _finished(folder):
            (folder / STATE_FILE).unlink(missing_ok=True)
            console.print(f"{folder} is trained already", markup=False)
            return
        corpus = samples.read(training)
        require_same(folder / DATA_FILE, {"data": corpus.digest()})
        initial = InitialCheckpoint.load(init) if init else None
        task = make_task(corpus, settings, _device(job.device), initial)
        if initial:
            console.print(f"{settings.head}: starts from {task.origin}", markup=False)
        if settings.frozen:
            samples.prefixes = samples.prefixes or _prefixes(task)
            task = replace(task, prefixes=samples.prefixes)
        with TrainingView(console, folder.name) as view:
            seconds = train(task, folder, job.intervals, view)
        _write_results(folder, task, job.command, seconds)


def _finished(folder: Path) -> bool:
    # The repository holds the pages of backbones without their weights.
    return all((folder / name).is_file() for name in (PAGE, CONFIG_FILE))


def _same_samples(one: Training, other: Training) -> bool:
    needs = [(t.data, *map(t.settings.as_json().get, _SAMPLE_SETTINGS)) for t in (one, other)]
    return needs[0] == needs[1]


def _prefixes(task: Task) -> PrefixCache:
    return PrefixCache.compute(
        task.model.backbone, len(task.corpus), lambda rows: task.batch(rows, None).inputs
    )


def _write_results(folder: Path, task: Task, command: Sequence[str], seconds: float) -> None:
    settings, corpus = task.settings, task.corpus
    contract = contract_of(
        task.model,
        task.normalization,
        replan=settings.replan,
        state_layout=corpus.state_layout,
        action_layout=corpus.action_layout,
    )
    save(folder, task.model.to(getattr(torch, settings.stored)), task.tokenizer, contract)
    plot_logs({settings.head: folder / LOG}, folder / PICTURE)
    # The page marks the training as finished, so it is written last.
    write_page(folder, task, command, seconds)
    (folder / STATE_FILE).unlink()


def network(settings: Settings, cameras: tuple[str, ...] = (), state_size: int = 1) -> VLAConfig:
    """Return the network for the settings, for a head that is not adaptive."""
    return sized(
        settings.size,
        cameras=cameras,
        state_size=state_size,
        state=settings.state,
        viewpoint=settings.augmentation.spherical.share > 0,
        acting=settings.acting,
    )


def make_task(
    corpus: Corpus,
    settings: Settings,
    device: torch.device,
    initial: InitialCheckpoint | None = None,
) -> Task:
    """Make a model for the data. The seed decides its random weights.

    Args:
        corpus: The data.
        settings: How to train.
        device: Where to compute.
        initial: Replaces the random weights.

    Raises:
        UsageError: The settings do not fit together, the data, or the initial checkpoint.
    """
    training, validation = split(corpus, settings)
    normalization = corpus.normalization(settings, training)
    config = network(settings, tuple(corpus.images), corpus.state.shape[1])
    options: dict[str, Any] = {"horizon": settings.horizon, "action_size": corpus.chunk.shape[2]}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(randomness.derived_seed(settings.seed, "weights", 0))
        if initial is None:
            head = build(settings.head, settings.head_options | options, config.width)
        else:
            config = initial.network(config)
            head = initial.head(settings, options, config.width)
        if head.whole_chunks_only:
            training, validation = drop_cut_chunks(corpus, settings, training, validation)
        head_kept = initial is not None and initial.head_fits(head)
        if initial is not None and head_kept:
            head.restore(initial.model.head.fitted())
        else:
            head.fit(normalization.chunk(corpus.chunk[training], corpus.state[training]))
        config = replace(config, adaptive=head.adaptive)
        model = VLA(config, head)
    if initial is not None:
        initial.copy_weights_to(model)
    if settings.frozen:
        _freeze(model, initial)
    return Task(
        model=model.to(device),
        normalization=normalization,
        tokenizer=initial.tokenizer(config)
        if initial
        else PromptTokenizer.fitted(corpus.instructions, config),
        corpus=corpus,
        settings=settings,
        training=training,
        validation=validation,
        device=device,
        origin=initial.origin(head_kept) if initial else "nothing",
    )


def _freeze(model: VLA, initial: InitialCheckpoint | None) -> None:
    if initial is None:
        raise UsageError("--frozen needs --init: random weights cannot stay as they are")
    for part in (model.backbone.embedding, model.backbone.language):
        part.requires_grad_(False)


def _require_built(name: str) -> None:
    """Refuse a device that this PyTorch can never have, without touching it.

    Raises:
        UsageError: There is no such device.
    """
    try:
        kind = torch.device(name or "cpu").type
    except RuntimeError as error:
        raise UsageError(f"--device {name}: {str(error).splitlines()[0]}") from error
    built: bool = torch.backends.cuda.is_built()  # type: ignore[no-untyped-call]
    if kind == "meta" or (kind == "cuda" and not built):
        raise UsageError(
            f"--device {name}: PyTorch {torch.__version__} cannot compute there; leave out "
            "--device, or install a PyTorch with CUDA (docs/gpu.md)"
        )


def _device(name: str) -> torch.device:
    device = torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(
            f"--device {name}: {str(error).splitlines()[0]}; leave out --device, or see docs/gpu.md"
        ) from error
    return device
