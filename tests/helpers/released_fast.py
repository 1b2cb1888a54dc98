"""Files in the format of FAST's released tokenizer, fitted to random chunks.

The released files are on the Hugging Face Hub; tests do not download them.
"""

import json
from pathlib import Path

import numpy as np
from scipy.fft import dct
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers


def write_released(folder: Path, chunks: np.ndarray, vocabulary: int, scale: float = 10) -> None:
    """Fit a tokenizer as the class `UniversalActionProcessor` does, and write its two files."""
    rounded = np.around(dct(chunks, axis=1, norm="ortho") * scale).astype(int)
    low, high = int(rounded.min()), int(rounded.max())
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        min_frequency=2,
        show_progress=False,
        initial_alphabet=[chr(place) for place in range(high - low + 1)],
        max_token_length=10_000,
    )
    texts = ["".join(map(chr, row)) for row in (rounded - low).reshape(len(rounded), -1)]
    tokenizer.train_from_iterator(texts, trainer)
    folder.mkdir(parents=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "processor_class": "UniversalActionProcessor",
        "scale": scale,
        "vocab_size": vocabulary,
        "min_token": low,
        "time_horizon": None,
        "action_dim": None,
    }
    (folder / "processor_config.json").write_text(json.dumps(config))
