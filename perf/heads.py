"""What a chunk costs by each action head, on one network.

    python perf/heads.py [--heads flow e0] [--turns 15] [--markdown]
    python perf/heads.py --size paligemma --device cuda --half

Two cameras, a state and actions of 8 numbers, chunks of 16; weights and observations are made up,
since neither changes what is computed. FAST alone writes as long as it likes, so it is stopped
where smooth motions end. Each head runs in a process of its own, in which these take turns: a
chunk, its prefix, the chunk with the prefix read anew for every evaluation, the gradient of a batch
of 32, and on a GPU the chunk with compiled layers. By CPU time, on a GPU by wall time. The last
line is one JSON object.
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
from policies.heads.head import Expert, Memory
from policies.vla.config import SIZES, sized
from policies.vla.inputs import Inputs
from policies.vla.model import VLA, Batch
from policies.vla.trunk import BoundExpert, Trunk, Written

CAMERAS, STATE, ACTION, HORIZON = ("main", "wrist"), 8, 8, 16
WORDS = 9
"""Tokens of an instruction."""
SAMPLES = 32
"""Of the batch whose gradient is computed."""
CASES: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    **{name: (name, {}) for name in sorted(HEADS)},
    "flow, adaptive": ("flow", {"adaptive": True}),
}
MIB = 2**20


class Rereading:
    """An `Expert` that keeps no prefix: it reads the observations for every evaluation."""

    def __init__(self, trunk: Trunk, inputs: Inputs) -> None:
        """Bind it."""
        self._trunk, self._inputs = trunk, inputs
        self.batch, self.device = len(inputs.state), inputs.state.device

    def __call__(
        self,
        tokens: Tensor,
        *,
        condition: Tensor | None = None,
        causal: bool = False,
        memory: Memory | None = None,
    ) -> Tensor:
        """Return what becomes of action tokens."""
        expert = self._trunk.expert(self._trunk.prefix(self._inputs))
        return expert(tokens, condition=condition, causal=causal, memory=memory)

    def memory(self) -> Written:
        """Return an empty memory."""
        return Written()


def motions(count: int) -> Tensor:
    """Return smooth chunks: every number swings at most once, from and as far as is drawn."""
    drawn = torch.Generator().manual_seed(0)
    speeds, starts, sizes = torch.rand(3, count, 1, ACTION, generator=drawn)
    times = torch.arange(HORIZON)[:, None] / HORIZON
    chunks: Tensor = sizes * torch.sin(2 * torch.pi * (starts + speeds * times))
    return chunks


def observed(model: VLA, batch: int) -> Inputs:
    """Return made-up observations."""
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
class Learned:
    """What FAST keeps in a checkpoint.

    Attributes:
        fitted: Its tokens.
        length: How many of them a chunk has, and the end.
    """

    fitted: dict[str, str]
    length: int


def learned() -> Learned:
    """Return FAST's tokens for smooth motions."""
    head = build("fast", {"horizon": HORIZON, "action_size": ACTION}, width=2)
    assert isinstance(head, FastHead)
    chunks = motions(2000).numpy()
    head.fit(chunks)
    lengths = [len(tokens) + 1 for tokens in head.tokens.write(chunks)]
    return Learned(head.fitted(), round(median(lengths)))


def made(case: str, size: str, device: torch.device, half: bool, fast: Learned) -> VLA:
    """Return a network with fresh weights and this head."""
    name, options = CASES[case]
    torch.manual_seed(0)
    config = sized(size, cameras=CAMERAS, state_size=STATE)
    with device:
        head = build(name, {"horizon": HORIZON, "action_size": ACTION, **options}, config.width)
        model = VLA(replace(config, adaptive=head.adaptive), head)
    if isinstance(head, FastHead):
        head.restore(fast.fitted)
        stop(head, fast.length)
    return model.bfloat16() if half else model


def stop(head: FastHead, after: int) -> None:
    """Let a head that knows no end yet write so many tokens."""
    write = head.write

    def stopping(expert: Expert, streams: Any, most: int, *others: Any) -> Tensor:
        return write(expert, streams, min(most, after), *others)

    head.write = stopping  # type: ignore[method-assign, assignment]


def works(model: VLA, device: torch.device) -> dict[str, Callable[[], object]]:
    """Return what takes turns."""
    trunk, head = model.trunk, model.head
    seen = observed(model, 1).to(device)

    @cache  # Not made before the peak memory of a chunk is known.
    def samples() -> Batch:
        actions = motions(SAMPLES).to(device, seen.state.dtype)
        valid = torch.ones(SAMPLES, HORIZON, dtype=torch.bool, device=device)
        return Batch(observed(model, SAMPLES).to(device), actions, valid)

    def chunk(expert: Callable[[], Expert]) -> Tensor:
        with torch.inference_mode():
            return head.sample(expert(), [np.random.default_rng(0)])

    def prefix() -> object:
        with torch.inference_mode():
            return trunk.prefix(seen)

    def gradient() -> None:
        model.zero_grad()
        torch.autograd.backward(model.loss(samples(), torch.Generator().manual_seed(0)).mean())

    found: dict[str, Callable[[], object]] = {
        "chunk": lambda: chunk(lambda: trunk.expert(trunk.prefix(seen))),
        "prefix": prefix,
        "reread": lambda: chunk(lambda: Rereading(trunk, seen)),
        "gradient": gradient,
    }
    if device.type == "cuda":
        compiled: Any = torch.compile(trunk.acting)
        found["compiled"] = lambda: chunk(lambda: BoundExpert(compiled, trunk.prefix(seen)))
    return found


def seconds(device: torch.device) -> float:
    """Return a clock: this process's CPU time, or the time at which a GPU is done."""
    if device.type == "cpu":
        return time.process_time()
    torch.cuda.synchronize(device)
    return time.perf_counter()


def peak(device: torch.device) -> float:
    """Return the most memory so far, in MiB: of this process, or of its tensors on a GPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / MIB
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines["VmHWM"].split()[0]) / 1024


def measure(
    case: str, size: str, device: torch.device, half: bool, fast: Learned, turns: int
) -> dict[str, Any]:
    """Return everything about one head."""
    torch.set_num_threads(1)
    before = peak(device)
    model = made(case, size, device, half, fast)
    with torch.autocast(device.type, torch.bfloat16, enabled=half):
        todo = works(model, device)
        todo["chunk"]()
        evaluations, grown = model.head.evaluations, peak(device) - before
        taken: dict[str, list[float]] = {name: [] for name in todo}
        for turn in range(turns + 2):
            for name, work in todo.items():
                start = seconds(device)
                work()
                if turn > 1:  # The first ones warm up, and compile.
                    taken[name].append(1e3 * (seconds(device) - start))
    return summary(taken, evaluations) | {
        "weights": sum(weight.numel() for weight in model.trunk.parameters()),
        "head_weights": sum(weight.numel() for weight in model.head.parameters()),
        "weights_mib": round(sum(w.nbytes for w in model.parameters()) / MIB, 1),
        "peak_mib": round(grown, 1),
    }


def summary(taken: Mapping[str, list[float]], evaluations: int) -> dict[str, Any]:
    """Return medians and ranges of times, and what follows from them."""
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
        "reread_over_chunk": ratio("reread"),
    }
    return found | ({"compiled_over_chunk": ratio("compiled")} if "compiled" in taken else {})


def markdown(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the table of docs/heads.md."""
    lines = [
        "| head | evaluations | ms a chunk | actions/s | prefix's share | read anew "
        "| weights of its own | peak MiB | gradient, ms |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for case, row in rows.items():
        chunk, low, high = row["ms"]["chunk"]
        times, least, most = row["reread_over_chunk"]
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
    """Measure every head, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--heads", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--size", choices=SIZES, default="tiny")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--half", action="store_true", help="weights and arithmetic of 16 bits")
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument("--markdown", action="store_true", help="also print the docs' table")
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        print(json.dumps({"skipped": "PyTorch finds no GPU here; leave out --device cuda"}))
        return
    device, fast, rows = torch.device(options.device), learned(), {}
    for case in options.heads:
        with ProcessPoolExecutor(1, get_context("spawn")) as fresh:
            rows[case] = fresh.submit(
                measure, case, options.size, device, options.half, fast, options.turns
            ).result()
        print(case, rows[case], flush=True)
    if options.markdown:
        print(markdown(rows))
    told = {"size": options.size, "device": options.device, "turns": options.turns}
    skipped = {} if options.device == "cuda" else {"compiled": "only with --device cuda"}
    print(json.dumps(told | {"heads": rows, "skipped": skipped}))


if __name__ == "__main__":
    main()
