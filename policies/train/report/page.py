"""The page in a checkpoint's folder: its data, its settings, and how the training ended."""

import json
import os
import platform
import shlex
from collections.abc import Sequence
from pathlib import Path

import torch
from tabulate import tabulate

from harness import __version__
from harness.contracts.atomic import atomic_file
from policies.train.log import LOG, read_log
from policies.train.task import Task

PAGE = "README.md"
"""Written last: a folder with it holds a finished training."""
COST_FILE = "cost.json"
"""The cost of the training, for tables."""
PICTURE = "training.png"
_LAST_STEPS = 100
"""Steps whose mean loss the page gives, because the loss of one step is mostly noise."""


def write_page(folder: Path, task: Task, command: Sequence[str], seconds: float) -> None:
    """Write the page and `cost.json`.

    Args:
        folder: The checkpoint's folder, with the training's log.
        task: The finished training.
        command: Its command line.
        seconds: Its time.

    Raises:
        StorageError: The disk is full or gone.
    """
    settings, corpus = task.settings, task.corpus
    lines = read_log(folder / LOG)
    losses = [line["loss"] for line in lines if "loss" in line][-_LAST_STEPS:]
    held_out = [line["validation"] for line in lines if "validation" in line]
    weights = sum(parameter.numel() for parameter in task.model.parameters())
    tasks = _by_benchmark(corpus.tasks)
    facts = {
        "network": f"{settings.size}, {weights / 1e6:.2f} million weights",
        "cameras": ", ".join(corpus.images) or "none",
        "tasks": ", ".join(f"{len(each)} of {name}" for name, each in tasks.items()),
        "data": f"{corpus.episodes} demonstrations, {len(task.training)} samples, "
        f"{len(task.validation)} more held out; hash {corpus.digest()}",
        "starts from": task.origin,
        "training": f"{settings.steps} steps of {settings.batch} samples, seed {settings.seed}",
        "time": f"{seconds / 60:.1f} min",
        "hardware": _hardware(task.device),
        "versions": f"assay {__version__}, torch {torch.__version__}",
        "loss": f"{sum(losses) / len(losses):.5f}, the mean of the last {len(losses)} steps",
        "held-out loss": f"{held_out[-1]:.5f}" if held_out else "nothing was held out",
    }
    cost = {"steps": settings.steps, "batch": settings.batch, "seconds": round(seconds, 1)}
    with atomic_file(folder / COST_FILE) as file:
        file.write((json.dumps(cost | {"hardware": _hardware(task.device)}) + "\n").encode())
    values = sorted((name, str(value)) for name, value in settings.as_json().items())
    parts = (
        f"# {settings.head}, trained on {', '.join(tasks)}",
        tabulate(facts.items(), headers=("", "value"), tablefmt="github", disable_numparse=True),
        f"```console\n{shlex.join(command)}\n```",
        "\n".join(f"- {name}: {', '.join(each)}." for name, each in tasks.items()),
        f"`{PICTURE}` plots the log, `{LOG}`.",
        tabulate(values, headers=("setting", "value"), tablefmt="github", disable_numparse=True),
    )
    with atomic_file(folder / PAGE) as file:
        file.write(("\n\n".join(parts) + "\n").encode())


def _by_benchmark(tasks: Sequence[str]) -> dict[str, list[str]]:
    """Return the tasks of each benchmark, from names as BENCHMARK/TASK."""
    grouped: dict[str, list[str]] = {}
    for each in tasks:
        benchmark, _, task = each.partition("/")
        grouped.setdefault(benchmark, []).append(task)
    return grouped


def _hardware(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{torch.get_num_threads()} of {os.cpu_count()} CPU cores, {platform.machine()}"
