"""Plays the point tasks inline and on Ray, and compares the records."""

import time
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import psutil

from harness.backends.inline import run_inline
from harness.contracts.record import Episode
from harness.runs.plan import BenchmarkRequest, Plan, Work, resolve

EPISODES = 6


def work(policy: str = "homing", episodes: int = EPISODES) -> Work:
    return resolve(Plan((policy,), (BenchmarkRequest("points_two"),), episodes))


def inline(plan: Work) -> list[dict[str, Any]]:
    """Return the expected records, played inline. Policies that sleep do not sleep here."""
    with mock.patch("time.sleep"):
        return [e.record.deterministic() for e in run_inline(plan, plan.specs, print)]


def played(episodes: Iterator[Episode], plan: Work) -> list[dict[str, Any]]:
    """Require every episode exactly once; return the records in the plan's order."""
    records = [episode.record for episode in episodes]
    assert sorted(r.spec.key for r in records) == sorted(s.key for s in plan.specs)
    order = {spec: index for index, spec in enumerate(plan.specs)}
    return [r.deterministic() for r in sorted(records, key=lambda r: order[r.spec])]


def actors(name: str) -> list[int]:
    """Return the process ids of the actors of a class under this process."""
    children = psutil.Process().children(recursive=True)
    return [child.pid for child in children if _title(child).startswith(f"ray::{name}")]


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def wait_until(condition: Callable[[], bool], seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
