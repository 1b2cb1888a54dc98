"""Cost of a chunk with each action head, on the same network.

    python perf/heads.py [--heads flow e0] [--turns 15] [--markdown]
    python perf/heads.py --size paligemma --device cuda --half

Two cameras, a state and actions of 8 numbers, chunks of 16. Weights and observations are random,
which does not change the work; only FAST's number of tokens depends on them, so it is set to that
of smooth motions. Each head runs in its own process, where these alternate: a chunk, its prefix,
the chunk without the cached prefix, the gradient of a batch of 32, and on a GPU the chunk with
compiled layers. Times are CPU times, on a GPU wall times. The last line is one JSON object.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from harness.play.threads import use_one_core

use_one_core()

import numpy as np
import torch
from torch import Tensor

from policies.heads import HEADS, build
from policies.heads.fast import FastHead
from policies.heads.head import Expert
from policies.vla.backbone import Backbone, BoundExpert, KVMemory
from policies.vla.config import SIZES, sized
from policies.vla.inputs import Inputs
from policies.vla.model import VLA, Batch

CAMERAS, STATE, ACTION, HORIZON = ("main", "wrist"), 8, 8, 16
WORDS = 9
"""Tokens of an instruction."""
SAMPLES = 32
"""Size of the batch for the gradient."""
CASES: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    **{name: (name, {}) for name in sorted(HEADS)},
    "flow, adaptive": ("flow", {"adaptive": True}),
}
MIB = 2**20


class UncachedExpert(Expert):
    """An expert that computes the prefix again for every evaluation."""

    def __init__(self, backbone: Backbone, inputs: Inputs) -> None:
        """Bind the backbone to observations."""
        super().__init__(len(inputs.state), inputs.state.device)
        self._backbone, self._inputs = backbone, inputs

    def run(
        self, tokens: Tensor, condition: Tensor | None, causal: bool, memory: KVMemory | None
    ) -> Tensor:
        """Compute the prefix and run the expert."""
        expert = self._backbone.expert(self._backbone.prefix(self._inputs))
        return expert.run(tokens, condition, causal, memory)

    def memory(self) -> KVMemory:
        """Return an empty memory."""
        return KVMemory()


def motions(count: int) -> Tensor:
    """Return smooth chunks: each number is at most one period of a random sine."""
    drawn = torch.Generator().manual_seed(0)
    speeds, starts, sizes = torch.rand(3, count, 1, ACTION, generator=drawn)
    times = torch.arange(HORIZON)[:, None] / HORIZON
    chunks: Tensor = sizes * torch.sin(2 * torch.pi * (starts + speeds * times))
    return chunks


def observed(model: VLA, batch: int) -> Inputs:
    """Return random observations."""
    drawn = torch.Generator().manual_seed(0)
    pixels, there = model.config.images.pixels, torch.ones(batch, dtype=torch.bool)
    kind = next(model.parameters()).dtype
    return Inputs(
        images={
            role: (torch.rand(batch, 3, pixels, pixels, generator=drawn) * 2 - 1).to(kind)
            for role in CAMERAS
        },
        present=dict.fromkeys(CAMERAS, there),
        tokens=torch.randint(2, 200, (batch, WORDS), generator=drawn),
        token_mask=torch.ones(batch, WORDS, dtype=torch.bool),
        state=torch.randn(batch, model.config.state_size, generator=drawn).to(kind),
        viewpoint={},
    )


@dataclass(frozen=True)
class FastFit:
    """FAST's tokenizer for smooth motions.

    Attributes:
        fitted: The tokenizer, as in a checkpoint.
        length: The median number of tokens of a chunk, with the end.
    """

    fitted: dict[str, str]
    length: int


def fit_fast() -> FastFit:
    """Fit FAST's tokenizer to smooth motions."""
    head = build("fast", {"horizon": HORIZON, "action_size": ACTION}, width=2)
    assert isinstance(head, FastHead)
    chunks = motions(2000).numpy()
    head.fit(chunks)
    lengths = [len(tokens) + 1 for tokens in head.tokenizer.encode(chunks)]
    return FastFit(head.fitted(), round(median(lengths)))


def make_model(case: str, size: str, device: torch.device, half: bool, fast: FastFit) -> VLA:
    """Return a network with random weights and this head."""
    name, options = CASES[case]
    torch.manual_seed(0)
    config = sized(size, cameras=CAMERAS, state_size=STATE)
    with device:
        head = build(name, {"horizon": HORIZON, "action_size": ACTION, **options}, config.width)
        model = VLA(replace(config, adaptive=head.adaptive), head)
    if isinstance(head, FastHead):
        head.restore(fast.fitted)
        limit_tokens(head, fast.length)
    # A schedule of noise levels is always made on the CPU.
    return (model.bfloat16() if half else model).to(device)


def limit_tokens(head: FastHead, count: int) -> None:
    """Limit the tokens of an untrained head, which does not generate an end."""
    generate = head.generate

    def limited(expert: Expert, streams: Any, most: int, *others: Any) -> Tensor:
        return generate(expert, streams, min(most, count), *others)

    head.generate = limited  # type: ignore[method-assign, assignment]


def workloads(model: VLA, device: torch.device) -> dict[str, Callable[[], object]]:
    """Return the alternating workloads."""
    backbone, head = model.backbone, model.head
    seen = observed(model, 1).to(device)

    @cache  # Created after the peak memory of a chunk is measured.
    def samples() -> Batch:
        actions = motions(SAMPLES).to(device, seen.state.dtype)
        valid = torch.ones(SAMPLES, HORIZON, dtype=torch.bool, device=device)
        return Batch(observed(model, SAMPLES).to(device), actions, valid)

    def chunk(expert: Callable[[], Expert]) -> Tensor:
        with torch.inference_mode():
            return head.sample(expert(), [np.random.default_rng(0)])

    def prefix() -> object:
        with torch.inference_mode():
            return backbone.prefix(seen)

    def gradient() -> None:
        model.zero_grad()
        torch.autograd.backward(model.loss(samples(), torch.Generator().manual_seed(0)).mean())

    found: dict[str, Callable[[], object]] = {
        "chunk": lambda: chunk(lambda: backbone.expert(backbone.prefix(seen))),
        "prefix": prefix,
        "uncached": lambda: chunk(lambda: UncachedExpert(backbone, seen)),
        "gradient": gradient,
    }
    if device.type == "cuda":
        compiled: Any = torch.compile(backbone.acting)
        found["compiled"] = lambda: chunk(lambda: BoundExpert(compiled, backbone.prefix(seen)))
    return found


def seconds(device: torch.device) -> float:
    """Return this process's CPU time, or the wall time after the GPU has finished."""
    if device.type == "cpu":
        return time.process_time()
    torch.cuda.synchronize(device)
    return time.perf_counter()


def peak(device: torch.device) -> float:
    """Return the peak memory so far, in MiB: of this process, or of its tensors on a GPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / MIB
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines["VmHWM"].split()[0]) / 1024


def measure(
    case: str, size: str, device: torch.device, half: bool, fast: FastFit, turns: int
) -> dict[str, Any]:
    """Measure one head."""
    torch.set_num_threads(1)
    before = peak(device)
    model = make_model(case, size, device, half, fast)
    with torch.autocast(device.type, torch.bfloat16, enabled=half):
        todo = workloads(model, device)
        todo["chunk"]()
        evaluations, grown = model.head.evaluations, peak(device) - before
        taken: dict[str, list[float]] = {name: [] for name in todo}
        for turn in range(turns + 2):
            for name, work in todo.items():
                start = seconds(device)
                work()
                if turn > 1:  # The first turns warm up and compile.
                    taken[name].append(1e3 * (seconds(device) - start))
    return summary(taken, evaluations) | {
        "weights": sum(weight.numel() for weight in model.backbone.parameters()),
        "head_weights": sum(weight.numel() for weight in model.head.parameters()),
        "weights_mib": round(sum(w.nbytes for w in model.parameters()) / MIB, 1),
        "peak_mib": round(grown, 1),
    }


def summary(taken: Mapping[str, list[float]], evaluations: int) -> dict[str, Any]:
    """Return medians and ranges of the times, and their ratios."""
    ms = {name: median(times) for name, times in taken.items()}

    def ratio(name: str) -> list[float]:
        each = [one / base for one, base in zip(taken[name], taken["chunk"], strict=True)]
        return [round(value, 3) for value in (median(each), min(each), max(each))]

    found: dict[str, Any] = {
        "evaluations": evaluations,
        "ms": {n: [round(v, 2) for v in (ms[n], min(taken[n]), max(taken[n]))] for n in taken},
        "ms_an_evaluation": round((ms["chunk"] - ms["prefix"]) / evaluations, 3),
        "actions_a_second": round(1e3 * HORIZON / ms["chunk"], 1),
        "prefix_share": ratio("prefix"),
        "uncached_over_chunk": ratio("uncached"),
    }
    return found | ({"compiled_over_chunk": ratio("compiled")} if "compiled" in taken else {})


def markdown(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the table for docs/heads.md."""
    lines = [
        "| head | evaluations | ms for a chunk | actions/s | share of the prefix "
        "| without prefix cache | head's weights | peak MiB | gradient, ms |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for case, row in rows.items():
        chunk, low, high = row["ms"]["chunk"]
        times, least, most = row["uncached_over_chunk"]
        cells = [
            case,
            f"{row['evaluations']}",
            f"{chunk:.1f} ({low:.1f} to {high:.1f})",
            f"{row['actions_a_second']:.0f}",
            f"{100 * row['prefix_share'][0]:.0f} %",
            f"{times:.1f} x ({least:.1f} to {most:.1f})",
            f"{row['head_weights'] / 1000:.0f} k",
            f"{row['peak_mib']:.0f}",
            f"{row['ms']['gradient'][0]:.0f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Measure the heads one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--heads", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--size", choices=SIZES, default="tiny")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--half", action="store_true", help="16-bit weights and arithmetic")
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument(
        "--markdown", action="store_true", help="also print the table for docs/heads.md"
    )
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        print(json.dumps({"skipped": "PyTorch finds no GPU; leave out --device cuda"}))
        return
    device, fast, rows = torch.device(options.device), fit_fast(), {}
    for case in options.heads:
        with ProcessPoolExecutor(1, get_context("spawn")) as fresh:
            rows[case] = fresh.submit(
                measure, case, options.size, device, options.half, fast, options.turns
            ).result()
        print(case, rows[case], flush=True)
    if options.markdown:
        print(markdown(rows))
    setting = {"size": options.size, "device": options.device, "turns": options.turns}
    skipped = {} if options.device == "cuda" else {"compiled": "only with --device cuda"}
    print(json.dumps(setting | {"heads": rows, "skipped": skipped}))


if __name__ == "__main__":
    main()
