"""Parses the command line and runs one command.

Commands import what they need when they run, so that `--help` and `list` start fast.
"""

import difflib
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Annotated, Any, Union

import tyro

from harness.cli.audit import AuditCommand
from harness.cli.check import CheckBenchmarkCommand, CheckPolicyCommand
from harness.cli.compare import CompareCommand
from harness.cli.doctor import DoctorCommand
from harness.cli.env import EnvCommand
from harness.cli.exit import exit_code
from harness.cli.leftovers import ending
from harness.cli.list import ListCommand
from harness.cli.merge import MergeCommand
from harness.cli.output import TYPED
from harness.cli.power import PowerCommand
from harness.cli.quick_start import QuickStart
from harness.cli.record import RecordCommand
from harness.cli.replay import ReplayCommand
from harness.cli.report import ReportCommand
from harness.cli.run import RunCommand
from harness.cli.serve import ServeCommand
from harness.contracts.errors import UsageError, require_known
from harness.contracts.extras import program_name
from harness.play.threads import use_one_core

DESCRIPTION = """Evaluate robot policies on robot benchmarks and write the table for the paper.

Without arguments it runs the quick start: a small real evaluation that takes a few minutes.
"""
COMMANDS: dict[str, Callable[..., Callable[[], int]]] = {
    "quick-start": QuickStart,
    "run": RunCommand,
    "merge": MergeCommand,
    "report": ReportCommand,
    "compare": CompareCommand,
    "power": PowerCommand,
    "audit": AuditCommand,
    "replay": ReplayCommand,
    "record": RecordCommand,
    "serve": ServeCommand,
    "list": ListCommand,
    "env": EnvCommand,
    "doctor": DoctorCommand,
    "check-benchmark": CheckBenchmarkCommand,
    "check-policy": CheckPolicyCommand,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line, run the command and return the exit code."""
    use_one_core()
    arguments = list(sys.argv[1:] if arguments is None else arguments) or ["quick-start"]
    TYPED.set(shlex.join([program_name(), *arguments]))
    return ending(lambda: exit_code(lambda: _parsed(arguments)()))


def _parsed(arguments: Sequence[str]) -> Callable[[], int]:
    name = arguments[0]
    if not name.startswith("-"):
        require_known("command", name, COMMANDS)
    commands: Any = Union[  # noqa: UP007 - made at run time
        tuple(
            Annotated[Any, tyro.conf.subcommand(name, constructor=made)]
            for name, made in COMMANDS.items()
        )
    ]
    parsed: tuple[Callable[[], int], list[str]] = tyro.cli(
        commands,
        prog=program_name(),
        description=DESCRIPTION,
        args=arguments,
        return_unknown_args=True,
    )
    command, unknown = parsed
    if unknown:
        raise _unknown(unknown[0], name, [field.name for field in fields(command)])  # type: ignore[arg-type]
    return command


def _unknown(argument: str, command: str, names: Sequence[str]) -> UsageError:
    """Return the error for an argument that a command does not know; it names the nearest one."""
    if not argument.startswith("-"):
        return UsageError(
            f"{command} does not take {argument!r}; see: {program_name()} {command} --help"
        )
    given = argument.partition("=")[0].lstrip("-")
    near = difflib.get_close_matches(given, [name.replace("_", "-") for name in names], 1)
    hint = f"did you mean --{near[0]}?" if near else f"see: {program_name()} {command} --help"
    return UsageError(f"{command} has no option --{given}; {hint}")
