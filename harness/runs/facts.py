"""What run.json says about the plans of a session: rules, versions, and the policies' origin."""

import os
import re
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness import __version__
from harness.contracts.atomic import write_whole
from harness.runs.growth import Facts, players_of
from harness.runs.plan import Work
from harness.runs.protocols import card_copy

LARGEST_SOURCE = 2**20
"""Bytes of a source file that a run copies, at most."""


def describe(work: Work, command: str = "") -> Facts:
    """Return the content of run.json.

    Args:
        work: The plans.
        command: The command as it was typed; empty if there was none.
    """
    plans = [plan.to_json() for plan in work.plans]
    return {
        "plans": plans,
        "policies": {name: _origin(work, name) for name in sorted(work.policies)},
        "players": players_of(plans),
        "task_order": {
            setup.benchmark: [task.name for task in setup.family.tasks(setup.benchmark)]
            for setup in work.setups
        },
        "protocols": {
            setup.protocol.label: {
                "rules": setup.protocol.rules,
                "sources": dict(setup.protocol.sources),
            }
            | ({"note": setup.protocol.note} if setup.protocol.note else {})
            for setup in work.setups
        },
        "versions": {"assay": __version__}
        | {name: v for setup in work.setups for name, v in setup.family.versions().items()},
        "git": git_state(),
        "command": command,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def git_state() -> str | None:
    """Return the commit of the running code, marked as dirty if files changed; None without git."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    here = Path(__file__).parents[2]
    if not (here / ".git").exists():  # An installed package, perhaps inside another repository.
        return None
    try:
        done = subprocess.run(command, cwd=here, capture_output=True, text=True, check=False)
    except OSError:  # There is no git program.
        return None
    return done.stdout.strip() or None


def keep_sources(folder: Path, work: Work) -> list[str]:
    """Copy each policy's source to FOLDER/code, and each card by file to FOLDER/protocols.

    Returns:
        A notice for each file that was not copied.

    Raises:
        OSError: A file cannot be written.
    """
    notices = []
    for setup in work.setups:
        card = card_copy(folder, setup.protocol.label)
        if setup.protocol.file and not card.exists():
            card.parent.mkdir(parents=True, exist_ok=True)
            write_whole(card, Path(setup.protocol.file).read_bytes())
    for name, policy in work.policies.items():
        for path, target in _places(policy.code).items():
            copy = folder / "code" / safe_name(name) / target
            if copy.exists():
                continue
            try:
                large = path.stat().st_size > LARGEST_SOURCE
                content = b"" if large else path.read_bytes()
            except OSError as error:
                notices.append(f"{path} was not kept with the run: {error.strerror}")
                continue
            if large:
                notices.append(f"{path} was not kept with the run: it has more than 1 MiB")
                continue
            copy.parent.mkdir(parents=True, exist_ok=True)
            write_whole(copy, content)
    return notices


def safe_name(identity: str) -> str:
    """Return a policy's identity as the name of a folder."""
    return re.sub(r"[^\w.+@=,-]", "_", identity)


def _origin(work: Work, name: str) -> dict[str, Any]:
    policy = work.policies[name]
    return {
        "reference": work.references[name],
        "files": {str(path): sha256 for path, sha256 in policy.files.items()},
        "code": [str(target) for target in _places(policy.code).values()],
    }


def _places(code: Sequence[Path]) -> dict[Path, Path]:
    """Return where each source file stands, relative to the folder that holds all."""
    files = [Path(os.path.abspath(path)) for path in code]
    if not files:
        return {}
    above = os.path.commonpath([path.parent for path in files])
    return {path: path.relative_to(above) for path in files}
