"""Prompts and their tokens.

The small models learn their vocabulary from the instructions of their data. It includes all single
bytes, so it can encode any text. PaliGemma has the vocabulary that it was trained with.
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
from policies.vla.config import TOKENIZER_FILE, VLAConfig

_PADDING, _BEGINNING = "<pad>", "<bos>"
_LEVELS = 256
"""Levels of a number in a prompt."""


class PromptTokenizer:
    """Formats instruction and state as the model's prompt, and encodes it.

    Attributes:
        count: Size of the vocabulary.
    """

    def __init__(self, tokenizer: Tokenizer, config: VLAConfig) -> None:
        """Use a tokenizer with the tokens `<pad>` and `<bos>`.

        Raises:
            UsageError: One of them is missing, or there are more tokens than embeddings.
        """
        self._tokenizer, self._config = tokenizer, config
        padding, beginning = map(tokenizer.token_to_id, (_PADDING, _BEGINNING))
        if padding is None or beginning is None:
            raise UsageError(f"{TOKENIZER_FILE} lacks a token {_PADDING} or {_BEGINNING}")
        # PaliGemma's file may add `<image>` to its vocabulary; it has no embedding.
        self.count = tokenizer.get_vocab_size(with_added_tokens=False)
        if self.count > config.vocabulary:
            raise UsageError(
                f"{TOKENIZER_FILE} has {self.count} tokens, the model only "
                f"{config.vocabulary} embeddings; it belongs to another model"
            )
        self._padding, self._beginning = padding, beginning
        # Training repeats a few prompts.
        self._cached_ids = lru_cache(maxsize=1024)(self.token_ids)

    @classmethod
    def fitted(cls, instructions: Iterable[str], config: VLAConfig) -> "PromptTokenizer":
        """Learn a vocabulary from instructions: mostly their words."""
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=config.vocabulary,
            special_tokens=[_PADDING, _BEGINNING],
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        )
        levels = [f" {level}" for level in range(_LEVELS)] if config.state == "text" else []
        prompts = [prompt(text, None, config) for text in sorted(set(instructions))]
        tokenizer.train_from_iterator(prompts + levels, trainer)
        return cls(tokenizer, config)

    @classmethod
    def read(cls, folder: Path, config: VLAConfig) -> "PromptTokenizer":
        """Read the tokenizer of a checkpoint's folder.

        Raises:
            UsageError: The file is missing or invalid.
        """
        path = folder / TOKENIZER_FILE
        if not path.is_file():
            raise UsageError(
                f"{path} is missing; PaliGemma's is in the Hugging Face repository "
                "google/paligemma-3b-pt-224, which requires you to accept its terms first"
            )
        try:
            return cls(Tokenizer.from_file(str(path)), config)
        except Exception as error:
            # The library raises no narrower type.
            raise UsageError(f"cannot read {path}: {error}") from error

    def dumps(self) -> str:
        """Return the tokenizer as JSON."""
        text: str = self._tokenizer.to_str()
        return text

    def encode(
        self, instructions: Sequence[str], state: NDArray[np.float32]
    ) -> tuple[Tensor, Tensor]:
        """Return the tokens, and which of them are not padding, (batch, length) each.

        Prompts are cut to the model's length, as in openpi, and padded to the longest of the batch.

        Args:
            instructions: One for each row.
            state: The normalised states, (batch, size), for models that read them as text.
        """
        length = self._config.text_length
        closing = [self._beginning] if _lerobot_format(self._config) else []
        rows = []
        for text, numbers in zip(instructions, state, strict=True):
            ids = self._cached_ids(prompt(text, numbers, self._config))
            rows.append([self._beginning, *ids][:length] + closing)
        shape = (len(rows), max(map(len, rows)))
        tokens, mask = np.full(shape, self._padding, np.int64), np.zeros(shape, np.bool_)
        for number, row in enumerate(rows):
            tokens[number, : len(row)], mask[number, : len(row)] = row, True
        return torch.from_numpy(tokens), torch.from_numpy(mask)

    def token_ids(self, text: str) -> list[int]:
        """Return the tokens of a text, without `<bos>` or padding."""
        ids = self._tokenizer.encode(text, add_special_tokens=False).ids
        return [number for number in ids if number < self.count]


def prompt(instruction: str, state: NDArray[np.float32] | None, config: VLAConfig) -> str:
    """Return the prompt in the format of openpi's pi0, pi0.5 and pi0-FAST, or of LeRobot."""
    text = instruction.strip().replace("_", " ").replace("\n", " ")
    if config.state != "text":
        return f"{text}\n"
    if state is not None and config.prompts == "lerobot-padded":
        state = np.pad(state, (0, config.state_size - len(state)))
    numbers = "" if state is None else " ".join(map(str, state_levels(state)))
    if config.acting == "language":
        text = text if _lerobot_format(config) else text.lower()
        return f"Task: {text}, State: {numbers};\n"
    return f"Task: {text}, State: {numbers};\nAction: "


def _lerobot_format(config: VLAConfig) -> bool:
    return config.prompts != "openpi" and config.acting == "language"


def state_levels(state: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return the level, 0 to 255, of each number in [-1, 1]. Lower numbers get -1, as in openpi."""
    edges = np.linspace(-1, 1, _LEVELS + 1)[:-1]
    return np.digitize(state, edges).astype(np.int64) - 1
