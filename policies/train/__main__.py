"""Train a policy from demonstrations. The same command resumes a stopped training.

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

from harness.cli.codes import EXIT_INCOMPLETE, EXIT_INTERRUPTED
from harness.cli.exit import exit_code
from harness.cli.output import notes
from harness.contracts.errors import StorageError, UsageError
from policies.train.loop import Intervals, StoppedError
from policies.train.recipe import Training, load_recipe, recipe_names
from policies.train.report.plot import plot_logs
from policies.train.run import Job, train_all
from policies.train.settings import Settings, config_names, load_settings


@dataclass(kw_only=True)
class TrainCommand:
    """The data, the checkpoint and the settings. Options here override the settings' file."""

    data: tuple[Path, ...] = ()
    """Folders with demonstrations. Several folders must have the same layouts."""
    out: Path | None = None
    """The checkpoint's folder; with --recipe the folder of all of them, by default checkpoints."""
    init: Path | None = None
    """A checkpoint to start from, e.g. a converted one; default: random weights. A head of another
    kind or shape gets random weights."""
    config: str = ""
    """Included settings by name, or a YAML file."""
    recipe: str = ""
    """Train everything in a recipe: an included one by name (tiny-all), or a YAML file. A recipe
    has its own data and settings."""
    only: tuple[str, ...] = ()
    """Train only these parts of the recipe, each as POLICY or POLICY/HEAD."""
    device: str = ""
    """Where to compute, e.g. cpu or cuda; default: a GPU if there is one."""
    memory: float = 4.0
    """Largest size of pictures in memory, in GiB; more go into a file beside the checkpoint."""
    workers: int = 1
    """Train this many policies of a recipe in parallel processes, which share the samples. More
    processes than cores, or on a busy GPU, are no faster."""
    save_every: int = 500
    """Steps between two saves of the state for resuming."""
    validate_every: int = 500
    """Steps between two validations on held-out demonstrations."""
    typed: tyro.conf.Suppress[tuple[str, ...]] = ()
    settings: Annotated[Settings, tyro.conf.arg(name="")] = field(default_factory=Settings)

    def __call__(self) -> int:
        """Train, and print the policies."""
        trainings = self.trainings()
        for name in ("workers", "save_every", "validate_every"):
            if getattr(self, name) < 1:
                raise UsageError(f"--{name.replace('_', '-')} must be at least 1")
        job = Job(
            device=self.device,
            memory=self.memory,
            intervals=Intervals(save=self.save_every, validate=self.validate_every),
            command=self.typed,
            workers=self.workers,
        )
        try:
            train_all(job, trainings, notes())
        except (StoppedError, StorageError) as stop:
            why = str(stop) or "interrupted"
            notes().print(f"\n{why}; run the same command again to continue", markup=False)
            return EXIT_INCOMPLETE if isinstance(stop, StorageError) else EXIT_INTERRUPTED
        for training in trainings:
            print(f"vla:{training.out}")
        return 0

    def trainings(self) -> list[Training]:
        """Return what to train.

        Raises:
            UsageError: An option is missing, or contradicts --recipe.
        """
        if self.recipe:
            if self.data or self.init or self.config or self.settings != Settings():
                raise UsageError(
                    "a recipe has its own data and settings; change a copy of its file"
                )
            return load_recipe(self.recipe, self.out or Path("checkpoints"), self.only)
        if self.only:
            raise UsageError("--only needs --recipe")
        if self.out is None:
            raise UsageError("--out is missing: the checkpoint's folder")
        return [Training(out=self.out, data=self.data, init=self.init, settings=self.settings)]


@dataclass
class PlotCommand:
    """Plot the logs of one or more trainings."""

    logs: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """The logs: log.jsonl in a checkpoint's folder."""
    out: Path = Path("training.png")
    """The picture; .pdf and .svg work as well."""

    def __call__(self) -> int:
        """Plot."""
        for log in self.logs:
            if not log.is_file():
                raise UsageError(f"there is no {log}")
        plot_logs({log.parent.name or log.stem: log for log in self.logs}, self.out)
        print(f"written to {self.out}")
        return 0


@dataclass(kw_only=True)
class ResultCommand:
    """Write the results of runs into the pages of checkpoints."""

    checkpoints: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """The checkpoints' folders."""
    runs: tuple[Path, ...]
    """Folders of runs of run_eval.py; other policies in them are ignored."""

    def __call__(self) -> int:
        """Write."""
        from policies.train.report.result import write_result

        for folder in self.checkpoints:
            print(write_result(folder, self.runs))
        return 0


@dataclass(kw_only=True)
class TableCommand:
    """Compare checkpoints in a table: success, time per chunk, and time of training."""

    checkpoints: Annotated[tuple[str, ...], tyro.conf.Positional]
    """The checkpoints' folders, in the table's order; FOLDER,OPTION=VALUE as for --policy."""
    runs: tuple[Path, ...]
    """Folders of runs of run_eval.py; other policies in them are ignored."""
    out: Path
    """The folder for heads.md, heads.csv and heads.tex."""

    def __call__(self) -> int:
        """Write."""
        from policies.train.report.table import comparison, write_tables

        print(write_tables(comparison(self.checkpoints, self.runs), self.out))
        return 0


_Command = TrainCommand | PlotCommand | ResultCommand | TableCommand
_OTHER_COMMANDS: Mapping[str, type[_Command]] = {
    "plot": PlotCommand,
    "result": ResultCommand,
    "table": TableCommand,
}


def parse(arguments: Sequence[str]) -> _Command:
    """Parse the command line.

    Raises:
        UsageError: The settings cannot be read.
    """
    prog = "python -m policies.train"
    if arguments and arguments[0] in _OTHER_COMMANDS:
        name, *rest = arguments
        return tyro.cli(_OTHER_COMMANDS[name], prog=f"{prog} {name}", args=rest)
    # Read --config first: its values are the defaults of the other options.
    settings = load_settings(name) if (name := _config(arguments)) else Settings()
    default = TrainCommand(settings=settings, typed=(*prog.split(), *arguments))
    configs, recipes = ", ".join(config_names()), ", ".join(recipe_names())
    description = f"{__doc__}\nIncluded settings: {configs}. Included recipes: {recipes}."
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
    """Run the command line and return its exit code."""
    return exit_code(lambda: parse(sys.argv[1:] if arguments is None else arguments)())


if __name__ == "__main__":
    sys.exit(main())
