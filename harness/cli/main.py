"""Parses the command line and runs one command.

Commands import what they need when they run, so that `--help` and `list` start fast.
"""

import shlex
import sys
from collections.abc import Callable, Sequence

import tyro

from harness.cli.audit import AuditCommand
from harness.cli.compare import CompareCommand
from harness.cli.doctor import DoctorCommand
from harness.cli.env import EnvCommand
from harness.cli.exit import exit_code
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
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line, run the command and return the exit code."""
    use_one_core()
    arguments = list(sys.argv[1:] if arguments is None else arguments) or ["quick-start"]
    TYPED.set(shlex.join([program_name(), *arguments]))
    return exit_code(lambda: _parsed(arguments)())


def _parsed(arguments: Sequence[str]) -> Callable[[], int]:
    command: Callable[[], int] = tyro.extras.subcommand_cli_from_dict(
        COMMANDS, prog=program_name(), description=DESCRIPTION, args=arguments
    )
    return command
