"""FAST's tokens (2501.09747): a chunk's frequencies, rounded, with frequent runs as one token.

    c = DCT-II of the chunk along time (orthonormal);   q = round(scale c)
    written out from the lowest frequency on, all numbers of an action side by side, one character
    for each q, and shortened by byte pair encoding

An orthonormal transform keeps distances, and rounding moves each c by at most 1/(2 scale): so of
each of an action's numbers, no error is larger than sqrt(horizon)/(2 scale).

The released tokenizer cuts the characters up beforehand, as if they were English: which runs can
become one token then depends on which coefficients look like spaces or digits. This one does not.
"""

import json
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct, idct
from tokenizers import Tokenizer
from tokenizers.decoders import Fuse
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer

from harness.errors import UsageError

FIRST = 0xE000
"""Characters from here on are for private use: none is a space, a digit, or half a character."""
CHARACTERS = 6400
MOST = 20_000
"""Of how many chunks runs are counted; the range is taken of all."""

Chunks = NDArray[np.float32]


class FastTokens:
    """Writes chunks as tokens and reads them back."""

    def __init__(self, tokenizer: Tokenizer, scale: float, low: int, high: int) -> None:
        """Take what was learnt: the runs, and the range of rounded coefficients."""
        self._tokenizer, self._scale, self._low, self._high = tokenizer, scale, low, high

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
        tokenizer.train_from_iterator(_texts(chosen - low), trainer)
        return cls(tokenizer, scale, low, high)

    @property
    def count(self) -> int:
        """How many different tokens there are."""
        return int(self._tokenizer.get_vocab_size())

    def write(self, chunks: Chunks) -> list[list[int]]:
        """Return each chunk's tokens; coefficients past those in the data are moved to them."""
        rounded = _rounded(chunks, self._scale).clip(self._low, self._high)
        texts = list(_texts(rounded - self._low))
        return [encoding.ids for encoding in self._tokenizer.encode_batch(texts)]

    def read(self, tokens: Sequence[int], horizon: int, action_size: int) -> Chunks | None:
        """Return the chunk, or None where the tokens hold too few coefficients or too many."""
        text = self._tokenizer.decode(list(tokens))
        if len(text) != horizon * action_size:
            return None
        rounded = np.array([ord(character) - FIRST for character in text]) + self._low
        chunk = idct(rounded.reshape(horizon, action_size) / self._scale, axis=0, norm="ortho")
        return np.asarray(chunk, np.float32)

    def to_text(self) -> str:
        """Return all that was learnt, as JSON."""
        learnt = json.loads(self._tokenizer.to_str())
        return json.dumps(
            {"scale": self._scale, "low": self._low, "high": self._high, "tokenizer": learnt}
        )

    @classmethod
    def from_text(cls, text: str) -> "FastTokens":
        """Take up what `to_text` gave.

        Raises:
            UsageError: It is something else.
        """
        try:
            learnt = json.loads(text)
            tokenizer = Tokenizer.from_str(json.dumps(learnt["tokenizer"]))
            return cls(tokenizer, float(learnt["scale"]), int(learnt["low"]), int(learnt["high"]))
        except Exception as error:  # The library raises nothing more precise.
            raise UsageError(f"these are no FAST tokens ({error}): train the head again") from error


def _rounded(chunks: Chunks, scale: float) -> NDArray[np.int64]:
    coefficients = dct(np.asarray(chunks, np.float64), axis=1, norm="ortho")
    rounded: NDArray[np.int64] = np.rint(coefficients * scale).astype(np.int64)
    return rounded


def _texts(places: NDArray[np.int64]) -> Iterator[str]:
    for row in places.reshape(len(places), -1):
        yield "".join(chr(FIRST + place) for place in row)
