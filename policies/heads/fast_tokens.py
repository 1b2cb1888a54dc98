"""FAST's tokens (2501.09747): a chunk's frequencies, rounded, with frequent runs as one token.

    c = DCT-II of the chunk along time (orthonormal);   q = round(scale c)
    written out from the lowest frequency on, all numbers of an action side by side, one character
    for each q, and shortened by byte pair encoding

An orthonormal transform keeps distances, and rounding moves each c by at most 1/(2 scale): so of
each of an action's numbers, no error is larger than sqrt(horizon)/(2 scale).

The released tokenizer writes q - min as the character of that number, and cuts the bytes of these
up beforehand, as if they were English: which runs can become one token then depends on which
coefficients look like spaces or digits. Ours does not, but the released one's files can be read.
"""

import json
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct, idct
from tokenizers import Tokenizer
from tokenizers.decoders import Fuse
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer

from harness.contracts.errors import UsageError

FIRST = 0xE000
"""Characters from here on are for private use: none is a space, a digit, or half a character."""
CHARACTERS = 6400
NONE = "\ufffd"
"""What bytes become that make no character."""
RELEASED, TOKENIZER = "processor_config.json", "tokenizer.json"
MOST = 20_000
"""Of how many chunks runs are counted; the range is taken of all."""

Chunks = NDArray[np.float32]


class FastTokens:
    """Writes chunks as tokens and reads them back."""

    def __init__(
        self, tokenizer: Tokenizer, scale: float, low: int, high: int, first: int = FIRST
    ) -> None:
        """Take what was learnt.

        Args:
            tokenizer: Writes characters as tokens.
            scale: By how much coefficients are multiplied before they are rounded.
            low: The lowest rounded coefficient.
            high: The highest.
            first: The character that stands for the lowest.

        Raises:
            ValueError: There are too many coefficients, or no token writes any of them.
        """
        self._tokenizer, self._scale, self._first = tokenizer, scale, first
        self._low, self._high = low, high
        if not 0 <= high - low < CHARACTERS:
            raise ValueError(f"coefficients from {low} to {high}")
        characters = [chr(first + place) for place in range(high - low + 1)]
        written = [encoding.ids for encoding in tokenizer.encode_batch(characters)]
        # Released tokens cannot write a coefficient whose bytes their data did not have.
        back = tokenizer.decode_batch(written, skip_special_tokens=False)
        known = [one == other for one, other in zip(characters, back, strict=True)]
        if not any(known):
            raise ValueError("its tokens write no coefficient")
        self._known = low + np.flatnonzero(known)
        self._longest = max(map(len, written))

    @classmethod
    def learn(cls, chunks: Chunks, scale: float, vocabulary: int) -> "FastTokens":
        """Learn the runs from chunks, (N, horizon, action_size).

        Raises:
            UsageError: There are no chunks, or more coefficients than tokens.
        """
        if not len(chunks):
            raise UsageError("FAST learns its tokens from the data, and there are no chunks")
        rounded = _rounded(chunks, scale)
        low, high = int(rounded.min()), int(rounded.max())
        if high - low >= min(vocabulary, CHARACTERS):
            raise UsageError(
                f"{high - low + 1} different coefficients do not fit into a vocabulary of "
                f"{vocabulary}: normalise the actions, lower `scale` or raise `vocabulary`"
            )
        tokenizer = Tokenizer(BPE())
        tokenizer.decoder = Fuse()
        trainer = BpeTrainer(
            vocab_size=vocabulary,
            min_frequency=2,
            show_progress=False,
            initial_alphabet=[chr(FIRST + place) for place in range(high - low + 1)],
        )
        chosen = rounded[:: -(-len(rounded) // MOST)]
        tokenizer.train_from_iterator(_texts(chosen - low, FIRST), trainer)
        return cls(tokenizer, scale, low, high)

    @classmethod
    def released(cls, folder: Path) -> "FastTokens":
        """Read the files of the released tokenizer, or of one that was fitted with its class.

        Raises:
            UsageError: They are not there or are something else.
        """
        try:
            told = json.loads((folder / RELEASED).read_text())
            tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
            low, count = int(told["min_token"]), tokenizer.get_vocab_size()
            return cls(tokenizer, float(told["scale"]), low, low + count - 1, first=0)
        except Exception as error:  # The library raises nothing more precise.
            raise UsageError(
                f"cannot read FAST tokens from {folder} ({type(error).__name__}: {error}); it must "
                f"hold {RELEASED} and {TOKENIZER} of the Hugging Face repository "
                "physical-intelligence/fast"
            ) from error

    @property
    def count(self) -> int:
        """How many different tokens there are."""
        return int(self._tokenizer.get_vocab_size())

    @property
    def scale(self) -> float:
        """By how much coefficients are multiplied before they are rounded."""
        return self._scale

    def most(self, numbers: int) -> int:
        """Return how many tokens a chunk of so many numbers has at most."""
        return numbers * self._longest

    @cached_property
    def sizes(self) -> list[int]:
        """How many coefficients each token holds; 0 for bytes that make no character."""
        texts = self._tokenizer.decode_batch(
            [[token] for token in range(self.count)], skip_special_tokens=False
        )
        return [0 if NONE in text else len(text) for text in texts]

    def write(self, chunks: Chunks) -> list[list[int]]:
        """Return each chunk's tokens; for a coefficient that none can write, the nearest's."""
        rounded = _rounded(chunks, self._scale)
        place = np.searchsorted(self._known, rounded).clip(1, len(self._known) - 1)
        below, above = self._known[place - 1], self._known[place]
        nearest = np.where(rounded - below <= above - rounded, below, above)
        texts = list(_texts(nearest - self._low, self._first))
        return [encoding.ids for encoding in self._tokenizer.encode_batch(texts)]

    def read(
        self, tokens: Sequence[int], horizon: int, action_size: int, mend: bool = False
    ) -> Chunks | None:
        """Return the chunk, or None where the tokens hold too few coefficients or too many.

        Args:
            tokens: Of one chunk.
            horizon: How many actions it has.
            action_size: How many numbers an action has.
            mend: Take zeros for what is too few, and leave out what is too many.
        """
        text = self._tokenizer.decode(list(tokens), skip_special_tokens=False)
        length = horizon * action_size
        if NONE in text or (len(text) != length and not mend):
            return None
        rounded = np.zeros(length)
        found = [ord(character) - self._first + self._low for character in text[:length]]
        rounded[: len(found)] = found
        chunk = idct(rounded.reshape(horizon, action_size) / self._scale, axis=0, norm="ortho")
        return np.asarray(chunk, np.float32)

    def to_text(self) -> str:
        """Return all that was learnt, as JSON."""
        learnt = json.loads(self._tokenizer.to_str())
        numbers = {"scale": self._scale, "low": self._low, "high": self._high, "first": self._first}
        return json.dumps(numbers | {"tokenizer": learnt})

    @classmethod
    def from_text(cls, text: str) -> "FastTokens":
        """Take up what `to_text` gave.

        Raises:
            UsageError: It is something else.
        """
        try:
            learnt = json.loads(text)
            tokenizer = Tokenizer.from_str(json.dumps(learnt["tokenizer"]))
            low, high, first = (int(learnt[name]) for name in ("low", "high", "first"))
            return cls(tokenizer, float(learnt["scale"]), low, high, first)
        except Exception as error:  # The library raises nothing more precise.
            raise UsageError(f"these are no FAST tokens ({error}): train the head again") from error


def _rounded(chunks: Chunks, scale: float) -> NDArray[np.int64]:
    coefficients = dct(np.asarray(chunks, np.float64), axis=1, norm="ortho")
    rounded: NDArray[np.int64] = np.rint(coefficients * scale).astype(np.int64)
    return rounded


def _texts(places: NDArray[np.int64], first: int) -> Iterator[str]:
    for row in places.reshape(len(places), -1):
        yield "".join(chr(first + place) for place in row)
