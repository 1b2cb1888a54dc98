"""Train a policy from demonstrations; the same command again continues where it stopped.

python -m policies.train --head e0 --data demos/push --size tiny --out checkpoints/push-e0

python -m policies.train --config e0-libero --data demos/libero_object --out checkpoints/e0

python -m policies.train --recipe tiny-all

python -m policies.train plot checkpoints/*/log.jsonl

python -m policies.train result checkpoints/push-e0 --runs results/my-run

python -m policies.train table checkpoints/* --runs results/my-run --out tables
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from harness.cli.exit import exit_code
from harness.contracts.errors import StorageError, UsageError
from policies.train.loop import Pace, StoppedError
from policies.train.plot import plot_logs
from policies.train.recipe import Entry, load_recipe, recipe_names
from policies.train.run import Job, train_all
from policies.train.settings import Settings, config_names, load_settings

EXIT_INCOMPLETE, EXIT_INTERRUPTED = 3, 130

notes = Console(stderr=True)


@dataclass(kw_only=True)
class TrainCommand:
    """What to train from, where to, and how; a setting given here wins over the file's."""

    data: tuple[Path, ...] = ()
    """Folders with demonstrations; several become one policy if they mean the same."""
    out: Path | None = None
    """The checkpoint's folder; with a recipe that of all its checkpoints, or else checkpoints."""
    init: Path | None = None
    """A checkpoint whose weights are trained further, e.g. one that was converted; without it they
    start from nothing. A head of another kind or shape is drawn anew."""
    config: str = ""
    """Settings by name or as a YAML file; what is not in it has the default below."""
    recipe: str = ""
    """Train what a recipe lists, ours by its name (tiny-all) or a YAML file; it has its own data
    and settings."""
    only: tuple[str, ...] = ()
    """What to train of a recipe, as POLICY or POLICY/HEAD; all of it if not given."""
    device: str = ""
    """Where to compute, e.g. cpu or cuda; a GPU if there is one."""
    memory: float = 4.0
    """GiB of pictures to keep in memory; more go to a file beside the checkpoint."""
    workers: int = 1
    """How many policies of a recipe are trained at the same time, each in a process of its own; the
    samples are in memory once. More than cores, or than a GPU has time for, is no faster."""
    save_every: int = 500
    """Steps between two savings of what is needed to continue."""
    validate_every: int = 500
    """Steps between two looks at the held-out demonstrations."""
    typed: tyro.conf.Suppress[tuple[str, ...]] = ()
    settings: Annotated[Settings, tyro.conf.arg(name="")] = field(default_factory=Settings)

    def __call__(self) -> int:
        """Train, and say where the checkpoint is."""
        entries = self.entries()
        for name in ("workers", "save_every", "validate_every"):
            if getattr(self, name) < 1:
                raise UsageError(f"--{name.replace('_', '-')} must be at least 1")
        job = Job(
            device=self.device,
            memory=self.memory,
            pace=Pace(save=self.save_every, validate=self.validate_every),
            command=self.typed,
            workers=self.workers,
        )
        try:
            train_all(job, entries, notes)
        except (StoppedError, StorageError) as stop:
            why = str(stop) or "interrupted"
            notes.print(f"\n{why}; run the same command again to continue", markup=False)
            return EXIT_INCOMPLETE if isinstance(stop, StorageError) else EXIT_INTERRUPTED
        for entry in entries:
            print(f"vla:{entry.out}")
        return 0

    def entries(self) -> list[Entry]:
        """Return what to train.

        Raises:
            UsageError: Something is missing, or a recipe decides it.
        """
        if self.recipe:
            if self.data or self.init or self.config or self.settings != Settings():
                raise UsageError(
                    "a recipe has its own data and settings; change a copy of its file"
                )
            return load_recipe(self.recipe, self.out or Path("checkpoints"), self.only)
        if self.only:
            raise UsageError("--only chooses from a --recipe")
        if self.out is None:
            raise UsageError("--out is missing: the folder that the checkpoint goes to")
        return [Entry(out=self.out, data=self.data, init=self.init, settings=self.settings)]


@dataclass
class PlotCommand:
    """Draw the logs of one or more trainings into one picture."""

    logs: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """The logs: log.jsonl in a checkpoint's folder."""
    out: Path = Path("training.png")
    """Where the picture goes; .pdf and .svg work as well."""

    def __call__(self) -> int:
        """Draw."""
        for log in self.logs:
            if not log.is_file():
                raise UsageError(f"there is no {log}")
        plot_logs({log.parent.name or log.stem: log for log in self.logs}, self.out)
        print(f"written to {self.out}")
        return 0


@dataclass(kw_only=True)
class ResultCommand:
    """Write on checkpoints' pages what runs of run_eval.py found of them."""

    checkpoints: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """The checkpoints' folders."""
    runs: tuple[Path, ...]
    """Folders of runs, together with all else that they hold."""

    def __call__(self) -> int:
        """Write."""
        from policies.train.table import tell_result

        for folder in self.checkpoints:
            print(tell_result(folder, self.runs))
        return 0


@dataclass(kw_only=True)
class TableCommand:
    """Set checkpoints side by side: what they reached, what a chunk took, what training took."""

    checkpoints: Annotated[tuple[str, ...], tyro.conf.Positional]
    """The checkpoints' folders, in the table's order; FOLDER,OPTION=VALUE as for --policy."""
    runs: tuple[Path, ...]
    """Folders of runs, together with all else that they hold."""
    out: Path
    """The folder that heads.md, heads.csv and heads.tex go to."""

    def __call__(self) -> int:
        """Write."""
        from policies.train.table import comparison, write_tables

        print(write_tables(comparison(self.checkpoints, self.runs), self.out))
        return 0


Command = TrainCommand | PlotCommand | ResultCommand | TableCommand
OTHERS: Mapping[str, type[Command]] = {
    "plot": PlotCommand,
    "result": ResultCommand,
    "table": TableCommand,
}


def parse(arguments: Sequence[str]) -> Command:
    """Return what the command line asks for.

    Raises:
        UsageError: A file of settings cannot be read.
    """
    prog = "python -m policies.train"
    if arguments and arguments[0] in OTHERS:
        name, *rest = arguments
        return tyro.cli(OTHERS[name], prog=f"{prog} {name}", args=rest)
    # The file's settings have to be there before --help can show them and others replace them.
    settings = load_settings(name) if (name := _config(arguments)) else Settings()
    default = TrainCommand(settings=settings, typed=(*prog.split(), *arguments))
    configs, recipes = ", ".join(config_names()), ", ".join(recipe_names())
    description = f"{__doc__}\nSettings that come with it: {configs}; recipes: {recipes}."
    return tyro.cli(
        TrainCommand, prog=prog, default=default, description=description, args=arguments
    )


def _config(arguments: Sequence[str]) -> str:
    for number, argument in enumerate(arguments):
        if argument == "--config":
            return next(iter(arguments[number + 1 : number + 2]), "")
        if argument.startswith("--config="):
            return argument.partition("=")[2]
    return ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line and run it."""
    return exit_code(lambda: parse(sys.argv[1:] if arguments is None else arguments)())


if __name__ == "__main__":
    sys.exit(main())
