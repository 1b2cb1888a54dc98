"""Measures how often each action head returns a whole chunk of one correct answer.

    python perf/joint_consistency.py [--heads flow e0] [--steps 600] [--chunks 1000] [--seed 0]

The toy task of `tests/helpers/toy_network.py` has chunks of 4 actions with 2 numbers. For each
observation, one chunk and its negative are equally correct. A head that decides each number
separately mixes the two answers.

Every head has the same small network and the same number of training updates. The decoding options
of a head share one training. The fields of a row are:

- `consistent`: the share of chunks that are close to one answer; `interval` is Wilson's 95 %
  interval over the drawn chunks. Another training gives other rates.
- `first_answer`: the share of the first answer among them. It is one half in the data.
- `median_error`: the median over chunks of the largest distance to the closer answer.
- `evaluations`: calls of the network per chunk. `cpu_s`: CPU seconds of the training.

docs/heads.md shows the table. The last line is one JSON object.
"""

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from harness.play.threads import use_one_core

use_one_core()

import torch

from harness.statistics.interval import rate_interval
from policies.heads import build
from policies.heads.head import Head
from tests.helpers.toy_network import ACTION_SIZE, HORIZON, ToyNetwork, draw, judge, train

WIDTH, BINS = 48, 32
SIZE = {"horizon": HORIZON, "action_size": ACTION_SIZE}
Options = Mapping[str, Any]

E0_DECODINGS: tuple[Options, ...] = ({"decode": "sample"}, {"decode": "argmax"})
CASES: tuple[tuple[str, Options, tuple[Options, ...]], ...] = (
    ("regression", {"distance": "mse"}, ({},)),
    ("regression", {"distance": "l1"}, ({},)),
    ("flow", {}, ({},)),
    ("flow", {"adaptive": True}, ({},)),
    ("diffusion", {"predicts": "noise"}, ({},)),
    ("diffusion", {"predicts": "chunk"}, ({},)),
    ("bins", {"bins": BINS}, ({"temperature": 0.0}, {"temperature": 1.0})),
    ("fast", {"vocabulary": 128}, ({"temperature": 0.0}, {"temperature": 1.0})),
    (
        "masked",
        {"bins": BINS},
        (*({"steps": steps} for steps in (1, 2, 4, 8, 12)), {"steps": 12, "remask": 0.5}),
    ),
    ("e0", {"bins": BINS, "smoothing": 0.1}, E0_DECODINGS),
    (
        "e0",
        {"bins": BINS, "smoothing": 1.0},
        (*E0_DECODINGS, {"smoothing": 0.1, "renoise": "fixed", "decode": "argmax"}),
    ),
    ("e0", {"bins": BINS, "smoothing": 3.0}, E0_DECODINGS),
    ("e0", {"bins": BINS, "smoothing": 10.0}, E0_DECODINGS),
    ("e0", {"bins": BINS, "smoothing": 3.0, "adaptive": True}, E0_DECODINGS),
    ("e0", {"bins": 256, "smoothing": 3.0}, E0_DECODINGS),
    ("e0-hybrid", {"bins": BINS}, ({}, {"decay_noise": True})),
)


def measure(head: Head, network: ToyNetwork, chunks: int) -> dict[str, Any]:
    """Draw chunks and return how many are consistent, and with which answer."""
    found = judge(*draw(head, network, chunks))
    kept = int(found.consistent.sum())
    rate = rate_interval(kept, chunks)
    return {
        "consistent": round(rate.estimate, 3),
        "interval": [round(rate.low, 3), round(rate.high, 3)],
        "first_answer": round(float(found.positive[found.consistent].float().mean()), 3)
        if kept
        else None,
        "median_error": round(float(found.errors.median()), 3),
        "evaluations": head.evaluations,
    }


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the results as a table."""
    lines = [
        "| head | training options | decoding options | consistent, % | share of the first answer |"
        " evaluations |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        low, high = (100 * limit for limit in row["interval"])
        first = "" if row["first_answer"] is None else f"{row['first_answer']:.2f}"
        cells = [f"`{row['head']}`", _written(row["trained"]), _written(row["decoded"])]
        cells += [f"{100 * row['consistent']:.1f} [{low:.1f}, {high:.1f}]", first]
        lines.append(f"| {' | '.join([*cells, str(row['evaluations'])])} |")
    return "\n".join(lines)


def _written(options: Options) -> str:
    return ", ".join(f"{name} {str(value).lower()}" for name, value in options.items())


def main() -> None:
    """Train each head once and draw from it with all of its decoding options."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--heads", nargs="+", default=sorted({name for name, _, _ in CASES}))
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--chunks", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rows = []
    for name, trained, decodings in CASES:
        if name not in options.heads:
            continue
        torch.manual_seed(options.seed)
        head = build(name, {**SIZE, **trained}, WIDTH)
        network = ToyNetwork(1, WIDTH, head.adaptive)
        began = time.process_time()
        train(head, network, options.steps, seed=options.seed)
        seconds = round(time.process_time() - began, 1)
        for decoding in decodings:
            decoder = build(name, {**SIZE, **trained, **decoding}, WIDTH)
            decoder.load_state_dict(head.state_dict())
            decoder.restore(head.fitted())
            row = {"head": name, "trained": trained, "decoded": decoding, "cpu_s": seconds}
            rows.append({**row, **measure(decoder, network, options.chunks)})
    print(markdown(rows))
    settings = {"chunks": options.chunks, "steps": options.steps, "seed": options.seed}
    print(json.dumps({**settings, "rows": rows}))


if __name__ == "__main__":
    main()
