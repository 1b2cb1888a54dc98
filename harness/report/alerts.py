"""What a reader must know before the numbers: failures of a policy's own, errors, clipping."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

MOST_CLIPPED = 0.1
"""The share of clipped actions above which a policy's scale is in doubt."""
_LEAST_CLIPPED = 0.001
"""The share of clipped actions that is worth a note."""

_OWN, _CRASH = "policy_", "policy_crash: "
"""How the reasons start of failures of the policy's own, and of errors of its code."""
_LONGEST = 200
"""Characters of a reason in a sentence."""


@dataclass(frozen=True)
class Alert:
    """A warning about the episodes of one policy.

    Attributes:
        text: The warning, as sentences.
        traceback: The file with the traceback of an error; None if there is none.
    """

    text: str
    traceback: Path | None = None


def find_alerts(episodes: pd.DataFrame, refused: Sequence[str] = ()) -> list[Alert]:
    """Return the warnings about the logs and the episodes, in the tables' order of the policies.

    They do not depend on the order in which the episodes were played. `refused` says what was left
    out of the logs.
    """
    policies = episodes.groupby("policy", observed=True)
    return [
        *map(Alert, refused),
        *(alert for policy, mine in policies for alert in _alerts(str(policy), mine)),
    ]


def traceback_file(run: str, key: str) -> Path | None:
    """Return the file with the traceback of an episode; None if the run did not keep one."""
    path = Path(run) / "errors" / f"{key}.txt"
    return path if path.is_file() else None


def fast_batches(episodes: pd.DataFrame) -> Iterator[str]:
    """Yield the note on episodes whose actions may depend on the batch, if there are any."""
    fast = int((episodes["batching"] == "fast").sum())
    if fast:
        yield (
            f"{fast} of {len(episodes)} episodes ran with fast batching: their actions depend on "
            "the batch, at least in the last bits, so another run may give other results."
        )


def clipped_shares(episodes: pd.DataFrame) -> Iterator[str]:
    """Yield a note on each policy some of whose actions the benchmark clipped."""
    for policy, mine in episodes.groupby("policy", observed=True):
        share = _clipped_share(mine)
        if _LEAST_CLIPPED < share <= MOST_CLIPPED:
            yield (
                f"{100 * share:.1f} % of the actions of {policy} were clearly outside the action "
                f"space, and the benchmark clipped them."
            )


def _alerts(policy: str, episodes: pd.DataFrame) -> Iterator[Alert]:
    own = episodes["reason"].str.startswith(_OWN)
    crash = episodes["reason"].str.startswith(_CRASH)
    failed, error = episodes["outcome"] == "failure", episodes["outcome"] == "error"
    for kind, what, meaning in (
        (
            failed & own,
            "failed because of the policy's own answers",
            "They count as failures. Check the policy before you trust its success rate.",
        ),
        (
            error & crash,
            "stopped because the policy's code raised an exception",
            "They have no score and are in no success rate. Mend the policy and run the same "
            "command again.",
        ),
        (
            error & ~crash,
            "ended in an error of the simulator or of a worker, not of the policy",
            "They have no score and are in no success rate. The same command plays them again.",
        ),
    ):
        found = episodes[kind]
        if len(found):
            yield Alert(
                f"{len(found)} of {len(episodes)} episodes of {policy} {what}"
                f"{_reason(found)}. {meaning}",
                _traceback(found),
            )
    clipped = _clipped_share(episodes)
    if clipped > MOST_CLIPPED:
        yield Alert(
            f"{100 * clipped:.1f} % of the actions of {policy} had a number clearly outside the "
            "action space and were clipped by the benchmark; check the scale of your actions."
        )


def _most_frequent(episodes: pd.DataFrame) -> str:
    """Return the most frequent reason; of equally frequent ones, the first in the alphabet."""
    counts = episodes["reason"].value_counts().sort_index()
    return str(counts[counts == counts.max()].index[0])


def _reason(episodes: pd.DataFrame) -> str:
    reason = _most_frequent(episodes)
    count = int((episodes["reason"] == reason).sum())
    text = " ".join(reason.removeprefix(_CRASH).split())[:_LONGEST].rstrip(".")
    return f" ({text})" if count == len(episodes) else f", most often ({count}): {text}"


def _traceback(episodes: pd.DataFrame) -> Path | None:
    """Return the traceback of an episode with the most frequent reason, if the run kept it."""
    frequent = episodes[episodes["reason"] == _most_frequent(episodes)].sort_values("key")
    for run, key in frequent[["run", "key"]].itertuples(index=False):
        if path := traceback_file(run, key):
            return path
    return None


def _clipped_share(episodes: pd.DataFrame) -> float:
    steps = episodes["steps"].sum()
    return float((episodes["clipped"] * episodes["steps"]).sum() / steps) if steps else 0.0
