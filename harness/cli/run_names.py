"""Names of one policy's episodes on the command line: FOLDER, or FOLDER:POLICY."""

from collections.abc import Sequence
from pathlib import Path

from harness.contracts.errors import UsageError, require_known


def split_run(text: str) -> tuple[Path, str]:
    """Split FOLDER:POLICY; the policy is empty if only FOLDER is given.

    A policy's name may contain colons, so the longest part that is a folder counts.
    """
    if Path(text).exists():
        return Path(text), ""
    colons = [index for index, letter in enumerate(text) if letter == ":"]
    folders = [index for index in colons if Path(text[:index]).is_dir()]
    if not colons:
        return Path(text), ""
    split = folders[-1] if folders else colons[0]
    return Path(text[:split]), text[split + 1 :]


def choose_policy(folder: Path, given: str, policies: Sequence[str]) -> str:
    """Return the policy of a run that a name means.

    The name is complete, or lacks the digest, or is the start of only one policy's name; its
    ablations do not count. Without a name the run must have one policy.

    Raises:
        UsageError: The name fits no policy, or several.
    """
    from harness.report.labels import without_digest

    if not policies:
        raise UsageError(f"{folder} has no episodes yet")
    starting = [name for name in policies if name.startswith(given)]
    ways = [
        [name for name in policies if name == given],
        [name for name in policies if without_digest(name) == given],
        # An ablation is written `policy (ablation)`, so its name starts with the policy's.
        [n for n in starting if not any(n.startswith(f"{other} (") for other in starting)],
    ]
    if not given:
        ways = [list(policies)]
    fitting = next((found for found in ways if len(found) == 1), ways[-1])
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        what = f"{given!r} fits {len(fitting)}" if given else f"{folder} holds {len(fitting)}"
        raise UsageError(
            f"{what} policies: choose one with {folder}:POLICY, one of {', '.join(fitting)}"
        )
    require_known(f"policy of {folder}", given, policies)
    raise AssertionError("unreachable: an unknown name is refused")
