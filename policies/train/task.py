"""What to train, on which samples, and how samples become batches."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from harness.contracts.errors import UsageError
from policies.train import randomness
from policies.train.corpus import Corpus
from policies.train.prefix_cache import PrefixCache
from policies.train.settings import Settings
from policies.vla.model import VLA, Batch
from policies.vla.normalize import Normalization
from policies.vla.preparation import Preparation
from policies.vla.prompts import PromptTokenizer

_MAX_VALIDATED = 512
"""Largest number of held-out samples in a validation, to keep it short."""
_LARGE = 50_000_000
"""Weights from which bfloat16 is faster on a GPU; below, casts take longer than they save."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Task:
    """A model and its training samples.

    Attributes:
        model: The model, on `device`.
        normalization: Of states and actions.
        tokenizer: Of the prompts.
        corpus: The samples.
        settings: How to train.
        training: The rows to train on.
        validation: The rows that are held out.
        device: Where to compute.
        origin: Where the first weights are from, for people.
        prefixes: The prefixes of all samples, if the backbone is frozen.
    """

    model: VLA
    normalization: Normalization
    tokenizer: PromptTokenizer
    corpus: Corpus
    settings: Settings
    training: NDArray[np.int64]
    validation: NDArray[np.int64]
    device: torch.device
    origin: str = "nothing"
    prefixes: PrefixCache | None = None

    @cached_property
    def epoch(self) -> NDArray[np.int64]:
        """The rows of an epoch: `training`, with first samples repeated `first_looks` times."""
        firsts = np.unique(self.corpus.episode[self.training], return_index=True)[1]
        more = np.repeat(self.training[firsts], self.settings.first_looks - 1)
        return np.concatenate([self.training, more])

    @cached_property
    def _preparation(self) -> Preparation:
        config = self.model.config
        # Cached prefixes include the pictures.
        needed = config if self.prefixes is None else replace(config, cameras=())
        return Preparation(needed, self.normalization, self.tokenizer)

    @cached_property
    def _images(self) -> Mapping[str, Tensor]:
        """The pictures, on the GPU if they take at most half of its free memory."""
        images = {role: torch.from_numpy(each) for role, each in self.corpus.images.items()}
        size = sum(each.nbytes for each in images.values())
        if self.device.type != "cuda" or 2 * size > torch.cuda.mem_get_info(self.device)[0]:
            return images
        return {role: each.to(self.device) for role, each in images.items()}

    def batch(self, rows: NDArray[np.int64], augmented_by: torch.Generator | None) -> Batch:
        """Return samples as tensors.

        Args:
            rows: The samples.
            augmented_by: The randomness of augmentation; None for no augmentation.
        """
        corpus, augmentation = self.corpus, self.settings.augmentation
        pictures = self._images if self.prefixes is None else {}
        chosen = torch.from_numpy(rows)
        inputs = self._preparation.inputs(
            {role: images[chosen.to(images.device)] for role, images in pictures.items()},
            corpus.state[rows],
            [corpus.instructions[number] for number in corpus.instruction[rows]],
        ).to(self.device)
        if augmented_by is not None and pictures:
            original = {role: (image + 1).div_(2) for role, image in inputs.images.items()}
            changed, moved = augmentation(original, augmented_by)
            images = {role: (image * 2).sub_(1) for role, image in changed.items()}
            inputs = replace(inputs, images=images, viewpoint=moved)
        chunk = self.normalization.chunk(corpus.chunk[rows], corpus.state[rows])
        # A head for larger actions gets zeros, as in openpi.
        padding = self.model.head.config.action_size - chunk.shape[2]
        actions = functional.pad(torch.from_numpy(chunk), (0, padding))
        valid = torch.from_numpy(corpus.valid[rows])
        read = None if self.prefixes is None else self.prefixes.of(rows)
        return Batch(inputs, actions.to(self.device), valid.to(self.device), read)

    @cached_property
    def _half(self) -> bool:
        """Whether to compute in bfloat16: on a GPU, with a network large enough to gain by it."""
        weights = sum(parameter.numel() for parameter in self.model.parameters())
        return self.device.type == "cuda" and weights > _LARGE

    def loss(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """Return the batch's mean loss."""
        with torch.autocast("cuda", torch.bfloat16, enabled=self._half):
            return self.model.loss(batch, generator).float().mean()

    def validate(self) -> float:
        """Return the mean loss of held-out samples: always the same samples and noise."""
        rows, total = self.validation[:_MAX_VALIDATED], 0.0
        size = self.settings.batch
        noise = randomness.generator(self.settings.seed, "validation", device=self.device)
        self.model.eval()
        with torch.no_grad():
            for start in range(0, len(rows), size):
                part = rows[start : start + size]
                total += float(self.loss(self.batch(part, None), noise)) * len(part)
        self.model.train()
        return total / len(rows)


def split(corpus: Corpus, settings: Settings) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows to train on, and the rows to hold out, which are in random order.

    Raises:
        UsageError: There are fewer samples than a batch.
    """
    held = corpus.validation(settings.held_out)
    training = np.flatnonzero(~held)
    _require_batch(training, settings)
    seed = randomness.derived_seed(settings.seed, "validation", 0)
    return training, np.random.default_rng(seed).permutation(np.flatnonzero(held))


def drop_cut_chunks(
    corpus: Corpus, settings: Settings, training: NDArray[np.int64], validation: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows without the chunks that a perturbation cuts short.

    Raises:
        UsageError: There are fewer samples than a batch.
    """
    training, validation = (rows[~corpus.cut[rows]] for rows in (training, validation))
    _require_batch(training, settings)
    return training, validation


def _require_batch(rows: NDArray[np.int64], settings: Settings) -> None:
    if len(rows) < settings.batch:
        raise UsageError(
            f"{len(rows)} samples are fewer than a batch; record more, or lower --batch"
        )
