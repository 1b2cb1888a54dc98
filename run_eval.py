"""Evaluate robot policies on robot benchmarks, and write the table that goes into the paper.

Without arguments this runs the quick start: a small real evaluation that takes minutes.
"""

import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from harness.threads import use_one_core

use_one_core()

import tyro
from rich.console import Console
from rich.table import Table

from harness.audit import AuditCommand
from harness.command import exit_code
from harness.conclude import CompareCommand, PowerCommand
from harness.doctor import examine
from harness.env_command import EnvCommand
from harness.errors import StorageError, UsageError
from harness.evaluate import Backend, Tally, evaluate
from harness.inline import run_inline
from harness.plan import BenchmarkRequest, Plan, Work, resolve
from harness.progress import ProgressView
from harness.registry import families, policy_class, policy_names
from harness.replay import Replayers, cell_of, require_single
from harness.report.layout import layout_names, load_layout
from harness.report.write import Report, write_report
from harness.run import Run, RunWriter
from harness.serving.command import ServeCommand

Videos = Literal["none", "failures", "all"]
RESULTS = Path("results")
EXIT_INCOMPLETE, EXIT_DIFFERENT, EXIT_INTERRUPTED = 3, 4, 130

QUICK_START = Plan(
    policies=tuple(f"vla:checkpoints/maniskill/{h}" for h in ("e0", "flow", "fast", "masked")),
    benchmarks=(
        BenchmarkRequest(
            "maniskill_rdt", tasks=("PushCube-v1", "PickCube-v1"), protocol="rdt-small"
        ),
    ),
    episodes=5,
)
LONGER = Path("results/action-heads/maniskill/tables")
"""What these and other checkpoints gave over more episodes: `maniskill.md` and `heads.md`."""

notes = Console(stderr=True)
"""Progress and messages; what a program may want to read goes to stdout."""


@dataclass(kw_only=True)
class QuickStart:
    """The quick start: four small policies on two tasks of ManiSkill, in minutes."""

    out: Path = Path("results/quick-start")
    """The run's folder."""
    video: Videos = "none"
    """Which episodes to film afterwards."""
    workers: int = 2
    """Environment actors on Ray, each using one core; 0 runs the episodes in this process."""

    def __call__(self) -> int:
        """Run the plan that is built in, and show a longer run's table beside it."""
        code = RunCommand(workers=self.workers, out=self.out, video=self.video).carry_out(
            QUICK_START
        )
        if code == 0:
            print(f"A longer run, with other action heads ({LONGER}, docs/action-heads.md):")
            for name in ("maniskill.md", "heads.md"):
                print("\n" + (LONGER / name).read_text())
        return code


@dataclass(kw_only=True)
class RunCommand:
    """Evaluate policies on benchmarks; the same command again continues where it stopped."""

    policy: tuple[str, ...] = ()
    """Policies by name, or name:source, e.g. python:my_policy.py:MyPolicy. See: list policies."""
    benchmark: tuple[str, ...] = ()
    """Benchmarks by name, or one task as benchmark/task. See: list benchmarks."""
    tasks: tuple[str, ...] = ()
    """Task indices or names; all if not given."""
    episodes: int | None = None
    """Episodes for each task (10 if not given)."""
    seed: int | None = None
    """The run's seed (7 if not given)."""
    protocol: str = ""
    """The protocol card, e.g. openpi; the benchmark's default if not given. See: list protocols."""
    tracks: Path | None = None
    """The folder of VLABench's track files, for --protocol track1 and so on; else the environment
    variable VLABENCH_TRACKS."""
    control: tuple[str, ...] = ()
    """Play every policy once more without something: no-image, no-instruction or
    shuffled-instruction (another task's). What it still reaches shows what its score is made of."""
    stop_when_decided: bool = False
    """With two policies: stop when it is clear which one is better."""
    plan: Path | None = None
    """A YAML file that names policies, benchmarks, episodes and seed, in place of the above."""
    workers: int = 0
    """Environment actors on Ray, each using one core; 0 runs the episodes in this process."""
    ray_address: str = ""
    """A Ray cluster to join; a local one is started if not given."""
    policy_replicas: int | None = None
    """Actors for each policy that has a model; more are started while they are 80 % busy."""
    policy_gpus: float | None = None
    """GPUs for each of them, a fraction shares one; shared evenly if not given."""
    max_batch: int | None = None
    """Observations that a policy actor infers at once, at most; learnt if not given."""
    max_wait_ms: float | None = None
    """How long a policy actor waits for a batch to fill; learnt if not given."""
    out: Path | None = None
    """The run's folder; results/<policies>-<benchmarks> if not given."""
    video: Videos = "none"
    """Which episodes to film afterwards, by replaying their actions."""

    def __call__(self) -> int:
        """Build the plan and run it."""
        if self.tracks is not None:
            os.environ["VLABENCH_TRACKS"] = str(self.tracks.absolute())
        return self.carry_out(self._plan())

    def carry_out(self, plan: Plan) -> int:
        """Run a plan as the other arguments say."""
        out, workers = self.out or default_folder(plan), max(1, self.workers)
        return run_plan(plan, out, self.video, self._backend(), workers)

    def _backend(self) -> Backend:
        least = (("workers", 0), ("policy_replicas", 1), ("policy_gpus", 0), ("max_batch", 1))
        for name, minimum in (*least, ("max_wait_ms", 0)):
            value = getattr(self, name)
            if value is not None and value < minimum:
                flag = name.replace("_", "-")
                raise UsageError(f"--{flag} must be at least {minimum}, got {value}")
        if self.workers == 0:
            return run_inline
        from harness.parallel.backend import run_ray
        from harness.parallel.options import RayOptions

        options = RayOptions(
            workers=self.workers,
            address=self.ray_address,
            replicas=self.policy_replicas,
            gpus=self.policy_gpus,
            max_batch=self.max_batch,
            max_wait=None if self.max_wait_ms is None else self.max_wait_ms / 1000,
        )
        return partial(run_ray, options=options)

    def _plan(self) -> Plan:
        given: dict[str, Any] = {
            "policy": self.policy,
            "benchmark": self.benchmark,
            "tasks": self.tasks,
        }
        given |= {"episodes": self.episodes, "seed": self.seed, "protocol": self.protocol}
        given |= {"stop-when-decided": self.stop_when_decided or None, "control": self.control}
        if self.plan is not None:
            doubled = [
                f"--{name}" for name, value in given.items() if value not in ((), None, "", False)
            ]
            if doubled:
                raise UsageError(f"--plan says it all; leave out {' '.join(doubled)}")
            return Plan.load(self.plan)
        for name in ("policy", "benchmark"):
            if not given[name]:
                raise UsageError(f"--{name} is missing; see: run_eval.py list {NOUNS[name]}")
        return Plan(
            policies=self.policy,
            benchmarks=tuple(
                BenchmarkRequest(name, self.tasks, self.protocol) for name in self.benchmark
            ),
            episodes=10 if self.episodes is None else self.episodes,
            seed=7 if self.seed is None else self.seed,
            stop_when_decided=self.stop_when_decided,
            controls=self.control,
        )


@dataclass
class ReportCommand:
    """Print the tables of one or more runs, and write them and their page."""

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """The runs' folders; several are read as one."""
    format: str = "md,csv"
    """What to write and nothing else, with commas between: md, csv, tex, html."""
    layout: str | None = None
    """A table's layout by name, e.g. e0-table-09, or a YAML file. See: list layouts."""
    reference: bool = False
    """Set published numbers beside ours in the layout's table."""
    plots: bool = False
    """Write the figures as PNG and PDF."""
    embed_videos: bool = False
    """Put the films into the HTML page and not beside it."""
    out: Path | None = None
    """Where to write; tables/ in the run's folder, or results/report for several."""

    def __call__(self) -> int:
        """Write what is asked for."""
        runs = [Run.existing(path) for path in self.runs]
        if not runs:
            raise UsageError("name at least one run's folder")
        folder = self.out or (runs[0].path / "tables" if len(runs) == 1 else RESULTS / "report")
        layout = load_layout(self.layout) if self.layout else None
        written = write_report(
            runs,
            folder,
            self.format.split(","),
            layout,
            reference=self.reference,
            plots=self.plots,
            embed_videos=self.embed_videos,
        )
        return show(written)


@dataclass
class ReplayCommand:
    """Play one recorded episode again, check it against its record, and film it if asked."""

    run: Annotated[Path, tyro.conf.Positional]
    """The run's folder."""
    key: Annotated[str, tyro.conf.Positional]
    """The episode's key, or its first characters."""
    video: Path | None = None
    """Where to write an mp4."""

    def __call__(self) -> int:
        """Replay and compare."""
        run = Run.existing(self.run)
        record = run.find(self.key)
        if record.outcome == "error":
            raise UsageError(f"episode {record.spec.key} ended in an error; there is no replay")
        replayers = Replayers()
        differences = replayers.play(cell_of(record), run, record, self.video)
        replayers.close()
        for line in differences:
            print(f"DIFFERENT {line}")
        if not differences:
            print(f"identical: {record.outcome} after {record.steps} steps, {record.reason}")
        return EXIT_DIFFERENT if differences else 0


@dataclass
class ListCommand:
    """List what is installed."""

    what: Annotated[Literal["benchmarks", "policies", "protocols", "layouts"], tyro.conf.Positional]
    """What to list."""

    def __call__(self) -> int:
        """Print one line for each."""
        if self.what == "policies":
            for name in policy_names():
                print(f"{name:14} {first_line(policy_class(name).__doc__)}")
            return 0
        if self.what == "layouts":
            for name in layout_names():
                print(f"{name:14} {load_layout(name).title}")
            return 0
        for family in families().values():
            problem = family.problem(images=False)
            if problem:
                notes.print(problem, style="yellow", markup=False)
            elif self.what == "benchmarks":
                for name in family.benchmarks():
                    print(f"{name:40} {len(family.tasks(name)):3} tasks")
            else:
                for card in family.protocols().values():
                    print(f"{card.label:34} {card.summary}")
        return 0


@dataclass
class DoctorCommand:
    """Say what can run here, and the exact command that mends what cannot."""

    def __call__(self) -> int:
        """Print the findings."""
        table = Table("", "what", "found")
        checks = examine()
        for check in checks:
            mark = "[green]ok"
            if check.problem:
                mark = "[yellow]no" if check.extra else "[red]no"
            table.add_row(mark, check.name, check.problem or check.detail)
        Console().print(table)
        return EXIT_INCOMPLETE if any(c.problem and not c.extra for c in checks) else 0


NOUNS = {"policy": "policies", "benchmark": "benchmarks"}
COMMANDS: dict[str, Callable[..., Callable[[], int]]] = {
    "quick-start": QuickStart,
    "run": RunCommand,
    "report": ReportCommand,
    "compare": CompareCommand,
    "power": PowerCommand,
    "audit": AuditCommand,
    "replay": ReplayCommand,
    "serve": ServeCommand,
    "list": ListCommand,
    "env": EnvCommand,
    "doctor": DoctorCommand,
}


def run_plan(
    plan: Plan, out: Path, video: Videos, backend: Backend = run_inline, workers: int = 1
) -> int:
    """Carry out a plan and print its table."""
    work = resolve(plan)
    if video != "none":
        for cell in work.cells:
            require_single(cell)
    with RunWriter(out, work) as run, ProgressView(notes) as view:
        for notice in run.notices:
            view.tell(notice)
        try:
            tally = evaluate(run, work, backend, view, workers)
        except (KeyboardInterrupt, StorageError) as stop:
            why = str(stop) or "interrupted"
            notes.print(f"\n{why}; {len(run.records())} episodes are kept in {out}.", markup=False)
            notes.print("Run the same command again to continue.")
            return EXIT_INCOMPLETE if isinstance(stop, StorageError) else EXIT_INTERRUPTED
    film(run, work, video)
    return finish(run, tally)


def finish(run: Run, tally: Tally) -> int:
    """Print the tables and write the page; an incomplete run shows in the exit code."""
    show(write_report([run], run.path / "tables", ("md", "csv", "html")))
    return 0 if tally.complete else EXIT_INCOMPLETE


def show(report: Report) -> int:
    """Print a report's tables and the names of its files; return the exit code."""
    print(report.text)
    print(f"written to {report.folder}: {', '.join(report.names)}")
    return 0 if report.complete else EXIT_INCOMPLETE


def film(run: Run, work: Work, video: Videos) -> None:
    """Film episodes after the run, from their actions, so that films cost the run nothing."""
    if video == "none":
        return
    outcomes = {"failures": ("failure",), "all": ("failure", "success")}[video]
    records = run.records()
    replayers = Replayers()
    for spec in work.specs:
        path = run.path / "videos" / f"{spec.key}.mp4"
        record = records.get(spec.key)
        if record is None or record.outcome not in outcomes or path.exists():
            continue
        notes.print(f"filming {path.name}: {spec.policy} {spec.task}", markup=False)
        for line in replayers.play(work.cell(spec), run, record, path):
            notes.print(f"replay differs: {line}", style="red", markup=False)
    replayers.close()


def default_folder(plan: Plan) -> Path:
    """Return a folder named for what the plan compares, e.g. results/vla-e0-libero_object."""
    named = [part for reference in plan.policies for part in reference.split(",")]
    words = [re.findall(r"[\w.-]*\w", part) for part in named]
    policies = "-".join(dict.fromkeys(word for found in words for word in found[:1] + found[-1:]))
    return RESULTS / f"{policies}-{'-'.join(b.name.replace('/', '-') for b in plan.benchmarks)}"


def first_line(text: str | None) -> str:
    """Return a docstring's first line."""
    return (text or "").strip().partition("\n")[0]


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line and run it; the user's errors become one line and exit code 2."""
    arguments = list(sys.argv[1:] if arguments is None else arguments) or ["quick-start"]
    command: Callable[[], int] = tyro.extras.subcommand_cli_from_dict(
        COMMANDS, prog="run_eval.py", description=__doc__, args=arguments
    )
    return exit_code(command)


if __name__ == "__main__":
    sys.exit(main())
