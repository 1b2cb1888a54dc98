"""Instructions as tokens.

The small models' tokens are learned from the instructions of their data; every text can still be
written with them, letter by letter if need be. PaliGemma's are those that it was trained with.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor

from harness.contracts.errors import UsageError
from policies.vla.config import VLAConfig

PADDING, BEGINNING = "<pad>", "<bos>"
LEVELS = 256
"""Steps in which a state is written."""
TOKENIZER = "tokenizer.json"


class Text:
    """Writes down what the model is told, and turns it into tokens.

    Attributes:
        count: How many different tokens there are.
    """

    def __init__(self, tokenizer: Tokenizer, config: VLAConfig) -> None:
        """Use a tokenizer that has tokens for padding and for the beginning of a text.

        Raises:
            UsageError: It lacks one of them, or has more tokens than the model has embeddings.
        """
        self._tokenizer, self._config = tokenizer, config
        padding, beginning = map(tokenizer.token_to_id, (PADDING, BEGINNING))
        if padding is None or beginning is None:
            raise UsageError(f"{TOKENIZER} lacks a token {PADDING} or {BEGINNING}")
        # PaliGemma's file may have `<image>` on top of its vocabulary, which is no word.
        self.count = tokenizer.get_vocab_size(with_added_tokens=False)
        if self.count > config.vocabulary:
            raise UsageError(
                f"{TOKENIZER} has {self.count} tokens, the model only "
                f"{config.vocabulary} embeddings; it belongs to another model"
            )
        self._padding, self._beginning = padding, beginning
        # A training tells the same few texts again and again.
        self._ids = lru_cache(maxsize=1024)(self.words)

    @classmethod
    def fitted(cls, instructions: Iterable[str], config: VLAConfig) -> "Text":
        """Learn tokens from instructions: as a rule their words."""
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=config.vocabulary,
            special_tokens=[PADDING, BEGINNING],
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        )
        numbers = [f" {level}" for level in range(LEVELS)] if config.state == "text" else []
        written = [prompt(text, None, config) for text in sorted(set(instructions))]
        tokenizer.train_from_iterator(written + numbers, trainer)
        return cls(tokenizer, config)

    @classmethod
    def read(cls, folder: Path, config: VLAConfig) -> "Text":
        """Read the tokens that lie beside a checkpoint.

        Raises:
            UsageError: The file is not there or cannot be read.
        """
        path = folder / TOKENIZER
        if not path.is_file():
            raise UsageError(
                f"{path} is missing; PaliGemma's is in the Hugging Face repository "
                "google/paligemma-3b-pt-224, whose terms have to be accepted first"
            )
        try:
            return cls(Tokenizer.from_file(str(path)), config)
        except Exception as error:
            # The library raises nothing more specific.
            raise UsageError(f"cannot read {path}: {error}") from error

    def dumps(self) -> str:
        """Return the tokens as JSON, to lie beside a checkpoint."""
        written: str = self._tokenizer.to_str()
        return written

    def encode(
        self, instructions: Sequence[str], state: NDArray[np.float32]
    ) -> tuple[Tensor, Tensor]:
        """Return the tokens and which are no padding, (batch, length) each.

        What is too long is cut off, as in openpi; padding goes up to the longest of the batch.

        Args:
            instructions: What the model is told.
            state: The normalised state, (batch, size), for a model that reads it as text.
        """
        length = self._config.text_length
        closing = [self._beginning] if _closes(self._config) else []
        rows = []
        for text, numbers in zip(instructions, state, strict=True):
            ids = self._ids(prompt(text, numbers, self._config))
            rows.append([self._beginning, *ids][:length] + closing)
        shape = (len(rows), max(map(len, rows)))
        tokens, mask = np.full(shape, self._padding, np.int64), np.zeros(shape, np.bool_)
        for number, row in enumerate(rows):
            tokens[number, : len(row)], mask[number, : len(row)] = row, True
        return torch.from_numpy(tokens), torch.from_numpy(mask)

    def words(self, text: str) -> list[int]:
        """Return a text's tokens, with nothing before or behind."""
        ids = self._tokenizer.encode(text, add_special_tokens=False).ids
        return [number for number in ids if number < self.count]


def prompt(instruction: str, state: NDArray[np.float32] | None, config: VLAConfig) -> str:
    """Return what the model reads, as openpi writes it for pi0, pi0.5 and pi0-FAST; or LeRobot."""
    told = instruction.strip().replace("_", " ").replace("\n", " ")
    if config.state != "text":
        return f"{told}\n"
    numbers = "" if state is None else " ".join(map(str, levels(state)))
    if config.acting == "language":
        told = told if _closes(config) else told.lower()
        return f"Task: {told}, State: {numbers};\n"
    return f"Task: {told}, State: {numbers};\nAction: "


def _closes(config: VLAConfig) -> bool:
    return config.prompts == "lerobot" and config.acting == "language"


def levels(state: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return numbers in [-1, 1] in 256 steps; -1 is what lies below, as in openpi."""
    edges = np.linspace(-1, 1, LEVELS + 1)[:-1]
    return np.digitize(state, edges).astype(np.int64) - 1
