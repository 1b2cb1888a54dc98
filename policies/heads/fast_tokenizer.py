"""FAST's tokenizer (2501.09747): a chunk's rounded frequencies, compressed by byte pair encoding.

    c = DCT-II of the chunk along time (orthonormal);   q = round(scale c)
    text: one character for each q, lowest frequency first, the numbers of an action adjacent
    tokens: the byte pair encoding of the text

An orthonormal transform keeps distances, and rounding moves each c by at most 1/(2 scale). So no
number of an action is off by more than sqrt(horizon)/(2 scale).

The released tokenizer maps q - min to the character with that code, and splits the text before the
encoding as if it were English. Which runs can become a token then depends on which coefficients
look like spaces or digits. Ours does not split, but it can read the released files.
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

_FIRST = 0xE000
"""Start of Unicode's private use area: no character in it is a space or a digit."""
_CHARACTERS = 6400
_INVALID = "\ufffd"
"""Decoders return it for bytes that are no character."""
_RELEASED, _TOKENIZER = "processor_config.json", "tokenizer.json"
_MOST = 20_000
"""Largest number of chunks that the byte pair encoding is trained on."""

_Chunks = NDArray[np.float32]


class FastTokenizer:
    """Encodes chunks as tokens and decodes them."""

    def __init__(
        self, tokenizer: Tokenizer, scale: float, low: int, high: int, first: int = _FIRST
    ) -> None:
        """Use a trained tokenizer.

        Args:
            tokenizer: Encodes text as tokens.
            scale: Factor of the coefficients before they are rounded.
            low: The lowest rounded coefficient.
            high: The highest.
            first: Code of the character for the lowest coefficient.

        Raises:
            ValueError: The range is too large, or no coefficient has a token.
        """
        self._tokenizer, self._scale, self._first = tokenizer, scale, first
        self._low, self._high = low, high
        if not 0 <= high - low < _CHARACTERS:
            raise ValueError(f"coefficients from {low} to {high}")
        characters = [chr(first + place) for place in range(high - low + 1)]
        encoded = [encoding.ids for encoding in tokenizer.encode_batch(characters)]
        # A released tokenizer has no token for bytes that its training data lacked.
        back = tokenizer.decode_batch(encoded, skip_special_tokens=False)
        known = [one == other for one, other in zip(characters, back, strict=True)]
        if not any(known):
            raise ValueError("no coefficient has a token")
        self._known = low + np.flatnonzero(known)
        self._longest = max(map(len, encoded))

    @classmethod
    def learn(cls, chunks: _Chunks, scale: float, vocabulary: int) -> "FastTokenizer":
        """Train the byte pair encoding on chunks, (N, horizon, action_size).

        Raises:
            UsageError: There are no chunks, or more coefficients than tokens.
        """
        if not len(chunks):
            raise UsageError("FAST learns its tokens from the data, but there are no chunks")
        rounded = _rounded(chunks, scale)
        low, high = int(rounded.min()), int(rounded.max())
        if high - low >= min(vocabulary, _CHARACTERS):
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
            initial_alphabet=[chr(_FIRST + place) for place in range(high - low + 1)],
        )
        chosen = rounded[:: -(-len(rounded) // _MOST)]
        tokenizer.train_from_iterator(_texts(chosen - low, _FIRST), trainer)
        return cls(tokenizer, scale, low, high)

    @classmethod
    def released(cls, folder: Path) -> "FastTokenizer":
        """Read the files of the released tokenizer, or of one that its class has fitted.

        Raises:
            UsageError: A file is missing or invalid.
        """
        try:
            config = json.loads((folder / _RELEASED).read_text())
            tokenizer = Tokenizer.from_file(str(folder / _TOKENIZER))
            low, count = int(config["min_token"]), tokenizer.get_vocab_size()
            return cls(tokenizer, float(config["scale"]), low, low + count - 1, first=0)
        except Exception as error:  # The library raises no narrower type.
            raise UsageError(
                f"cannot read FAST tokens from {folder} ({type(error).__name__}: {error}); it must "
                f"hold {_RELEASED} and {_TOKENIZER} of the Hugging Face repository "
                "physical-intelligence/fast"
            ) from error

    @property
    def count(self) -> int:
        """Size of the vocabulary."""
        return int(self._tokenizer.get_vocab_size())

    @property
    def scale(self) -> float:
        """Factor of the coefficients before they are rounded."""
        return self._scale

    def longest(self, numbers: int) -> int:
        """Return the largest number of tokens for a chunk with this many numbers."""
        return numbers * self._longest

    @cached_property
    def sizes(self) -> list[int]:
        """How many coefficients each token holds; 0 for bytes that are no character."""
        texts = self._tokenizer.decode_batch(
            [[token] for token in range(self.count)], skip_special_tokens=False
        )
        return [0 if _INVALID in text else len(text) for text in texts]

    def encode(self, chunks: _Chunks) -> list[list[int]]:
        """Return each chunk's tokens. Coefficients without a token become the nearest known one."""
        rounded = _rounded(chunks, self._scale)
        place = np.searchsorted(self._known, rounded).clip(1, len(self._known) - 1)
        below, above = self._known[place - 1], self._known[place]
        nearest = np.where(rounded - below <= above - rounded, below, above)
        texts = list(_texts(nearest - self._low, self._first))
        return [encoding.ids for encoding in self._tokenizer.encode_batch(texts)]

    def decode(
        self, tokens: Sequence[int], horizon: int, action_size: int, mend: bool = False
    ) -> _Chunks | None:
        """Return the chunk, or None if the tokens hold too few or too many coefficients.

        Args:
            tokens: Of one chunk.
            horizon: Actions in a chunk.
            action_size: Numbers in an action.
            mend: Whether to fill missing coefficients with zeros and drop surplus ones.
        """
        text = self._tokenizer.decode(list(tokens), skip_special_tokens=False)
        length = horizon * action_size
        if _INVALID in text or (len(text) != length and not mend):
            return None
        rounded = np.zeros(length)
        found = [ord(character) - self._first + self._low for character in text[:length]]
        rounded[: len(found)] = found
        chunk = idct(rounded.reshape(horizon, action_size) / self._scale, axis=0, norm="ortho")
        return np.asarray(chunk, np.float32)

    def to_text(self) -> str:
        """Return the tokenizer as JSON."""
        tokenizer = json.loads(self._tokenizer.to_str())
        numbers = {"scale": self._scale, "low": self._low, "high": self._high, "first": self._first}
        return json.dumps(numbers | {"tokenizer": tokenizer})

    @classmethod
    def from_text(cls, text: str) -> "FastTokenizer":
        """Read what `to_text` returned.

        Raises:
            UsageError: The text is invalid.
        """
        try:
            content = json.loads(text)
            tokenizer = Tokenizer.from_str(json.dumps(content["tokenizer"]))
            low, high, first = (int(content[name]) for name in ("low", "high", "first"))
            return cls(tokenizer, float(content["scale"]), low, high, first)
        except Exception as error:  # The library raises no narrower type.
            raise UsageError(
                f"the FAST tokens cannot be read ({error}): train the head again"
            ) from error


def _rounded(chunks: _Chunks, scale: float) -> NDArray[np.int64]:
    coefficients = dct(np.asarray(chunks, np.float64), axis=1, norm="ortho")
    rounded: NDArray[np.int64] = np.rint(coefficients * scale).astype(np.int64)
    return rounded


def _texts(places: NDArray[np.int64], first: int) -> Iterator[str]:
    for row in places.reshape(len(places), -1):
        yield "".join(chr(first + place) for place in row)
