"""Plays episodes of committed runs of LIBERO again, in robosuite's loop and in ours.

    python perf/play_again.py [results/oracle/libero_object ...] [--tasks 0 5] [--episodes 1]
        [--loops robosuite ours]

Without folders it takes all of LIBERO in results/: those of the scripted expert and those of the
checkpoints. The record of each episode is compared with the committed one and with the other
loop's, field by field. A run on another processor may give other actions, because PyTorch and BLAS
add in another order there. Then the committed fields differ, but equally in both loops. Everything
is played in this process, as `run_eval.py run --plan RUN/run.json` does. The last line is one JSON
object; the exit code is 1 if the loops differ.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from harness.play.threads import use_one_core

use_one_core()

from harness.backends.inline import run_inline
from harness.contracts.errors import UsageError
from harness.contracts.record import EpisodeRecord
from harness.runs.folder import Run
from harness.runs.plan import Work, resolve
from harness.runs.plan_file import load_plans
from perf import _loops

LOOPS: dict[str, _loops.Change] = {"robosuite": _loops.robosuites_step, "ours": _loops.as_it_is}
FIELDS = ("success", "steps", "subgoals", "instruction", "actions_sha256", "state_sha256")
"""The fields of a record that are counted one by one."""


def folders() -> list[Path]:
    """Return the committed runs of LIBERO."""
    found = sorted(ROOT.glob("results/oracle/libero_*/run.json"))
    found += sorted(ROOT.glob("results/action-heads/libero/*/run.json"))
    return [path.parent for path in found]


def works(folder: Path, tasks: list[int], episodes: int) -> Iterator[Work]:
    """Yield what there is to play in some tasks of a run, one task after the other."""
    for plan in load_plans(folder / "run.json"):
        for benchmark in plan.benchmarks:
            for task in tasks:
                request = replace(benchmark, tasks=(benchmark.tasks[task],))
                few = min(episodes, plan.episodes)
                yield resolve(replace(plan, benchmarks=(request,), episodes=few))


def play(work: Work, loop: str) -> list[EpisodeRecord]:
    """Play all episodes in a loop."""
    with _loops.changed(LOOPS[loop]):
        return [episode.record for episode in run_inline(work, work.specs, print)]


def differing(one: EpisodeRecord, other: EpisodeRecord) -> list[str]:
    """Return the deterministic fields that differ."""
    values = one.deterministic(), other.deterministic()
    return [name for name in values[0] if values[0][name] != values[1][name]]


def compare(folder: Path, tasks: list[int], episodes: int, loops: Iterable[str]) -> dict[str, Any]:
    """Play some episodes of a run and return how many of them equal in each field."""
    committed = Run.existing(folder).records()
    same: Counter[str] = Counter()
    row: dict[str, Any] = {"run": str(folder.relative_to(ROOT)), "episodes": 0, "loops_equal": 0}
    for work in works(folder, tasks, episodes):
        by_loop = {loop: play(work, loop) for loop in loops}
        for records in zip(*by_loop.values(), strict=True):
            record, kept = records[0], committed[records[0].spec.key]
            row["episodes"] += 1
            row["loops_equal"] += all(not differing(record, other) for other in records[1:])
            changed = differing(record, kept)
            same.update(name for name in FIELDS if name not in changed)
            same["record"] += not changed
    return row | {"as_committed": {name: same[name] for name in (*FIELDS, "record")}}


def main() -> int:
    """Play every run's episodes and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--tasks", nargs="+", type=int, default=[0, 5])
    parser.add_argument("--episodes", type=int, default=1, help="per task")
    parser.add_argument("--loops", nargs="+", choices=LOOPS, default=list(LOOPS))
    options = parser.parse_args()
    rows, refused = [], {}
    for folder in [path.resolve() for path in options.folders] or folders():
        try:
            rows.append(compare(folder, options.tasks, options.episodes, options.loops))
            print(rows[-1], flush=True)
        except UsageError as error:
            # The weights of some heads are not committed.
            refused[str(folder.relative_to(ROOT))] = str(error)
    equal = all(row["loops_equal"] == row["episodes"] for row in rows)
    print(json.dumps({"loops_equal": equal, "results": rows, "refused": refused}))
    return 0 if equal else 1


if __name__ == "__main__":
    sys.exit(main())
